/** Endpoints in a file of their own: a DiscoveryResponse with ClusterLoadAssignments. */

import { Runtime } from '../runtime/runtime.ts'
import { inSlices } from '../slices.ts'
import { Checker } from './check/check.ts'
import { Origins } from './check/origins.ts'
import { assignmentLb } from './compile/balancing.ts'
import { type Context, unpack } from './compile/context.ts'
import { compileEndpoints } from './compile/endpoints.ts'
import type { Assignment } from './definitions.ts'
import { Problems } from './problems.ts'
import type { ClusterLoadAssignment, DiscoveryResponse } from './schema/messages.generated.ts'
import { parseJson } from './source/json.ts'
import { SourceText } from './source/text.ts'
import type { SourceNode } from './source/tree.ts'

const kResponse = 'envoy.service.discovery.v3.DiscoveryResponse'
const kAssignment = 'envoy.config.endpoint.v3.ClusterLoadAssignment'

/** By the name of the assignment. Throws a ConfigError with everything that is wrong. */
export async function readAssignments(
  path: string,
  text: string,
  listAsAny: boolean,
): Promise<ReadonlyMap<string, Assignment>> {
  const source = new SourceText(path, text)
  const problems = new Problems(source)
  const origins = new Origins(problems)
  const written = (await inSlices(parseJson(text))) ?? (await parseYaml(source, problems))
  problems.throwIfAny()
  if (written === undefined) throw new TypeError('a text without problems has a tree')
  const checked = await inSlices(new Checker(problems, origins).check(written, kResponse))
  const response: DiscoveryResponse = checked ?? {}
  const context: Context = {
    origins,
    resolver: {
      cluster: () => 0,
      routes: () => 0,
      log: () => 0,
      runtime: () => 0,
      filter: () => 0,
    },
    clusters: new Set(),
    dnsCaches: new Map(),
    rotations: new Map(),
    regexes: new Map(),
    sources: new Map(),
    runtime: new Runtime(),
  }
  const found = new Map<string, Assignment>()
  for (const resource of response.resources ?? []) {
    const message = unpack(resource, kAssignment)
    if (message === undefined) continue
    const { cluster_name: name = '' } = message
    if (found.has(name)) {
      const text = `two assignments are of "${name}"`
      origins.add(message, ['cluster_name'], 'duplicate', text)
    }
    found.set(name, compileAssignment(context, message, listAsAny))
  }
  problems.throwIfAny()
  return found
}

function compileAssignment(
  context: Context,
  message: ClusterLoadAssignment,
  listAsAny: boolean,
): Assignment {
  const staleAfter = message.policy?.endpoint_stale_after
  return {
    ...compileEndpoints(context, message, listAsAny),
    lb: assignmentLb(context, message),
    ...(staleAfter !== undefined && { staleAfter }),
  }
}

async function parseYaml(source: SourceText, problems: Problems): Promise<SourceNode | undefined> {
  const { parseSource } = await import('./source/parse.ts')
  return inSlices(parseSource(source, problems))
}
