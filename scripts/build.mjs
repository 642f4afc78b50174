// npm run build [-- --debug]: everything that the command line and the tests need.
//   dist/                       TypeScript, what is generated from Envoy's .proto files, and the
//                               libraries that the package carries (bundle.mjs)
//   build/Release/millrace.node the addon as it is released (node-gyp; link-time optimised)
//   build/Debug/millrace.node   with --debug: the addon through CMake, with assertions
// --ts leaves the addon out, --native leaves TypeScript out.
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { bundleCarried } from './bundle.mjs'
import { bin, buildEnv, root, run } from './lib.mjs'

const args = new Set(process.argv.slice(2))

function releaseAddon() {
  const steps = ['configure', 'build', '--loglevel', 'error']
  run(process.execPath, [bin('node-gyp'), ...steps], { env: buildEnv() })
}

function debugAddon() {
  const out = 'build-cmake/addon-debug'
  const { CXX, ...env } = buildEnv() // CMakeLists.txt finds ccache itself
  run(process.execPath, [bin('cmake-js'), 'build', '--debug', '--out', out], { env })
  rmSync(`${root}/build/Release`, { recursive: true, force: true }) // the loader would prefer it
  mkdirSync(`${root}/build/Debug`, { recursive: true })
  cpSync(`${root}/${out}/Debug/millrace.node`, `${root}/build/Debug/millrace.node`)
}

if (!args.has('--native')) {
  run(process.execPath, [bin('tsc'), '--project', 'tsconfig.json'])
  await bundleCarried()
}
if (!args.has('--ts')) {
  if (args.has('--debug')) debugAddon()
  else releaseAddon()
}
