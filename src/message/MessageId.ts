import { addressBytes, parseHost, readHost } from "./HostAddress.ts"

/**
 * Ids of messages.
 *
 * ```text
 * unique id (UNIQ_KEY), upper-case hex of 16 bytes, 28 with an IPv6 address
 *   4 or 16  address of this machine
 *   2        process id, low 16 bits
 *   4        a random int of this client (Java: the class loader's hash)
 *   4        milliseconds since the start of the month, local time
 *   2        counter
 *
 * offset message id, upper-case hex of 16 bytes, 28 with an IPv6 address
 *   4 or 16  address of the broker
 *   4        its port
 *   8        commit log offset
 * ```
 *
 * Source: RocketMQ `MessageClientIDSetter`, `MessageDecoder.createMessageId`.
 */

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0")

const byteHex: ReadonlyArray<string> = Array.from({ length: 256 }, (_, b) => hex(b, 2))

/** Makes unique ids; `nowMillis` is the wall clock in milliseconds since the epoch. */
export type UniqueIds = (nowMillis: number) => string

/**
 * A generator of unique ids. Two generators differ by `random`; one generator repeats itself only after 65,536 ids in one
 * millisecond.
 *
 * @internal
 */
export const makeUniqueIds = (options: {
  readonly ip: string
  readonly pid: number
  /** Any 32-bit int. */
  readonly random: number
}): UniqueIds => {
  const ip = addressBytes(options.ip) ?? [127, 0, 0, 1]
  const prefix =
    Array.from(ip, (byte) => hex(byte, 2)).join("") + hex(options.pid & 0xffff, 4) + hex(options.random >>> 0, 8)
  let monthStart = 0
  let nextMonthStart = 0
  let counter = 0
  let lastMillis = -1
  let timePart = ""
  return (nowMillis) => {
    if (nowMillis !== lastMillis) {
      if (nowMillis >= nextMonthStart || nowMillis < monthStart) {
        const date = new Date(nowMillis)
        monthStart = new Date(date.getFullYear(), date.getMonth(), 1).getTime()
        nextMonthStart = new Date(date.getFullYear(), date.getMonth() + 1, 1).getTime()
      }
      lastMillis = nowMillis
      timePart = prefix + hex((nowMillis - monthStart) >>> 0, 8)
    }
    counter = (counter + 1) & 0xffff
    return `${timePart}${byteHex[counter >> 8] ?? ""}${byteHex[counter & 0xff] ?? ""}`
  }
}

/** What an offset message id says. */
export interface OffsetMessageId {
  /** `ip:port` of the broker. */
  readonly address: string
  /** Position in its commit log. */
  readonly offset: bigint
}

/** Reads an offset message id; undefined when the text is none. Source: RocketMQ `MessageDecoder.decodeMessageId`. */
export const decodeOffsetMessageId = (id: string): OffsetMessageId | undefined => {
  if (!/^(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{56})$/.test(id)) return undefined
  const bytes = Buffer.from(id, "hex")
  const offsetAt = bytes.length - 8
  return { address: readHost(bytes, 0, offsetAt > 8), offset: bytes.readBigUInt64BE(offsetAt) }
}

/**
 * Writes an offset message id. A host that is no IP address becomes 0.0.0.0, as in stored messages.
 *
 * Source: RocketMQ `MessageDecoder.createMessageId`.
 */
export const encodeOffsetMessageId = (address: string, offset: bigint | number): string => {
  const { ip, port } = parseHost(address)
  const out = Buffer.alloc(ip.length + 12)
  out.set(ip)
  out.writeInt32BE(port, ip.length)
  out.writeBigUInt64BE(BigInt(offset), ip.length + 4)
  return out.toString("hex").toUpperCase()
}
