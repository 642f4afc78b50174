/** The phases of a server, numbered as in Envoy's ServerInfo.State. */
export const kServerStates = ['LIVE', 'DRAINING', 'PRE_INITIALIZING', 'INITIALIZING'] as const

export type ServerState = (typeof kServerStates)[number]
