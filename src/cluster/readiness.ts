// When a cluster is ready: its discovery was tried, and every host that it found was checked.

export class Readiness {
  /** Hosts whose first check is waited for. */
  readonly #unchecked = new Set<number>()
  readonly #onReady: () => void
  #resolve: () => void = () => {}
  #isDiscovered = false
  #isReady = false
  readonly ready: Promise<void> = new Promise((resolve) => {
    this.#resolve = resolve
  })

  /** `onReady` runs before {@link ready} resolves, once. */
  constructor(onReady: () => void) {
    this.#onReady = onReady
  }

  /** Whether {@link ready} has resolved. */
  get isReady(): boolean {
    return this.#isReady
  }

  get isDiscovered(): boolean {
    return this.#isDiscovered
  }

  unchecked(): readonly number[] {
    return [...this.#unchecked]
  }

  discovered(): void {
    this.#isDiscovered = true
    this.#look()
  }

  /** The first check of this host is waited for. */
  awaitCheck(host: number): void {
    this.#unchecked.add(host)
  }

  /** This host was checked, or is gone. */
  checked(host: number): void {
    this.#unchecked.delete(host)
    this.#look()
  }

  /** Nothing is checked any more. */
  unneeded(): void {
    this.#unchecked.clear()
    this.#look()
  }

  /** Nobody is to wait any longer, whatever is missing. */
  end(): void {
    if (this.#isReady) return
    this.#isReady = true
    this.#onReady()
    this.#resolve()
  }

  #look(): void {
    if (this.#isDiscovered && this.#unchecked.size === 0) this.end()
  }
}
