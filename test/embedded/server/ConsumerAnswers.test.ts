import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as FaultScript from "../../../src/embedded/server/FaultScript.ts"
import { DecodeError } from "../../../src/protocol/DecodeError.ts"
import type { Request } from "../../../src/protocol/RemotingCommand.ts"
import * as GetConsumerListByGroup from "../../../src/protocol/request/GetConsumerListByGroup.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import * as QueryConsumerOffset from "../../../src/protocol/request/QueryConsumerOffset.ts"
import * as UpdateConsumerOffset from "../../../src/protocol/request/UpdateConsumerOffset.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as RemotingClient from "../../support/remoting.ts"

const group = "billing"
const queue = { topic: "orders", queueId: 0 }
const pull = PullMessage.request({
  consumerGroup: group,
  ...queue,
  queueOffset: 7,
  maxMsgNums: 32,
  sysFlag: PullMessage.PullSysFlag.SUSPEND,
  suspendTimeoutMillis: 15_000,
  subVersion: 1
})

/** What a client is answered to a request for which one answer was scripted. */
const answered = (action: FaultScript.FaultRule["actions"][number], request: Request) =>
  Effect.gen(function* () {
    const { brokers, faults } = yield* EmbeddedCluster
    yield* faults.clear
    yield* faults.add({ match: { code: request.code }, actions: [action] })
    const client = yield* RemotingClient.make({})
    return yield* client.invoke(brokers[0]?.address ?? "", request, 1_000)
  }).pipe(Effect.scoped)

/** A value that could be read. */
const read = <A>(value: A | DecodeError): A => {
  if (value instanceof DecodeError) throw value
  return value
}

const onCluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }).pipe(Layer.orDie))

describe("answers for consumers", () => {
  it.effect("a pull: each of its four outcomes, with the position that was scripted", () =>
    Effect.gen(function* () {
      const position = { nextBeginOffset: 5, minOffset: 2, maxOffset: 9, suggestWhichBrokerId: 1 }
      const outcomes = [
        [FaultScript.pull.found(new Uint8Array([1, 2, 3]), position), 0, "FOUND"],
        [FaultScript.pull.noNewMessage(position), 19, "NO_NEW_MSG"],
        [FaultScript.pull.noMatchedMessage(position), 20, "NO_MATCHED_MSG"],
        [FaultScript.pull.offsetIllegal(position, "OFFSET_RESET"), 21, "OFFSET_ILLEGAL"]
      ] as const
      for (const [action, code, status] of outcomes) {
        const response = yield* answered(action, pull)
        assert.strictEqual(response.code, code)
        const answer = read(PullMessage.decodeResponse(response))
        assert.deepInclude(answer, { status, ...position })
        assert.deepStrictEqual([...answer.body], status === "FOUND" ? [1, 2, 3] : [])
      }
    }).pipe(onCluster)
  )

  it.effect("refusals of pulls, offsets and messages that are given back have a real broker's codes and words", () =>
    Effect.gen(function* () {
      const { offset, pull: ofPull, sendBack } = FaultScript
      const commit = UpdateConsumerOffset.request({ consumerGroup: group, ...queue, commitOffset: 3 })
      const query = QueryConsumerOffset.request({ consumerGroup: group, ...queue })
      const back: Request = { code: RequestCode.CONSUMER_SEND_MSG_BACK, extFields: {} }
      const refusals = [
        [ofPull.busy, pull, 2, "flow control"],
        [ofPull.flowControl, pull, 215, "flow control"],
        [ofPull.systemError(), pull, 1, "java.lang"],
        [ofPull.groupUnknown, pull, 24, "the consumer's group info not exist"],
        [ofPull.subscriptionUnknown, pull, 24, "the consumer's subscription not exist"],
        [ofPull.subscriptionOld, pull, 25, "not latest"],
        [ofPull.filterUnreadable, pull, 23, "parse the consumer's subscription failed"],
        [ofPull.groupNotExist(group), pull, 26, "subscription group [billing] does not exist"],
        [ofPull.topicNotExist("orders"), pull, 17, "topic[orders] not exist"],
        [ofPull.topicForbidden("orders"), pull, 16, "the topic[orders] pulling message is forbidden"],
        [ofPull.groupForbidden(group), pull, 16, "subscription group no permission, billing"],
        [ofPull.queueIllegal("orders", 9, 4), pull, 29, "queueId[9] is illegal"],
        [offset.notFound, query, 22, "Not found"],
        [offset.groupNotExist(group), commit, 26, "Group billing not exist!"],
        [offset.topicNotExist("orders"), commit, 17, "Topic orders not exist!"],
        [offset.busy, commit, 2, "flow control"],
        [sendBack.groupNotExist(group), back, 26, "subscription group not exist, billing"],
        [sendBack.forbidden, back, 16, "sending message is forbidden"],
        [sendBack.messageNotFound(77), back, 1, "look message by offset failed, 77"],
        [sendBack.systemError(), back, 1, "java.lang"]
      ] as const
      for (const [action, request, code, remark] of refusals) {
        const response = yield* answered(action, request)
        assert.strictEqual(response.code, code)
        assert.include(response.remark ?? "", remark)
      }
    }).pipe(onCluster)
  )

  it.effect("what is taken and is not: a lost offset, a lost message; and offsets and members that are made up", () =>
    Effect.gen(function* () {
      const { members, offset, sendBack } = FaultScript
      const query = QueryConsumerOffset.request({ consumerGroup: group, ...queue })
      const stored = read(QueryConsumerOffset.decodeResponse(yield* answered(offset.stored(41), query)))
      assert.strictEqual(Number(stored.offset), 41)

      const commit = UpdateConsumerOffset.request({ consumerGroup: group, ...queue, commitOffset: 3 })
      assert.deepInclude(yield* answered(offset.lost, commit), { code: 0, remark: undefined })
      assert.deepInclude(yield* answered(offset.reset, commit), { code: 0, remark: "Offset has been previously reset" })
      const back: Request = { code: RequestCode.CONSUMER_SEND_MSG_BACK, extFields: {} }
      assert.strictEqual((yield* answered(sendBack.lost, back)).code, 0)

      const list = GetConsumerListByGroup.request({ consumerGroup: group })
      const named = read(GetConsumerListByGroup.decodeResponse(yield* answered(members(group, "a", "b"), list)))
      assert.deepStrictEqual(named.consumerIdList, ["a", "b"])
      assert.deepInclude(yield* answered(members(group), list), {
        code: 1,
        remark: "no consumer for this group, billing"
      })
    }).pipe(onCluster)
  )
})
