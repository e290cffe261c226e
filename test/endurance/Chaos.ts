/** Trouble for an embedded cluster, drawn from a seed: faults of single requests, and servers that come and go. */
import { Effect, Random } from "effect"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"

const sends = [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2, RequestCode.SEND_BATCH_MESSAGE]
const lookups = [RequestCode.GET_ROUTEINFO_BY_TOPIC, RequestCode.HEART_BEAT]

const rule = (
  name: string,
  probability: number,
  action: FaultScript.FaultRule["actions"][number],
  code: ReadonlyArray<number> = sends
): FaultScript.FaultRule => ({ name, match: { code, probability }, actions: [action] })

/**
 * How likely each fault is for one request. A dropped one holds its sender for an attempt's whole time, and a cut ends
 * everything on its connection, so those are rarer.
 */
export const faultScript: FaultScript.FaultScript = [
  rule("request dropped", 0.0005, FaultScript.dropRequest),
  rule("answer dropped", 0.001, FaultScript.dropResponse),
  rule("cut before", 0.0002, FaultScript.cut("before")),
  rule("cut after", 0.0004, FaultScript.cut("after")),
  rule("corrupt answer", 0.0001, FaultScript.corruptResponse),
  rule("duplicate answer", 0.003, FaultScript.duplicateResponse),
  rule("delay 5 ms", 0.01, FaultScript.delay(5)),
  rule("delay 200 ms", 0.002, FaultScript.delay(200)),
  rule("delay past the attempt", 0.0005, FaultScript.delay(1_500)),
  rule("busy", 0.004, FaultScript.answer(ResponseCode.SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]broker busy")),
  rule("system error", 0.001, FaultScript.answer(ResponseCode.SYSTEM_ERROR, "made up")),
  rule("not available", 0.001, FaultScript.answer(ResponseCode.SERVICE_NOT_AVAILABLE, "made up")),
  rule("refused for good", 0.0005, FaultScript.answer(ResponseCode.MESSAGE_ILLEGAL, "made up")),
  rule("silent look-up", 0.02, FaultScript.dropRequest, lookups),
  rule("cut at a look-up", 0.01, FaultScript.cut("before"), lookups),
  { name: "refused connection", match: { probability: 0.05 }, actions: [FaultScript.refuseConnection] },
  { name: "ignored connection", match: { probability: 0.01 }, actions: [FaultScript.ignoreConnection] }
]

/** One piece of trouble with a server; ends when the server is as it was. */
const event = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  const brokers = cluster.brokers
  const broker = brokers[yield* Random.nextIntBetween(0, brokers.length - 1)]
  const nameServer = cluster.nameServers[yield* Random.nextIntBetween(0, cluster.nameServers.length - 1)]
  if (broker === undefined || nameServer === undefined) return "none"
  const pause = Effect.sleep(yield* Random.nextIntBetween(20, 600))
  switch (yield* Random.nextIntBetween(0, 5)) {
    case 0:
      yield* broker.stop({ unregister: "immediate" }).pipe(Effect.andThen(pause), Effect.andThen(broker.start()))
      return "broker restarted"
    case 1:
      yield* broker.stop({ unregister: "never" }).pipe(Effect.andThen(pause), Effect.andThen(broker.start()))
      return "broker gone and back, the route unchanged"
    case 2:
      yield* broker.restart({ newPort: true })
      return "broker restarted on a new port"
    case 3:
      yield* broker.setBusy(true).pipe(Effect.andThen(pause), Effect.andThen(broker.setBusy(false)))
      return "broker busy"
    case 4:
      yield* nameServer.stop.pipe(Effect.andThen(pause), Effect.andThen(nameServer.start))
      return "name server restarted"
    default:
      yield* Effect.forEach(brokers, (each) => each.stop(), { discard: true })
      yield* pause
      yield* Effect.forEach(brokers, (each) => each.start(), { discard: true })
      return "all brokers gone and back"
  }
})

/** Makes trouble one piece at a time whenever `due` allows the next; ends, with everything running, when it says no. */
export const trouble = (due: () => "now" | "later" | "never") =>
  Effect.gen(function* () {
    const counts = new Map<string, number>()
    for (let when = due(); when !== "never"; when = due()) {
      if (when === "later") {
        yield* Effect.sleep(5)
        continue
      }
      const name = yield* event
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    return counts
  })
