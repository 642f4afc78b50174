// What is to be done when the process (or worker thread) ends by itself, by process.exit() or by an
// exception: one listener, however many servers there are.

const actions = new Set<() => void>()

function runAll(): void {
  for (const action of actions) action()
}

/** Runs `action`, which must not wait, at the end, unless the returned function was called. */
export function atExit(action: () => void): () => void {
  if (actions.size === 0) process.on('exit', runAll)
  actions.add(action)
  return () => {
    actions.delete(action)
    if (actions.size === 0) process.off('exit', runAll)
  }
}
