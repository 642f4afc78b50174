// Prints the source files of the native core, one per line, relative to the working directory. Both
// builds (CMakeLists.txt and binding.gyp) take their list from here, so that they cannot drift.
//   node native/sources.mjs core|binding [poller]      poller: epoll (Linux) or kqueue
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const native = dirname(fileURLToPath(import.meta.url))
const [what = 'core', poller = process.platform === 'linux' ? 'epoll' : 'kqueue'] =
  process.argv.slice(2)
const otherPoller = poller === 'epoll' ? 'kqueue.cc' : 'epoll.cc'

for (const entry of readdirSync(native, { recursive: true, withFileTypes: true })
  .filter((e) => e.isFile() && e.name.endsWith('.cc'))
  .map((e) => relative(native, join(e.parentPath ?? e.path, e.name)))
  .sort()) {
  if (entry.startsWith('binding/') !== (what === 'binding')) continue
  if (entry === `event/${otherPoller}`) continue
  console.log(relative(process.cwd(), join(native, entry)))
}
