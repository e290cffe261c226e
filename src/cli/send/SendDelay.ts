import { Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import * as MessageDelay from "../../message/MessageDelay.ts"
import * as NameList from "../../message/NameList.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { DelayUnsupported } from "../Failure.ts"
import { duration } from "../Text.ts"

/** The level whose delay is nearest to a span of time. */
const nearestLevel = (millis: number): number =>
  MessageDelay.LEVELS.reduce(
    (best, level, i) =>
      Math.abs(level - millis) < Math.abs((MessageDelay.LEVELS[best - 1] ?? 0) - millis) ? i + 1 : best,
    1
  )

/**
 * Fails with `DelayUnsupported` where a broker that may get the message is older than 5.0: it would take a delay that is no
 * level and deliver at once. A broker that does not say its release is left to the send.
 */
export const knownDelay = Effect.fnUntraced(function* (topic: string, delay: MessageDelay.MessageDelay, now: number) {
  if (delay._tag === "Level") return
  const admin = yield* MQAdmin
  // A topic that is not there yet may be created on any broker.
  const names = yield* admin.examineTopicRouteInfo(topic).pipe(
    Effect.map(({ brokerDatas }) => brokerDatas.map(({ brokerName }) => brokerName)),
    Effect.catchTag("AdminError", () =>
      Effect.map(admin.examineBrokerClusterInfo, ({ brokerAddrTable }) => [...brokerAddrTable.keys()])
    ),
    Effect.catchTag("AdminError", () => Effect.succeed([]))
  )
  const releases = yield* Effect.forEach(
    names,
    (brokerName) =>
      admin.fetchBrokerRuntimeStats(brokerName).pipe(
        Effect.map((stats) => ({
          brokerName,
          release: stats.get("brokerVersionDesc") ?? "",
          version: Number(stats.get("brokerVersion") ?? Number.NaN)
        })),
        Effect.option
      ),
    { concurrency: 8 }
  )
  const old = releases.flatMap((one) =>
    one._tag === "Some" && one.value.version < MQVersion.V5_0_0
      ? [`${one.value.brokerName} (${one.value.release})`]
      : []
  )
  if (old.length === 0) return
  const millis = delay._tag === "By" ? delay.millis : delay.epochMillis - now
  const level = nearestLevel(millis)
  yield* new DelayUnsupported({
    problem: `A delay by time needs brokers of 5.0 or later; ${NameList.text(old)} would deliver at once.`,
    remedy: `Delay by one of the levels 1 to 18, of which level ${level} is the nearest: --delay level:${level} (${duration(MessageDelay.levelMillis(level) ?? 0)}, unless the broker is set otherwise).`
  })
})
