// Steps that are taken together or not at all.

/**
 * Runs all of them, whatever some throw: what takes a change back, or gives something back, must
 * not be kept from it by another that fails.
 */
export function allOf(steps: Iterable<() => void>): void {
  for (const step of steps) {
    try {
      step()
    } catch {
      // The core refused to forget what it does not know: it is gone.
    }
  }
}

/** What was done, to be taken back in the opposite order. */
export class Rollback {
  readonly #steps: (() => void)[]

  /** `last`: what is taken back after everything else. */
  constructor(last: () => void) {
    this.#steps = [last]
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
    allOf(this.#steps.splice(0).reverse())
  }
}
