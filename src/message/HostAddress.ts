/**
 * Host addresses as they lie in stored messages and message ids: the bytes of an IP address and a port.
 *
 * Source: RocketMQ `MessageDecoder`, `MessageExt.getBornHostBytes`.
 */

/** Reads the IP at `at` (4 or 16 bytes) and the int port behind it as `1.2.3.4:5` or `[1:2::3]:5`. */
export const readHost = (bytes: Buffer, at: number, v6: boolean): string => {
  if (!v6) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}:${bytes.readInt32BE(at + 4)}`
  return `[${textOf(bytes.subarray(at, at + 16))}]:${bytes.readInt32BE(at + 16)}`
}

/** The text of an IPv4 or IPv6 address of 4 or 16 bytes, without brackets: the one that equal addresses share. */
export const textOf = (ip: Uint8Array): string => {
  if (ip.length === 4) return ip.join(".")
  const groups: Array<string> = []
  for (let i = 0; i < 16; i += 2) groups.push((((ip[i] ?? 0) << 8) | (ip[i + 1] ?? 0)).toString(16))
  return shorten(groups)
}

/** The usual short text of an IPv6 address: its longest run of zero groups is `::`. */
const shorten = (groups: ReadonlyArray<string>): string => {
  let best = 0
  let length = 1
  for (let start = 0; start < 8; start++) {
    let end = start
    while (end < 8 && groups[end] === "0") end++
    if (end - start > length) {
      best = start
      length = end - start
    }
  }
  if (length < 2) return groups.join(":")
  return `${groups.slice(0, best).join(":")}::${groups.slice(best + length).join(":")}`
}

/** An address as bytes. */
export interface HostBytes {
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array
  readonly port: number
}

/**
 * Reads `1.2.3.4:5` or `[1:2::3]:5`. A host that is no IP address (a name) becomes 0.0.0.0, since the layout has room for
 * addresses only.
 */
export const parseHost = (text: string): HostBytes => {
  const colon = text.lastIndexOf(":")
  const port = Number(text.slice(colon + 1))
  return { ip: addressBytes(text.slice(0, colon)) ?? new Uint8Array(4), port: Number.isInteger(port) ? port | 0 : 0 }
}

/** The longest text of an IPv6 address: six groups and an IPv4 address. */
const MAX_V6_LENGTH = 45

/** The bytes of an IPv4 or IPv6 address (brackets allowed), or undefined when the text is neither. */
export const addressBytes = (text: string): Uint8Array | undefined => {
  const host = text.replace(/^\[|\]$/g, "")
  if (!host.includes(":")) return parseV4(host)
  const [address = ""] = host.split("%", 1)
  if (address.length > MAX_V6_LENGTH) return undefined
  const halves = address.split("::")
  if (halves.length > 2) return undefined
  const front = parseGroups(halves[0] ?? "")
  const back = parseGroups(halves[1] ?? "")
  if (front === undefined || back === undefined) return undefined
  const missing = 16 - front.length - back.length
  if (halves.length === 1 ? missing !== 0 : missing < 0) return undefined
  const out = new Uint8Array(16)
  out.set(front, 0)
  out.set(back, 16 - back.length)
  return out
}

const parseV4 = (host: string): Uint8Array | undefined => {
  const parts = host.split(".")
  if (parts.length !== 4 || !parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) < 256)) return undefined
  return Uint8Array.from(parts, Number)
}

const parseGroups = (text: string): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const out: Array<number> = []
  for (const part of text.split(":")) {
    const v4 = part.includes(".") ? parseV4(part) : undefined
    if (v4 !== undefined) for (const byte of v4) out.push(byte)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      const group = Number.parseInt(part, 16)
      out.push(group >> 8, group & 255)
    } else return undefined
  }
  return out
}
