// The package's version: there without the native core, and in a bundle, which has no package.json.
// test/tidy.test.ts holds that it is package.json's.

const kVersion = '0.1.0'

export function version(): string {
  return kVersion
}
