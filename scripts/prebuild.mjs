// npm run prebuilds: the binary of this platform into prebuilds/<platform>-<arch>/, as it is
// published. It is built against the oldest supported Node's headers; Node-API makes it load in all
// newer ones.
//   npm run prebuilds -- --arch x64+arm64    macOS: one file for both
//   npm run prebuilds -- --arch arm64        Linux on x64: with Debian's g++-aarch64-linux-gnu
import { delimiter, join } from 'node:path'
import { bin, buildEnv, has, root, run } from './lib.mjs'

const OLDEST_NODE = '20.19.0'
const CROSS_TOOLS = { arm64: 'aarch64-linux-gnu-' }

const args = process.argv.slice(2)
const at = args.indexOf('--arch')
const arch = at < 0 ? process.arch : args[at + 1]
const env = buildEnv()
// prebuildify looks for node-gyp there
env.PATH = join(root, 'node_modules/.bin') + delimiter + env.PATH
if (process.platform === 'linux' && arch !== process.arch && arch in CROSS_TOOLS) {
  const tools = CROSS_TOOLS[arch]
  const ccache = has('ccache') ? 'ccache ' : ''
  args.push('--strip-bin', `${tools}strip`)
  Object.assign(env, {
    CC: `${tools}gcc`,
    CXX: `${ccache}${tools}g++`,
    AR: `${tools}gcc-ar`,
  })
}
const target = ['--napi', '--strip', '--tag-libc', '--target', OLDEST_NODE]
run(process.execPath, [bin('prebuildify'), ...target, ...args], { env })
