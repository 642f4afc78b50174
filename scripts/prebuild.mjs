// npm run prebuild: the binary of this platform into prebuilds/<platform>-<arch>/, as it is
// published. It is built against the oldest supported Node's headers; Node-API makes it load in all
// newer ones.
import { delimiter, join } from 'node:path'
import { bin, buildEnv, root, run } from './lib.mjs'

const OLDEST_NODE = '20.19.0'

const env = buildEnv()
// prebuildify looks for node-gyp there
env.PATH = join(root, 'node_modules/.bin') + delimiter + env.PATH
const target = ['--napi', '--strip', '--tag-libc', '--target', OLDEST_NODE]
const arch = process.argv.slice(2) // for instance: --arch x64+arm64 (macOS)
run(process.execPath, [bin('prebuildify'), ...target, ...arch], { env })
