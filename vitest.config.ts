import { defineConfig } from 'vitest/config'
import { kPatienceMs, kTestPatienceMs } from './test/patience.ts'

export default defineConfig({
  test: {
    include: ['test/{unit,integration,conformance}/**/*.test.ts', 'test/tidy.test.ts'],
    // A crash of the addon takes one process with it, not the run.
    pool: 'forks',
    // The tests start proxies and load of their own, and run on machines with two cores.
    maxWorkers: 2,
    testTimeout: kTestPatienceMs,
    hookTimeout: kTestPatienceMs,
    expect: { poll: { timeout: kPatienceMs } },
  },
})
