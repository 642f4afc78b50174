// Endpoints that change something; all of them POST.

import { logLevel, logLevels } from '../log.ts'
import { type Answer, type Endpoint, isOn, text } from './endpoint.ts'
import type { AdminTarget } from './target.ts'

function drain(target: AdminTarget, query: URLSearchParams): Answer {
  const graceful = isOn(query, 'graceful')
  const skipExit = isOn(query, 'skip_exit')
  if (skipExit && !graceful) {
    return text('skip_exit requires graceful: without it listeners stop at once\n', 400)
  }
  if (/INITIALIZING$/.test(target.state())) {
    const end = 'POST /quitquitquit ends the start'
    return text(`not live yet, so no listener accepts; ${end}\n`, 409)
  }
  if (graceful) target.drainListeners(!skipExit)
  else target.stopListeners()
  return text('OK\n')
}

function logging(target: AdminTarget, query: URLSearchParams): Answer {
  const level = query.get('level') ?? query.get('millrace')
  if (level !== null) {
    const known = logLevel(level)
    if (!known) return text(`unknown level "${level}"; there are: ${logLevels.join(', ')}\n`, 400)
    target.log.level = known
  }
  return text(`active loggers:\n  millrace: ${target.log.level}\n`)
}

function reopenLogs(target: AdminTarget): Answer {
  const failed = target.reopenLogs()
  if (failed.length === 0) return text('OK\n')
  return text(failed.map(({ target: file, message }) => `${file}: ${message}\n`).join(''), 500)
}

function change(
  path: string,
  help: string,
  handle: Endpoint['handle'],
  parameters: Endpoint['parameters'] = {},
): Endpoint {
  return { path, method: 'POST', help, parameters, handle }
}

/** For what needs no parameter and cannot fail. */
function doing(action: (target: AdminTarget) => void): Endpoint['handle'] {
  return (target) => {
    action(target)
    return text('OK\n')
  }
}

export const controlEndpoints: readonly Endpoint[] = [
  change(
    '/healthcheck/fail',
    'make health checks of this server fail',
    doing((target) => target.setHealthFailed(true)),
  ),
  change(
    '/healthcheck/ok',
    'make health checks of this server pass again',
    doing((target) => target.setHealthFailed(false)),
  ),
  change('/drain_listeners', 'stop accepting connections', drain, {
    graceful: 'first tell connections to close, over the drain time',
    skip_exit: 'with graceful: go on accepting afterwards',
  }),
  change('/reopen_logs', 'open the access logs again by their names, for rotation', reopenLogs),
  change('/logging', 'show or set the level of the log of this program', logging, {
    level: logLevels.join(', '),
    millrace: 'the same, by the name of the logger',
  }),
  change('/quitquitquit', 'end the process', (target) => ({
    ...text('OK\n'),
    after: () => target.quit(),
  })),
]
