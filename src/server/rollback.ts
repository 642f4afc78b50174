// Steps that are taken together or not at all.

/** What a step threw that nobody waits for. Must not throw. */
export type OnFailure = (error: unknown) => void

/**
 * Runs all of them, whatever some throw: what takes a change back, or gives something back, must
 * not be kept from it by another that fails.
 */
export function allOf(steps: Iterable<() => void>, failed: OnFailure): void {
  for (const step of steps) {
    try {
      step()
    } catch (error) {
      failed(error)
    }
  }
}

/** What was done, to be taken back in the opposite order. */
export class Rollback {
  readonly #steps: (() => void)[]
  readonly #failed: OnFailure

  /** `last`: what is taken back after everything else. */
  constructor(last: () => void, failed: OnFailure) {
    this.#steps = [last]
    this.#failed = failed
  }

  /** Does something; also when it throws half way, `back` is run by {@link run}. */
  step(does: () => void, back: () => void): void {
    this.#steps.push(back)
    does()
  }

  add(back: () => void): void {
    this.#steps.push(back)
  }

  run(): void {
    allOf(this.#steps.splice(0).reverse(), this.#failed)
  }
}
