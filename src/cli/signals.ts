// What signals mean. A first SIGTERM or SIGINT drains; a second one ends at once.

type Action = (signal: NodeJS.Signals) => void | Promise<void>

export interface SignalActions {
  readonly drain: Action
  readonly stop: Action
  readonly reload: Action
  readonly reopenLogs: Action
}

export function onSignals({ drain, stop, reload, reopenLogs }: SignalActions): void {
  let ending = false
  const finish: Action = (signal) => {
    const action = ending ? stop : drain
    ending = true
    return action(signal)
  }
  on('SIGTERM', finish)
  on('SIGINT', finish)
  on('SIGHUP', reload)
  on('SIGUSR1', reopenLogs) // Node would start its debugger
}

function on(signal: NodeJS.Signals, action: Action): void {
  process.on(signal, () => {
    void action(signal)
  })
}
