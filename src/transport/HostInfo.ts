import { Context } from "effect"
import * as os from "node:os"

/** What a client says about the machine and process it runs in. */
export interface HostInfoShape {
  /** The address that goes into client and message ids, IPv4 or (in brackets) IPv6. */
  readonly ip: string
  /** The process id. */
  readonly pid: number
}

const privateV4 = /^(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/

/**
 * The address that stands for this machine: the first IPv4 address that is not private, else the last IPv4 address, else
 * the first IPv6 address in brackets, else 127.0.0.1.
 *
 * Source: RocketMQ `NetworkUtil.getLocalAddress`.
 */
export const localAddress = (interfaces: ReturnType<typeof os.networkInterfaces>): string => {
  const all = Object.values(interfaces)
    .flatMap((list) => list ?? [])
    .filter((a) => !a.internal)
  const v4 = all.filter((a) => a.family === "IPv4").map((a) => a.address)
  const v6 = all.filter((a) => a.family === "IPv6").map((a) => a.address)
  const open = v4.find((a) => !privateV4.test(a)) ?? v4.at(-1)
  if (open !== undefined) return open
  const six = v6.find((a) => !a.startsWith("fe80")) ?? v6[0]
  return six === undefined ? "127.0.0.1" : `[${six}]`
}

/** The machine and process; replace it to fix the ids in a test. */
export const HostInfo: Context.Reference<HostInfoShape> = Context.Reference("effect-rocketmq/transport/HostInfo", {
  defaultValue: () => ({ ip: localAddress(os.networkInterfaces()), pid: process.pid })
})
