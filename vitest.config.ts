import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/{unit,integration,conformance}/**/*.test.ts', 'test/tidy.test.ts'],
    // A crash of the addon takes one process with it, not the run.
    pool: 'forks',
    // The tests start proxies and load of their own, and run on machines with two cores.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    expect: { poll: { timeout: 10_000 } }, // as long as a busy machine may take
  },
})
