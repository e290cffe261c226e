import { addressBytes } from "../message/HostAddress.ts"

/** What an address is good for, and what it says when a client cannot reach it. */
export type HostKind =
  "loopback" | "unspecified" | "container" | "private" | "link-local" | "multicast" | "broadcast" | "public" | "name"

const kindOfV4 = (ip: Uint8Array): HostKind => {
  const [a = 0, b = 0] = ip
  if (a === 0) return "unspecified"
  if (a === 127) return "loopback"
  if (a === 169 && b === 254) return "link-local"
  if (a >= 224 && a <= 239) return "multicast"
  if (ip.every((byte) => byte === 255)) return "broadcast"
  // Docker's bridges begin at 172.17; 10.42, 10.43 and 10.244 are the pod networks of common Kubernetes set-ups.
  if (a === 172 && b >= 17 && b <= 31) return "container"
  if (a === 10 && (b === 42 || b === 43 || b === 244)) return "container"
  if (a === 10 || (a === 172 && b === 16) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b <= 127)) {
    return "private"
  }
  return "public"
}

/** The prefixes behind which the last four bytes are an IPv4 address: mapped, compatible, NAT64. */
const v4Prefixes: ReadonlyArray<Uint8Array> = ["::ffff:0:0", "::", "64:ff9b::"].map(
  (text) => addressBytes(text)?.subarray(0, 12) ?? new Uint8Array(12)
)

const kindOfV6 = (ip: Uint8Array): HostKind => {
  const head = ip.subarray(0, 15)
  const last = ip[15] ?? 0
  if (head.every((byte) => byte === 0) && last <= 1) return last === 0 ? "unspecified" : "loopback"
  if (v4Prefixes.some((prefix) => prefix.every((byte, i) => byte === ip[i]))) return kindOfV4(ip.subarray(12))
  const [a = 0, b = 0] = ip
  if (a === 0xff) return "multicast"
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local"
  // Unique local addresses, and the site-local ones that they replaced.
  return (a & 0xfe) === 0xfc || (a === 0xfe && b >= 0xc0) ? "private" : "public"
}

/** What kind of host an address (without its port, brackets allowed) names; an IPv4 address within IPv6 is an IPv4 one. */
export const hostKind = (host: string): HostKind => {
  const ip = addressBytes(host)
  if (ip !== undefined) return ip.length === 4 ? kindOfV4(ip) : kindOfV6(ip)
  return host === "localhost" || host.endsWith(".localhost") ? "loopback" : "name"
}

/** Whether only this machine reaches the host. */
export const isLoopback = (host: string): boolean => hostKind(host) === "loopback"

/** Whether the host stands for every address of a machine: good to listen on, and none to connect to. */
export const isUnspecified = (host: string): boolean => hostKind(host) === "unspecified"
