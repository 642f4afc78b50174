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
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) best = Math.min(best, (before[j - 2] ?? 0) + 1)
      current.push(best)
    }
    before = previous
    previous = current
  }
  return previous[b.length] ?? 0
}

/** More slips than this in one name, however long it is, make it another name. */
const kSlipsMax = 4

/** The nearest of the known names, if it is near enough to be a slip. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase()
  const candidates = [...known]
  let best: string | undefined
  let distance = Math.min(kSlipsMax, Math.max(2, Math.floor(name.length / 4))) + 1
  for (const candidate of candidates) {
    const found = editDistance(wanted, candidate.toLowerCase(), distance - 1)
    // A name of two or three letters is near to everything; then only its own letters in another
    // case count.
    if (found < distance && found < Math.max(1, name.length - 1)) {
      best = candidate
      distance = found
    }
  }
  // Half of a longer name, as older versions of the API had it: host_rewrite for
  // host_rewrite_literal.
  return best ?? candidates.find((candidate) => candidate.toLowerCase().startsWith(`${wanted}_`))
}

/** The hint for an unknown name, or undefined. */
export function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const found = nearest(name, known)
  return found === undefined ? undefined : `did you mean "${found}"?`
}
