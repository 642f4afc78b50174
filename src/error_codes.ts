/**
 * Every code of Millrace's own errors: when it is thrown, and what to do. `docs/errors.md` is made
 * from this table, and a test finds codes that are missing here or that nothing throws any more.
 */

export interface ErrorCodeEntry {
  /** When an error has this code. */
  readonly when: string
  /** What whoever gets it can do. */
  readonly what: string
  /** Whose it is: `all`, the command line, configuration, proxies, `millrace/core`, flush files. */
  readonly of: 'all' | 'command line' | 'configuration' | 'proxies' | 'slot tables' | 'flush files'
}

const kBug = 'This is a fault of Millrace: please report it, with the message.'
const kRefused =
  'Configurations that Millrace compiles are checked before: report it, with the configuration.'
const kDescriptors = 'Raise the limit of open files (`ulimit -n`), or the memory of the container.'

/** The code of one of Millrace's own errors. */
export type ErrorCode =
  | 'ERR_MILLRACE_ARGUMENT'
  | 'ERR_MILLRACE_NATIVE_MISSING'
  | 'ERR_MILLRACE_RUNTIME'
  | 'ERR_MILLRACE_OUT_OF_MEMORY'
  | 'ERR_MILLRACE_SYSTEM'
  | 'ERR_MILLRACE_INTERNAL'
  | 'ERR_MILLRACE_NATIVE'
  | 'ERR_MILLRACE_NATIVE_ARGUMENT'
  | 'ERR_MILLRACE_USAGE'
  | 'ERR_MILLRACE_PID_FILE'
  | 'ERR_MILLRACE_BUILD'
  | 'ERR_MILLRACE_CONFIG'
  | 'ERR_MILLRACE_ROUTES'
  | 'ERR_MILLRACE_MATCHER'
  | 'ERR_MILLRACE_REGEX'
  | 'ERR_MILLRACE_DFA'
  | 'ERR_MILLRACE_HEADER'
  | 'ERR_MILLRACE_FORMAT'
  | 'ERR_MILLRACE_LOG_FILTER'
  | 'ERR_MILLRACE_CLUSTER'
  | 'ERR_MILLRACE_SLOT'
  | 'ERR_MILLRACE_ADDRESS'
  | 'ERR_MILLRACE_LISTENER'
  | 'ERR_MILLRACE_BIND'
  | 'ERR_MILLRACE_LISTEN'
  | 'ERR_MILLRACE_ACCEPT_PAUSED'
  | 'ERR_MILLRACE_POLL'
  | 'ERR_MILLRACE_STARTED'
  | 'ERR_MILLRACE_NOT_STARTED'
  | 'ERR_MILLRACE_NOT_LIVE'
  | 'ERR_MILLRACE_DRAINING'
  | 'ERR_MILLRACE_CLOSED'
  | 'ERR_MILLRACE_CLOSE'
  | 'ERR_MILLRACE_SUPERSEDED'
  | 'ERR_MILLRACE_UNKNOWN_CLUSTER'
  | 'ERR_MILLRACE_LOGGER'
  | 'ERR_MILLRACE_LOG_WRITE'
  | 'ERR_MILLRACE_LOG_REOPEN'
  | 'ERR_MILLRACE_LOG_ROTATE'
  | 'ERR_MILLRACE_SLOT_EXISTS'
  | 'ERR_MILLRACE_SLOT_UNKNOWN'
  | 'ERR_MILLRACE_SLOT_KIND'
  | 'ERR_MILLRACE_SLOT_READ_ONLY'
  | 'ERR_MILLRACE_SLOTS_EXHAUSTED'
  | 'ERR_MILLRACE_HANDLE_INVALID'
  | 'ERR_MILLRACE_TABLE_CLOSED'
  | 'ERR_MILLRACE_VALUE_NOT_CLONEABLE'
  | 'ERR_MILLRACE_NOT_TAKEN'
  | 'ERR_MILLRACE_FLUSH_OPEN'
  | 'ERR_MILLRACE_FLUSH_WRITE'
  | 'ERR_MILLRACE_FLUSH_ROTATE'
  | 'ERR_MILLRACE_FLUSH_ROTATION'
  | 'ERR_MILLRACE_FLUSH_GZIP'
  | 'ERR_MILLRACE_FLUSH_TIMEOUT'
  | 'ERR_MILLRACE_FLUSH_LOST'
  | 'ERR_MILLRACE_FLUSH_ENDED'
  | 'ERR_MILLRACE_FLUSH_STOPPED'
  | 'ERR_MILLRACE_FLUSH_HANDLE'
  | 'ERR_MILLRACE_FLUSH_TOO_MANY'
  | 'ERR_MILLRACE_FLUSH_THREAD'
  | 'ERR_MILLRACE_FLUSH_WAKER'

export const kErrorCodes: Readonly<Record<ErrorCode, ErrorCodeEntry>> = {
  ERR_MILLRACE_ARGUMENT: {
    of: 'all',
    when: 'An argument or an option is of the wrong type, out of its range, or unknown.',
    what: '`path` says which; the message says what it may be.',
  },
  ERR_MILLRACE_NATIVE_MISSING: {
    of: 'all',
    when: 'No binary of the addon fits this machine, or it cannot be loaded.',
    what: 'The message has the command; `npx millrace doctor` says more, and docs/install.md.',
  },
  ERR_MILLRACE_RUNTIME: {
    of: 'all',
    when: 'This runtime lacks what the feature needs (Bun and slot tables).',
    what: 'Use Node, or do without the feature: the table is in docs/install.md.',
  },
  ERR_MILLRACE_OUT_OF_MEMORY: {
    of: 'all',
    when: 'There is no native memory for a value.',
    what: 'Publish less, or give the process more.',
  },
  ERR_MILLRACE_SYSTEM: {
    of: 'all',
    when: 'The system refused something that has no code of its own; `cause` is its error.',
    what: "Read the message: it names the system's error and what it was about.",
  },
  ERR_MILLRACE_INTERNAL: { of: 'all', when: 'Something that cannot be.', what: kBug },
  ERR_MILLRACE_NATIVE: {
    of: 'all',
    when: 'Node could not make what calls back from other threads.',
    what: kBug,
  },
  ERR_MILLRACE_NATIVE_ARGUMENT: {
    of: 'all',
    when: 'The addon was called with something that its TypeScript side never passes.',
    what: 'Call Millrace through its modules. Where you did: please report it.',
  },
  ERR_MILLRACE_USAGE: {
    of: 'command line',
    when: 'The command line cannot be understood (exit status 1).',
    what: '`millrace --help`; the hint names what was meant, if it can be guessed.',
  },
  ERR_MILLRACE_PID_FILE: {
    of: 'command line',
    when: 'The file of `--pid-file` cannot be written.',
    what: 'Make its folder, or let the user of the process write there.',
  },
  ERR_MILLRACE_BUILD: {
    of: 'command line',
    when: '`millrace build-native` could not build the addon from source.',
    what: 'Install what the message names: a C++20 compiler, make, Python 3.',
  },
  ERR_MILLRACE_CONFIG: {
    of: 'configuration',
    when: 'The configuration has mistakes: a `ConfigError` with all of them and their positions.',
    what: 'Mend them; `millrace validate` tries a file without running it.',
  },
  ERR_MILLRACE_ROUTES: {
    of: 'configuration',
    when: 'The core refused a route table.',
    what: kRefused,
  },
  ERR_MILLRACE_MATCHER: {
    of: 'configuration',
    when: 'The core refused a matcher.',
    what: kRefused,
  },
  ERR_MILLRACE_REGEX: {
    of: 'configuration',
    when: 'The core refused a compiled regular expression or its substitution.',
    what: kRefused,
  },
  ERR_MILLRACE_DFA: {
    of: 'configuration',
    when: 'The core refused the table of a regular expression.',
    what: kRefused,
  },
  ERR_MILLRACE_HEADER: {
    of: 'configuration',
    when: 'The core refused a header that was to be added or removed.',
    what: kRefused,
  },
  ERR_MILLRACE_FORMAT: { of: 'configuration', when: 'The core refused a format.', what: kRefused },
  ERR_MILLRACE_LOG_FILTER: {
    of: 'configuration',
    when: "The core refused an access log's filter.",
    what: kRefused,
  },
  ERR_MILLRACE_CLUSTER: {
    of: 'configuration',
    when: 'Hosts were given to a cluster that was not published, or is gone.',
    what: kBug,
  },
  ERR_MILLRACE_SLOT: {
    of: 'configuration',
    when: 'Something was published in a slot that is not allocated, or that holds something else.',
    what: kBug,
  },
  ERR_MILLRACE_ADDRESS: {
    of: 'configuration',
    when: 'An address is no IP literal, or its interface or its socket path cannot be used.',
    what: 'Names need a cluster of type STRICT_DNS or LOGICAL_DNS; the message quotes the address.',
  },
  ERR_MILLRACE_LISTENER: {
    of: 'proxies',
    when: 'The core refused a listener: of this name there is one, or none.',
    what: kRefused,
  },
  ERR_MILLRACE_BIND: {
    of: 'proxies',
    when: 'A listener cannot be bound; `cause` is the error of the system.',
    what: 'End who has the port, choose another, or give the process the right to take it.',
  },
  ERR_MILLRACE_LISTEN: {
    of: 'proxies',
    when: 'The admin interface cannot listen at its address.',
    what: 'As for ERR_MILLRACE_BIND; or leave the admin interface out.',
  },
  ERR_MILLRACE_ACCEPT_PAUSED: {
    of: 'proxies',
    when: 'Descriptors or memory are short: accepting pauses, clients wait in the backlog (event).',
    what: kDescriptors,
  },
  ERR_MILLRACE_POLL: {
    of: 'proxies',
    when: 'The system gives no event queue (epoll, kqueue), or takes no more descriptors into it.',
    what: kDescriptors,
  },
  ERR_MILLRACE_STARTED: {
    of: 'proxies',
    when: 'A proxy was started a second time.',
    what: 'Make another one; `apply` changes the configuration of one that runs.',
  },
  ERR_MILLRACE_NOT_STARTED: {
    of: 'proxies',
    when: 'Something was asked of a proxy that was not started.',
    what: '`await proxy.start()` first.',
  },
  ERR_MILLRACE_NOT_LIVE: {
    of: 'proxies',
    when: 'A configuration was to be reloaded before the first one was in force.',
    what: 'Wait for the start.',
  },
  ERR_MILLRACE_DRAINING: {
    of: 'proxies',
    when: 'The proxy drains: it takes no further configuration.',
    what: 'Nothing: this is what draining means.',
  },
  ERR_MILLRACE_CLOSED: {
    of: 'proxies',
    when: 'The proxy is closed, or was while this was under way.',
    what: 'Make another one.',
  },
  ERR_MILLRACE_CLOSE: {
    of: 'proxies',
    when: 'Something failed while a proxy was closed; it is closed all the same (event).',
    what: 'Read the message; `cause` is the error.',
  },
  ERR_MILLRACE_SUPERSEDED: {
    of: 'proxies',
    when: 'A newer configuration took the place of this one while it waited for its clusters.',
    what: 'Nothing: the newer one is what counts.',
  },
  ERR_MILLRACE_UNKNOWN_CLUSTER: {
    of: 'proxies',
    when: 'The configuration in force has no cluster of this name.',
    what: 'Check the name; the message has one that is like it.',
  },
  ERR_MILLRACE_LOGGER: {
    of: 'proxies',
    when: 'The logger in `options.log` threw (event); the proxy goes on.',
    what: 'Mend the logger; `cause` is what it threw.',
  },
  ERR_MILLRACE_LOG_WRITE: {
    of: 'proxies',
    when: 'An access log cannot be written (event); lines wait, and are then dropped and counted.',
    what: 'Free the disk, or reopen the file once it can be written.',
  },
  ERR_MILLRACE_LOG_REOPEN: {
    of: 'proxies',
    when: 'A log file could not be opened again (event); the old one stays in use.',
    what: 'Make its folder, or let the user of the process write there, and reopen.',
  },
  ERR_MILLRACE_LOG_ROTATE: {
    of: 'proxies',
    when: 'A log file could not be rotated, or an old one not be compressed or removed (event).',
    what: 'Let the user of the process write to the folder, or free the disk; it is tried again.',
  },
  ERR_MILLRACE_SLOT_EXISTS: {
    of: 'slot tables',
    when: 'A slot of this name is there already.',
    what: 'Use `slot(name)`, or another name.',
  },
  ERR_MILLRACE_SLOT_UNKNOWN: {
    of: 'slot tables',
    when: 'There is no slot of this name.',
    what: 'Its owner calls `allocate()` first; then the handle is sent.',
  },
  ERR_MILLRACE_SLOT_KIND: {
    of: 'slot tables',
    when: 'A map was used as a value, or the other way round.',
    what: 'Use `slot.map` of a map, and `set()` and `get()` of the rest.',
  },
  ERR_MILLRACE_SLOT_READ_ONLY: {
    of: 'slot tables',
    when: 'A thread that is not the owner wanted to set a slot.',
    what: 'Send what is to be set to the owner.',
  },
  ERR_MILLRACE_SLOTS_EXHAUSTED: {
    of: 'slot tables',
    when: '65,536 slots are in use.',
    what: 'Put many values into a map: it is one slot.',
  },
  ERR_MILLRACE_HANDLE_INVALID: {
    of: 'slot tables',
    when: 'This process gave no such handle.',
    what: 'Pass `table.handle` in `workerData`; it means nothing in another process.',
  },
  ERR_MILLRACE_TABLE_CLOSED: {
    of: 'slot tables',
    when: "The table, or this thread's part in it, was closed.",
    what: 'Values that were read stay; nothing new comes.',
  },
  ERR_MILLRACE_VALUE_NOT_CLONEABLE: {
    of: 'slot tables',
    when: 'A value cannot be copied to other threads; `path` says where in it.',
    what: 'Leave out functions, symbols, views of shared memory and the like.',
  },
  ERR_MILLRACE_NOT_TAKEN: {
    of: 'slot tables',
    when: 'Not every thread took a value in time; `readers` says for whom it waited.',
    what: 'It is published all the same. Threads that block call `table.refresh()`.',
  },
  ERR_MILLRACE_FLUSH_OPEN: {
    of: 'flush files',
    when: 'A file cannot be opened or reopened; `cause.code` is the name of errno.',
    what: 'Make its folder (`mkdir: true`), or let the user of the process write there.',
  },
  ERR_MILLRACE_FLUSH_WRITE: {
    of: 'flush files',
    when: 'Writing fails: `error` events, and `flush()`.',
    what: 'Free the disk; what is buffered is written then.',
  },
  ERR_MILLRACE_FLUSH_ROTATE: {
    of: 'flush files',
    when: 'A file cannot be rotated, or an old one not be compressed or removed: `error` events.',
    what: 'Let the user of the process write to the folder, or free the disk; it is tried again.',
  },
  ERR_MILLRACE_FLUSH_ROTATION: {
    of: 'flush files',
    when: 'Only a file with a path can be rotated; or the process rotates it otherwise already.',
    what: 'Give a path of a file, and the same `rotate` to all that write to it.',
  },
  ERR_MILLRACE_FLUSH_GZIP: {
    of: 'flush files',
    when: '`gzip: true`, and neither the runtime nor the system has zlib.',
    what: 'Install zlib (`libz.so.1`), or rotate without `gzip`.',
  },
  ERR_MILLRACE_FLUSH_TIMEOUT: {
    of: 'flush files',
    when: 'A write that has not returned holds up what was asked.',
    what: 'Look at the disk or at who reads the pipe; try again.',
  },
  ERR_MILLRACE_FLUSH_LOST: {
    of: 'flush files',
    when: 'Lines were lost when a destination was destroyed; the message says how many.',
    what: '`end()` instead of `destroy()` writes them.',
  },
  ERR_MILLRACE_FLUSH_ENDED: {
    of: 'flush files',
    when: 'A line was written after `end()`.',
    what: 'End the file when nothing writes to it any more.',
  },
  ERR_MILLRACE_FLUSH_STOPPED: {
    of: 'flush files',
    when: 'A file was asked for something after it was stopped.',
    what: 'Open it again.',
  },
  ERR_MILLRACE_FLUSH_HANDLE: {
    of: 'flush files',
    when: 'The handle is of another process.',
    what: 'Each process opens files of its own; appending lines to one file is safe.',
  },
  ERR_MILLRACE_FLUSH_TOO_MANY: {
    of: 'flush files',
    when: '1,024 files are open.',
    what: 'Close some, or write to fewer.',
  },
  ERR_MILLRACE_FLUSH_THREAD: {
    of: 'flush files',
    when: "The thread of a file cannot be made; `cause` is the system's error.",
    what: 'Raise the limit of threads (`ulimit -u`, the pids of the container).',
  },
  ERR_MILLRACE_FLUSH_WAKER: {
    of: 'flush files',
    when: 'No descriptor is left to wake the thread of a file.',
    what: kDescriptors,
  },
}
