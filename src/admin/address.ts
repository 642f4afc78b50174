// Addresses as Envoy's JSON writes them.

/** `127.0.0.1:80`, `[::1]:80` or a path → `{ socket_address: … }` or `{ pipe: … }`. */
export function addressMessage(address: string): object {
  const match = /^(?:\[([^\]]+)\]|([^:/@]+)):(\d+)$/.exec(address)
  if (!match) return { pipe: { path: address } }
  return { socket_address: { address: match[1] ?? match[2], port_value: Number(match[3]) } }
}
