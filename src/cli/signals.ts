// Signals are caught before anything else is loaded: until a process says otherwise, they end it,
// open Node's debugger (SIGUSR1), or, of the first process of a container, do nothing at all. This
// file imports nothing.

const kCaught = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const

export type CaughtSignal = (typeof kCaught)[number]

export class Signals {
  #take: ((signal: CaughtSignal) => void) | undefined
  readonly #early: CaughtSignal[] = []

  constructor() {
    for (const signal of kCaught) process.on(signal, this.#on)
  }

  readonly #on = (signal: NodeJS.Signals): void => {
    if (this.#take) this.#take(signal as CaughtSignal)
    else this.#early.push(signal as CaughtSignal)
  }

  /** From now on they go to `take`; those that came before at once. */
  giveTo(take: (signal: CaughtSignal) => void): void {
    this.#take = take
    for (const signal of this.#early.splice(0)) take(signal)
  }

  /** For commands that signals simply end. SIGUSR1 stays caught, and means nothing. */
  release(): void {
    for (const signal of kCaught) {
      if (signal !== 'SIGUSR1') process.off(signal, this.#on)
    }
    const ending = this.#early.find((signal) => signal !== 'SIGUSR1')
    if (ending) process.kill(process.pid, ending)
  }
}
