import * as millrace from 'millrace'
import * as core from 'millrace/core'
import * as pino from 'millrace/pino'
import use from './use.cjs'

await use(millrace, core, pino)
