import { Schema } from "effect"
import { isIPv6 } from "node:net"
import * as ForeignText from "../message/ForeignText.ts"
import { addressBytes, textOf } from "../message/HostAddress.ts"

/** A host and a port. */
export interface Address {
  /** A host name or IP address; IPv6 without brackets. */
  readonly host: string
  /** 0 to 65535. */
  readonly port: number
}

/** The longest address, in characters: a host name has at most 253, and an IP address fewer. */
export const MAX_LENGTH = 255

/** Text that is no `host:port`. */
export class AddressError extends Schema.TaggedError<AddressError>()("AddressError", {
  /** The text as it was given. */
  address: Schema.String,
  /** What is wrong with it: `the port is missing`. */
  detail: Schema.String
}) {
  override get message(): string {
    const shown = ForeignText.clean(this.address, MAX_LENGTH)
    return `"${shown}" is no address (${this.detail}): write it as host:port or [ipv6]:port`
  }
}

/** What a host may not hold, and what is wrong then. */
const misfits: ReadonlyArray<readonly [pattern: RegExp, detail: string]> = [
  [/\s/, "there is a space in it"],
  [/^[/\\]/, "it begins with a slash"],
  [/[/\\]/, "there is a slash in it"],
  [/[,;，；]/, "there is a comma or semicolon in it, and it is to be one address"],
  [/[：．。]/, "there is a full-width character in it"],
  [/[[\]]/, "its brackets do not match"]
]

const problemOfHost = (address: string, host: string, bracketed: boolean): string | undefined => {
  if (!ForeignText.isClean(host)) return "there are control characters in it"
  const misfit = misfits.find(([pattern]) => pattern.test(host))
  if (misfit !== undefined) return misfit[1]
  if (!bracketed && !host.includes(":")) return undefined
  if (isIPv6(host)) return undefined
  if (bracketed) return "only an IPv6 address stands in brackets"
  return isIPv6(address) ? "the port is missing" : "its host has colons and is no IPv6 address"
}

/**
 * Reads `host:port`, the port 0 to 65535. The host ends at the last colon, so that an IPv6 address needs no brackets: a
 * broker with `brokerIP1=::1` announces `::1:10911`.
 *
 * Source: RocketMQ `NetworkUtil.string2SocketAddress`.
 */
export const parse = (address: string): Address | AddressError => {
  const fail = (detail: string) => new AddressError({ address, detail })
  if (address.trim() === "") return fail("it is empty")
  if (address.length > MAX_LENGTH) return fail(`it has more than ${MAX_LENGTH} characters`)
  const colon = address.lastIndexOf(":")
  const hostText = colon < 0 ? address : address.slice(0, colon)
  const bracketed = hostText.startsWith("[") && hostText.endsWith("]")
  const host = bracketed ? hostText.slice(1, -1) : hostText
  const problem = problemOfHost(address, host, bracketed)
  if (problem !== undefined) return fail(problem)
  if (colon < 0) return fail("the port is missing")
  if (host === "") return fail("the host is missing")
  const port = address.slice(colon + 1)
  return /^[0-9]{1,5}$/.test(port) && Number(port) <= 65_535
    ? { host, port: Number(port) }
    : fail(port.trim() === "" ? "the port is missing" : "the port is no number from 0 to 65535")
}

/** Writes an address the way {@link parse} reads it. */
export const format = (address: Address): string =>
  address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`

/**
 * Writes an address in the one form that all texts of the same address have: `::1:10911` and `[0:0:0:0:0:0:0:1]:10911`
 * both become `[::1]:10911`, and an IPv4 address within IPv6 (`::ffff:10.0.0.1`) is an IPv4 address, as it is for the
 * system. Host names stay as they are.
 */
export const canonical = (address: Address): string => {
  const ip = address.host.includes(":") ? addressBytes(address.host) : undefined
  if (ip === undefined) return format(address)
  if (isMapped(ip)) return format({ host: textOf(ip.subarray(12)), port: address.port })
  const zone = address.host.indexOf("%")
  return format({ host: textOf(ip) + (zone < 0 ? "" : address.host.slice(zone)), port: address.port })
}

/** {@link canonical} of a text; the text itself when it is no address. */
export const canonicalText = (text: string): string => {
  const parsed = parse(text)
  return parsed instanceof AddressError ? text : canonical(parsed)
}

/** Whether the bytes of an IPv6 address are an IPv4 one's: `::ffff:a.b.c.d`. */
const isMapped = (ip: Uint8Array): boolean =>
  ip.length === 16 && ip[10] === 0xff && ip[11] === 0xff && ip.subarray(0, 10).every((byte) => byte === 0)
