import { Clock, Context, Effect, Random } from "effect"
import * as os from "node:os"
import { DEFAULT_INSTANCE_NAME } from "../message/MixAll.ts"

/** What a client says about the machine and process it runs in. */
export interface HostInfoShape {
  /** The address that goes into client and message ids, IPv4 or (in brackets) IPv6. */
  readonly ip: string
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
export const HostInfo: Context.Reference<HostInfoShape> = Context.Reference("effect-rocketmq/client/HostInfo", {
  defaultValue: () => ({ ip: localAddress(os.networkInterfaces()), pid: process.pid })
})

/**
 * Java's `changeInstanceNameToPID`: the instance name `DEFAULT` becomes `<pid>#<number>`, which no other client has (the
 * number is the monotonic clock in nanoseconds plus a random one); any other name stays.
 */
export const changeInstanceNameToPID = (instanceName: string): Effect.Effect<string> =>
  instanceName !== DEFAULT_INSTANCE_NAME
    ? Effect.succeed(instanceName)
    : Effect.gen(function* () {
        const { pid } = yield* HostInfo
        const nanos = (yield* Clock.Clock).monotonicTimeNanosUnsafe()
        // Two clients may be made at one instant of a virtual clock, hence the random part.
        const random = yield* Random.nextIntBetween(0, 2 ** 40)
        return `${pid}#${nanos + BigInt(random)}`
      })

/**
 * The identity under which brokers know a client: `<ip>@<instanceName>`, and `@<unitName>` where there is one.
 *
 * Source: RocketMQ `ClientConfig.buildMQClientId`.
 */
export const buildMQClientId = (ip: string, instanceName: string, unitName: string | undefined): string =>
  unitName === undefined || unitName.trim() === "" ? `${ip}@${instanceName}` : `${ip}@${instanceName}@${unitName}`
