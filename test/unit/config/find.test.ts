// Which file is taken when none is named.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findConfiguration, searchPath } from '../../../src/config/index.ts'

it('the first that exists, and before all what the environment names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-find-'))
  try {
    expect(searchPath({})).toEqual([
      'millrace.yaml',
      'millrace.yml',
      'millrace.json',
      'envoy.yaml',
      '/etc/millrace/millrace.yaml',
    ])
    expect(findConfiguration({}, folder)).toBeUndefined()
    writeFileSync(join(folder, 'envoy.yaml'), '')
    expect(findConfiguration({}, folder)).toBe('envoy.yaml')
    writeFileSync(join(folder, 'millrace.yml'), '')
    expect(findConfiguration({}, folder)).toBe('millrace.yml')
    expect(findConfiguration({ MILLRACE_CONFIG: '/other.yaml' }, folder)).toBe('/other.yaml')
    expect(searchPath({ MILLRACE_CONFIG: '/other.yaml' })[0]).toBe('/other.yaml')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
