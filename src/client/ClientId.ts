import { Clock, Effect, Random } from "effect"
import { DEFAULT_INSTANCE_NAME } from "../message/MixAll.ts"
import { HostInfo } from "../transport/HostInfo.ts"

export { HostInfo, localAddress, type HostInfoShape } from "../transport/HostInfo.ts"

/**
 * Java's `changeInstanceNameToPID`: the instance name `DEFAULT` becomes `<pid>#<number>`, which no other client has (the
 * number is the monotonic clock in nanoseconds plus a random one); any other name stays.
 */
export const changeInstanceNameToPID = Effect.fnUntraced(function* (instanceName: string) {
  if (instanceName !== DEFAULT_INSTANCE_NAME) return instanceName
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
