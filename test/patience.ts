// How long a test waits for what must come: it decides nothing but how soon a fault is told, so it
// is one for all, and long enough for a busy machine.

/** For one state to come, ms. */
export const kPatienceMs = 60_000

/** For a whole test, ms. */
export const kTestPatienceMs = 300_000

/** As options of a wait. */
export const kPatience = { timeout: kPatienceMs } as const
