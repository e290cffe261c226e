import { Schema } from "effect"

/** A host name or IP address (IPv6 without brackets) and a port. */
export interface Address {
  /** A host name or an IP address; an IPv6 address without brackets. */
  readonly host: string
  /** 0 to 65535. */
  readonly port: number
}

/** Text that is no `host:port`. */
export class AddressError extends Schema.TaggedError<AddressError>()("AddressError", {
  /** The text that was given. */
  address: Schema.String,
  /** What is wrong with it, in words. */
  detail: Schema.String
}) {
  override get message(): string {
    return `"${this.address}" is no address (${this.detail}): write it as host:port or [ipv6]:port`
  }
}

/** Reads `host:port` or `[ipv6]:port`, the port 0 to 65535. Source: RocketMQ `NetworkUtil.string2SocketAddress`. */
export const parse = (address: string): Address | AddressError => {
  const colon = address.lastIndexOf(":")
  if (colon < 0) return new AddressError({ address, detail: "the port is missing" })
  const portText = address.slice(colon + 1)
  const port = Number(portText)
  if (!/^[0-9]{1,5}$/.test(portText) || port > 65_535) {
    return new AddressError({ address, detail: "the port is no number from 0 to 65535" })
  }
  const hostText = address.slice(0, colon)
  const bracketed = hostText.startsWith("[") && hostText.endsWith("]")
  const host = bracketed ? hostText.slice(1, -1) : hostText
  if (host === "" || /[\s[\]/\p{Cc}]/u.test(host)) return new AddressError({ address, detail: "the host is not valid" })
  if (host.includes(":") !== bracketed) {
    return new AddressError({ address, detail: "an IPv6 address, and nothing else, stands in brackets" })
  }
  return { host, port }
}

/** Writes an address the way {@link parse} reads it. */
export const format = (address: Address): string =>
  address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
