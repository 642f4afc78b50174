/** "Did you mean": the known name that is nearest to an unknown one. */

/**
 * Damerau-Levenshtein distance with adjacent swaps, or `limit + 1` when it is larger than the
 * limit.
 */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    // Further from the diagonal than the limit no path is short enough.
    const [from, to] = [Math.max(1, i - limit), Math.min(b.length, i + limit)]
    const current: number[] = []
    current[from - 1] = from === 1 ? i : limit + 1
    let least = limit + 1
    for (let j = from; j <= to; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(
        (previous[j] ?? limit) + 1,
        (current[j - 1] ?? limit) + 1,
        (previous[j - 1] ?? limit) + (same ? 0 : 1),
      )
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (before[j - 2] ?? limit) + 1)
      current[j] = best
      least = Math.min(least, best)
    }
    if (least > limit) return limit + 1
    before = previous
    previous = current
  }
  return Math.min(previous[b.length] ?? 0, limit + 1)
}

/** More slips than this in one name, however long it is, make it another name. */
const kSlipsMax = 4

/** Nobody types a longer name by hand. */
const kGuessedMax = 256

/**
 * So many names of a list are always compared. Of a longer one, such as the clusters of a
 * configuration, so many letters are, all in all: who writes thousands of names that are not among
 * thousands of others is told so, after a while with guesses among the first only.
 */
const kNamesMax = 256
const kLettersMax = 2_000_000
const kLetters = new WeakMap<Iterable<string>, number>()

/** The nearest of the known names, if it is near enough to be a slip. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  if (name.length > kGuessedMax) return undefined
  let [letters, names] = [kLetters.get(known) ?? 0, 0]
  const wanted = name.toLowerCase()
  let best: string | undefined
  let longer: string | undefined
  let distance = Math.min(kSlipsMax, Math.max(2, Math.floor(name.length / 4))) + 1
  for (const candidate of known) {
    if (++names > kNamesMax) {
      if (letters > kLettersMax) break
      letters += candidate.length + 1
    }
    if (candidate.length > kGuessedMax) continue
    if (longer === undefined && candidate.toLowerCase().startsWith(`${wanted}_`)) longer = candidate
    const found = editDistance(wanted, candidate.toLowerCase(), distance - 1)
    // A name of two or three letters is near to everything; then only its own letters in another
    // case count.
    if (found < distance && found < Math.max(1, name.length - 1)) {
      best = candidate
      distance = found
    }
  }
  if (names > kNamesMax) kLetters.set(known, letters)
  // Half of a longer name, as older versions of the API had it: host_rewrite for
  // host_rewrite_literal.
  return best ?? longer
}

/** The hint for an unknown name, or undefined. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const found = nearest(name, known)
  return found === undefined ? undefined : `did you mean "${found}"?`
}
