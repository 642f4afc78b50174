// Libraries that are carried in the package instead of being its dependencies. Each file named here
// is compiled by tsc as any other, and then replaced in dist/ by itself with all that it imports;
// beside it, the licences of what is in it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { build } from 'esbuild'
import { root } from './lib.mjs'

const carried = ['src/cluster/health/grpc_client.ts']

// Neither a `require` of the bundle nor one of the bundle that a user may make of it.
const builtins = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(node:)?(${builtinModules.join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'builtin' }))
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}

// Loaded by channelz and by ORCA alone, to read .proto files at run time; neither is used.
const unused = {
  name: 'unused',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: 'unused' }))
    onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not part of this package`)})`,
    }))
  },
}

/** The packages that files of a bundle came from: folder → its package.json. */
function packagesOf(inputs) {
  const found = new Map()
  for (const input of Object.keys(inputs)) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]
    if (folder === undefined || found.has(folder)) continue
    found.set(folder, JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')))
  }
  return found
}

function licenceOf(folder, { name, version, license }) {
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry))
  if (file === undefined) throw new Error(`${folder} has no file with its licence`)
  const text = readFileSync(join(root, folder, file), 'utf8').trim()
  return `${name} ${version} (${license})\n\n${text}\n`
}

export async function bundleCarried() {
  for (const source of carried) {
    const out = join(root, source.replace(/^src/, 'dist').replace(/\.ts$/, '.js'))
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [source],
      outfile: out,
      bundle: true,
      metafile: true,
      platform: 'node',
      target: 'node20.19',
      format: 'esm',
      minify: true,
      legalComments: 'none', // they are in the file beside it
      logLevel: 'warning',
      plugins: [builtins, unused],
    })
    const licences = [...packagesOf(metafile.inputs)].map(([folder, json]) =>
      licenceOf(folder, json),
    )
    writeFileSync(out.replace(/\.js$/, '.licenses.txt'), licences.join(`\n${'-'.repeat(78)}\n\n`))
    if (!existsSync(out)) throw new Error(`${out} was not written`)
  }
}
