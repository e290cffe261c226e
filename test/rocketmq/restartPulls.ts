/** What pulls get from a broker that starts again and knows nobody: a real one, and the embedded one. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import * as CreateTopic from "../../src/protocol/request/CreateTopic.ts"
import { PullSysFlag } from "../../src/protocol/request/PullMessage.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import { eventually } from "../conformance/support.ts"
import { consumerHeartbeat, pullRequest, rawClient, sendRequest } from "../embedded/support.ts"
import { RocketMQ } from "./RocketMQServer.ts"

interface Server {
  readonly address: string
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
}

const told = ({ code, remark }: RemotingCommand) => `${code} ${(remark ?? "").split("\n")[0]}`

/** A pull by the group's own subscription, of a version; held while there is nothing. */
const pull = (queueOffset: bigint | number, subVersion: number, sysFlag = 0, topic = "restarted") =>
  pullRequest({
    topic,
    queueOffset: Number(queueOffset),
    sysFlag,
    subVersion,
    suspendTimeoutMillis: 15_000,
    subscription: undefined
  })

/** The same questions to a server that is killed and started again. */
const observe = Effect.fnUntraced(function* ({ address, start, stop }: Server) {
  const client = yield* rawClient()
  const call = (request: Parameters<typeof client.call>[1]) => eventually(client.call(address, request, 30_000))
  yield* call(
    CreateTopic.request({
      topic: "restarted",
      defaultTopic: "TBW102",
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      order: false
    })
  )
  const seen: Array<string> = []
  const note = (what: string, answer: RemotingCommand) => void seen.push(`${what}: ${told(answer)}`)
  note("send", yield* call(sendRequest({ topic: "restarted" })))
  note("unknown group", yield* call(pull(0, 7)))
  note("heartbeat", yield* call(consumerHeartbeat("somebody@1", "cg", ["restarted"])))
  note("known", yield* call(pull(1, 7)))
  const held = yield* Effect.forkChild(Effect.exit(client.call(address, pull(1, 7, PullSysFlag.SUSPEND), 30_000)), {
    startImmediately: true
  })
  yield* Effect.sleep(500)
  yield* stop
  const exit = yield* Fiber.join(held)
  seen.push(Exit.isSuccess(exit) ? `held: ${told(exit.value)}` : "held: no answer")
  yield* start
  note("after the start", yield* call(pull(1, 7)))
  note("after the start, held", yield* call(pull(1, 7, PullSysFlag.SUSPEND)))
  note("newer subscription", yield* call(pull(1, 8)))
  note("heartbeat", yield* call(consumerHeartbeat("somebody@1", "cg", ["other"])))
  note("another topic is known", yield* call(pull(1, 7)))
  note("heartbeat", yield* call(consumerHeartbeat("somebody@1", "cg", ["restarted"])))
  note("newer than known", yield* call(pull(1, 8)))
  note("newer than known, held", yield* call(pull(1, 8, PullSysFlag.SUSPEND)))
  note("as known", yield* call(pull(1, 7)))
  note("older than known", yield* call(pull(1, 6)))
  note("the message", yield* call(pull(0, 7)))
  return seen
})

/** Registers the comparison, on a real broker and an embedded one of a release. */
export const tests = (test: Vitest.MethodsNonLive<RocketMQ | EmbeddedCluster | Wire>): void => {
  test.effect(
    "C-25: a broker starts again: what a held pull got, and the next ones get before and after a heartbeat",
    () =>
      Effect.gen(function* () {
        const [node] = (yield* RocketMQ).brokers
        const { brokers, startBroker, stopBroker } = yield* EmbeddedCluster
        assert.isDefined(node)
        const real = yield* observe({ address: node.address, stop: node.kill, start: Effect.orDie(node.start) })
        const embedded = yield* observe({
          address: brokers[0]?.address ?? "",
          stop: Effect.orDie(stopBroker("broker-a")),
          start: Effect.orDie(startBroker("broker-a"))
        })
        assert.includeMembers(real, ["held: no answer", "after the start: 24 the consumer's group info not exist"])
        assert.deepStrictEqual(embedded, real)
      })
  )
}
