// What a user reads when a configuration is wrong, as a whole: every problem at once, with its
// line.
import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfiguration } from '../../../src/config/index.ts'

async function failure(name: string): Promise<ConfigError> {
  const path = `test/unit/config/golden/${name}`
  const error = await loadConfiguration({ kind: 'file', path }).catch((found: unknown) => found)
  if (error instanceof ConfigError) return error
  throw error
}

describe.each(['envoy', 'short'])('%s.yaml', (name) => {
  it('is refused in these words', async () => {
    const { message } = await failure(`${name}.yaml`)
    await expect(`${message}\n`).toMatchFileSnapshot(`golden/${name}.txt`)
  })

  it('is refused in this JSON', async () => {
    const json = JSON.stringify(await failure(`${name}.yaml`), null, 2)
    await expect(`${json}\n`).toMatchFileSnapshot(`golden/${name}.json.txt`)
  })
})
