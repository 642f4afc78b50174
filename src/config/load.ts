/** From a file, a text or the command line to a configuration in which nothing is wrong. */

import { MillraceError } from '../errors.ts'
import { Runtime } from '../runtime/runtime.ts'
import { inSlices } from '../slices.ts'
import { Checker } from './check/check.ts'
import { Origins } from './check/origins.ts'
import { compileBootstrap, rememberInternals } from './compile/compile.ts'
import { compileLayers } from './compile/runtime.ts'
import { Problems } from './problems.ts'
import type { Bootstrap } from './schema/messages.generated.ts'
import { messageSchema } from './schema/schema.ts'
import { flagsText } from './short/flags.ts'
import { kShortKeys } from './short/keys.ts'
import { parseJson } from './source/json.ts'
import { readSource } from './source/read.ts'
import { SourceText } from './source/text.ts'
import { type SourceNode, toJson, toJsonInSteps } from './source/tree.ts'
import type { CompileResolver, ConfigSource, LoadedConfiguration } from './types.ts'

const kBootstrap = 'envoy.config.bootstrap.v3.Bootstrap'

/** Checking asks for names only to see that they can be compiled; nobody reads these. */
const checkingResolver: CompileResolver = {
  cluster: () => 0,
  routes: () => 0,
  log: () => 0,
  runtime: () => 0,
  filter: () => 0,
}

/**
 * Throws a ConfigError with everything that is wrong; the reason of `giveUp` when that is aborted
 * while a file is read.
 */
export async function loadConfiguration(
  source: ConfigSource,
  giveUp?: AbortSignal,
): Promise<LoadedConfiguration> {
  checkSource(source)
  const { text, problems } = await readText(source, giveUp)
  const origins = new Origins(problems)
  const before = problems.size
  const written = (await inSlices(parseJson(text.text))) ?? (await parseYaml(text, problems))
  if (problems.size > before || written === undefined) problems.throwIfAny()
  if (written === undefined) throw new TypeError('a text without problems has a tree')
  const short = isShortForm(written)
  const tree = short ? await expand(written, problems) : written
  const checked = await inSlices(new Checker(problems, origins).check(tree, kBootstrap))
  const bootstrap: Bootstrap = checked ?? {}
  const runtimeLayers = compileLayers(origins, bootstrap)
  const runtime = new Runtime(runtimeLayers)
  const internals = { origins, regexes: new Map(), sources: new Map(), runtime }
  const { admin } = await inSlices(compileBootstrap(bootstrap, checkingResolver, internals))
  problems.throwIfAny()
  const loaded: LoadedConfiguration = {
    name: text.name,
    form: short ? 'short' : 'envoy',
    bootstrap,
    runtimeLayers,
    ...(admin && { admin: admin.address }),
    effective: () => toJson(tree),
    effectiveInSteps: () => toJsonInSteps(tree),
  }
  rememberInternals(loaded, internals)
  return loaded
}

// What only some configurations need is loaded when it is needed: it is half of the time that
// loading takes.

async function parseYaml(text: SourceText, problems: Problems): Promise<SourceNode | undefined> {
  const { parseSource } = await import('./source/parse.ts')
  return inSlices(parseSource(text, problems))
}

async function expand(written: SourceNode, problems: Problems): Promise<SourceNode> {
  const { expandShortForm } = await import('./short/expand.ts')
  return expandShortForm(written, problems)
}

/** The text, and what is wrong with it before anything of it is read. */
async function readText(
  source: ConfigSource,
  giveUp?: AbortSignal,
): Promise<{ readonly text: SourceText; readonly problems: Problems }> {
  if (source.kind === 'object') {
    const { objectText } = await import('./source/object.ts')
    return objectText(source.name, source.value)
  }
  const text = await sourceText(source, giveUp)
  return { text, problems: new Problems(text) }
}

/** Programs call this, too. */
function checkSource(source: ConfigSource): void {
  const given = (source ?? {}) as unknown as Readonly<Record<string, unknown>>
  const isText = (key: string): boolean => typeof given[key] === 'string'
  const fits =
    (given.kind === 'file' && isText('path')) ||
    (given.kind === 'text' && isText('name') && isText('text')) ||
    (given.kind === 'object' && isText('name')) ||
    (given.kind === 'flags' && Array.isArray(given.to))
  if (fits) return
  throw new MillraceError('ERR_MILLRACE_ARGUMENT', 'source is no source of a configuration', {
    path: 'source',
    hint: "kind is 'file' (with path), 'text' (name, text), 'object' (name, value) or 'flags' (to)",
  })
}

async function sourceText(
  source: Exclude<ConfigSource, { kind: 'object' }>,
  giveUp?: AbortSignal,
): Promise<SourceText> {
  if (source.kind === 'file') {
    return new SourceText(source.path, await readSource(source.path, giveUp))
  }
  if (source.kind === 'text') return new SourceText(source.name, source.text)
  return flagsText(source.to, source.listen)
}

/** A file is in Envoy's form as soon as it has a key that only a bootstrap has. */
function isShortForm(root: SourceNode): boolean {
  if (root.kind !== 'map') return true
  const fields = messageSchema(kBootstrap)?.byName
  const keys = root.entries.map((entry) => entry.key)
  if (keys.some((key) => !kShortKeys.includes(key) && fields?.has(key))) return false
  // `admin` is a key of both; alone, and as a message, it is Envoy's.
  const admin = root.entries.find((entry) => entry.key === 'admin')
  return !(keys.length === 1 && admin?.value.kind === 'map')
}
