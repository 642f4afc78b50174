// The oldest glibc and libstdc++ that a binary loads with, by its symbol versions.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/lib.mjs'

/** What docs/install.md promises; MILLRACE_RELEASE is set where releases are built. */
const promised = {
  debian12: { GLIBC: '2.34', GLIBCXX: '3.4.29' },
  release: { GLIBC: '2.28', GLIBCXX: '3.4.25' },
}

const newer = (a, b) => a.localeCompare(b, 'en', { numeric: true }) > 0

/** The newest version of each library's symbols that a binary asks for: { GLIBC: '2.34', … } */
export function asksFor(path) {
  const newest = {}
  const table = execFileSync('readelf', ['--version-info', '--wide', path], { encoding: 'utf8' })
  for (const [, library, version] of table.matchAll(/Name: (GLIBC|GLIBCXX)_([\d.]+)/g)) {
    if (newest[library] === undefined || newer(version, newest[library])) newest[library] = version
  }
  return newest
}

/** Throws where a binary asks for more than is promised, or the promise is not in the document. */
export function checkLibraries(path) {
  const floor = process.env.MILLRACE_RELEASE ? promised.release : promised.debian12
  const found = asksFor(path)
  for (const [library, version] of Object.entries(floor)) {
    if (found[library] === undefined) throw new Error(`${path} asks for no ${library}`)
    if (newer(found[library], version)) {
      throw new Error(`it asks for ${library}_${found[library]}; promised was ${version}`)
    }
  }
  const text = readFileSync(join(root, 'docs/install.md'), 'utf8')
  for (const { GLIBC, GLIBCXX } of Object.values(promised)) {
    const row = new RegExp(`\\| ${GLIBC.replaceAll('.', '\\.')}\\b[^|]*\\| ${GLIBCXX} `)
    if (!row.test(text)) throw new Error(`docs/install.md has no line with ${GLIBC} and ${GLIBCXX}`)
  }
  return found
}
