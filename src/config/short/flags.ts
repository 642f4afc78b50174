/**
 * `--to URL --listen ADDRESS` as a text in the short form, so that errors point into what was asked
 * for.
 */

import { SourceText } from '../source/text.ts'

const kDefaultListen = '8080'

/** One line of JSON; the addresses are checked as those of a file are. */
export function flagsText(to: readonly string[], listen: string = kDefaultListen): SourceText {
  const text = (value: string): string => JSON.stringify(value)
  const urls = to.map(text).join(', ')
  const line = `{"listen": ${text(listen)}, "routes": {"/": [${urls}]}}`
  return new SourceText('command line', line)
}
