// Loaded before the program (NODE_OPTIONS=--import=…): sends the signal in EARLY_SIGNAL to its own
// process as soon as it is caught, which is before anything else of the program was loaded.

const signal = process.env.EARLY_SIGNAL
function look() {
  if (process.listenerCount(signal) === 0) setImmediate(look)
  else process.kill(process.pid, signal)
}
setImmediate(look)
