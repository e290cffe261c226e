import { parseHost } from "../protocol/HostAddress.ts"

/**
 * The message id a broker makes, upper-case hex of:
 *
 * ```text
 * 4 or 16 bytes IP of the broker | int32 port | int64 commit log offset
 * ```
 *
 * Source: RocketMQ `MessageDecoder.createMessageId`.
 */
export const encode = (storeHost: string, commitLogOffset: number): string => {
  const { ip, port } = parseHost(storeHost)
  const out = Buffer.alloc(ip.length + 12)
  out.set(ip)
  out.writeInt32BE(port, ip.length)
  out.writeBigInt64BE(BigInt(commitLogOffset), ip.length + 4)
  return out.toString("hex").toUpperCase()
}

/** The commit log offset in such an id; `undefined` when it is none. */
export const commitLogOffset = (id: string): number | undefined => {
  if (!/^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{56})$/.test(id)) return undefined
  const offset = Number(BigInt(`0x${id.slice(-16)}`))
  return Number.isSafeInteger(offset) ? offset : undefined
}
