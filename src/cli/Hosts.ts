import { isIP } from "node:net"

/** Where an address is good for: what it says when a client cannot reach it. */
export type HostKind = "loopback" | "unspecified" | "container" | "private" | "link-local" | "public" | "name"

const v4 = (host: string): ReadonlyArray<number> => host.split(".").map(Number)

const kindOfV4 = (host: string): HostKind => {
  const [a = 0, b = 0] = v4(host)
  if (a === 0) return "unspecified"
  if (a === 127) return "loopback"
  if (a === 169 && b === 254) return "link-local"
  // Docker's bridges begin at 172.17; 10.42, 10.43 and 10.244 are the pod networks of common Kubernetes set-ups.
  if (a === 172 && b >= 17 && b <= 31) return "container"
  if (a === 10 && (b === 42 || b === 43 || b === 244)) return "container"
  if (a === 10 || (a === 172 && b === 16) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b <= 127)) {
    return "private"
  }
  return "public"
}

const kindOfV6 = (host: string): HostKind => {
  const text = host.toLowerCase()
  if (text === "::") return "unspecified"
  if (text === "::1") return "loopback"
  if (text.startsWith("fe80")) return "link-local"
  return /^f[cd]/.test(text) ? "private" : "public"
}

/** What kind of host an address (without its port, brackets allowed) names. */
export const hostKind = (input: string): HostKind => {
  const host = input.replace(/^\[|\]$/g, "")
  switch (isIP(host)) {
    case 4:
      return kindOfV4(host)
    case 6:
      return kindOfV6(host)
    default:
      return host === "localhost" || host.endsWith(".localhost") ? "loopback" : "name"
  }
}

/** Whether only this machine reaches the host. */
export const isLoopback = (host: string): boolean => hostKind(host) === "loopback"

/** Whether the host stands for every address of a machine: good to listen on, and none to connect to. */
export const isUnspecified = (host: string): boolean => hostKind(host) === "unspecified"
