// The C++ files of the project, relative to its root: those that git knows or would add.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib.mjs'

export function cppFiles() {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--']
  const out = execFileSync('git', [...args, '*.cc', '*.h'], { cwd: root, encoding: 'utf8' })
  return out
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .sort()
}
