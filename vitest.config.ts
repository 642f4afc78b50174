import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/{unit,integration,conformance}/**/*.test.ts', 'test/tidy.test.ts'],
    // A crash of the addon takes one process with it, not the run.
    pool: 'forks',
    // The tests start proxies and load of their own, and run on machines with two cores.
    maxWorkers: 2,
    // For tests that fail: as long as a busy machine may take.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 40_000 } },
  },
})
