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

const bytesToHex = (bytes: ReadonlyArray<number>): string => bytes.map((b) => hex(b, 2)).join("")

const parseV4 = (ip: string): ReadonlyArray<number> | undefined => {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(ip)) return undefined
  const parts = ip.split(".").map(Number)
  return parts.every((p) => p <= 255) ? parts : undefined
}

const groups = (part: string): ReadonlyArray<string> => (part === "" ? [] : part.split(":"))

const parseV6 = (text: string): ReadonlyArray<number> | undefined => {
  const ip = text.replace(/^\[|\]$/g, "").replace(/%.*$/, "")
  const [head = "", tail, more] = ip.split("::")
  if (more !== undefined) return undefined
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const missing = 8 - left.length - right.length
  if (tail === undefined ? missing !== 0 : missing < 0) return undefined
  const all = [...left, ...Array.from({ length: missing }, () => "0"), ...right]
  return all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))
    ? all.map((group) => Number.parseInt(group, 16)).flatMap((group) => [group >> 8, group & 0xff])
    : undefined
}

/** The bytes of an IPv4 or IPv6 address (brackets allowed), or undefined when the text is neither. */
export const addressBytes = (ip: string): ReadonlyArray<number> | undefined => parseV4(ip) ?? parseV6(ip)

/** Makes unique ids; `nowMillis` is the wall clock in milliseconds since the epoch. */
export type UniqueIds = (nowMillis: number) => string

/**
 * A generator of unique ids. Two generators differ by `random`; one generator repeats itself only after 65,536 ids in one
 * millisecond.
 */
export const makeUniqueIds = (options: {
  readonly ip: string
  readonly pid: number
  /** Any 32-bit int. */
  readonly random: number
}): UniqueIds => {
  const prefix =
    bytesToHex(addressBytes(options.ip) ?? [127, 0, 0, 1]) + hex(options.pid & 0xffff, 4) + hex(options.random >>> 0, 8)
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
  const ipDigits = id.length === 32 ? 8 : 32
  const bytes = Array.from({ length: ipDigits / 2 }, (_, i) => Number.parseInt(id.slice(i * 2, i * 2 + 2), 16))
  const ip =
    bytes.length === 4
      ? bytes.join(".")
      : `[${Array.from({ length: 8 }, (_, i) => (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16)).join(":")}]`
  return {
    address: `${ip}:${Number.parseInt(id.slice(ipDigits, ipDigits + 8), 16)}`,
    offset: BigInt(`0x${id.slice(ipDigits + 8)}`)
  }
}

/** Writes an offset message id; undefined when the address is no `ip:port`. Source: RocketMQ `MessageDecoder.createMessageId`. */
export const encodeOffsetMessageId = (address: string, offset: bigint): string | undefined => {
  const colon = address.lastIndexOf(":")
  const bytes = addressBytes(address.slice(0, colon))
  return bytes === undefined
    ? undefined
    : bytesToHex(bytes) + hex(Number(address.slice(colon + 1)), 8) + offset.toString(16).toUpperCase().padStart(16, "0")
}
