import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as PushReplyMessageToClient from "../../../src/protocol/push/PushReplyMessageToClient.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import * as RemotingClient from "../../support/remoting.ts"
import { brokerAddress, orThrow, producerHeartbeat, rawClient, sendHeader, textOf, utf8 } from "../support.ts"

const REPLY_TOPIC = "DefaultCluster_REPLY_TOPIC"

const onCluster = (storeReplyMessageEnable = true) =>
  Effect.provide(EmbeddedCluster.layerMemory({ brokers: [{ name: "broker-a", config: { storeReplyMessageEnable } }] }))

/** A client that waits for replies and answers the pushes with a code, or never. */
const requester = Effect.fnUntraced(function* (clientId: string, answerCode: number | undefined) {
  const pushes: Array<RemotingCommand> = []
  const client = yield* RemotingClient.make({})
  yield* RemotingClient.handleAll(client, (_, request) => {
    pushes.push(request)
    return answerCode === undefined ? Effect.never : Effect.succeed({ code: answerCode })
  })
  yield* client.invoke(yield* brokerAddress(), producerHeartbeat(clientId, "requesters"), 3_000)
  return pushes
})

/** Sends a reply for a client. */
const reply = Effect.fnUntraced(function* (
  properties: Readonly<Record<string, string>>,
  form: "REPLY_V2" | "REPLY_V1" = "REPLY_V2"
) {
  const client = yield* rawClient()
  const header = sendHeader({
    topic: REPLY_TOPIC,
    producerGroup: "repliers",
    sysFlag: 513,
    properties: MessageProperties.encode({ MSG_TYPE: "reply", CORRELATION_ID: "id-1", ...properties })
  })
  return yield* client.call(yield* brokerAddress(), SendMessage.request(header, utf8("reply!"), form), 15_000)
})

const outcome = (properties: Readonly<Record<string, string>>) =>
  Effect.map(reply(properties), ({ code, extFields, remark }) => [code, remark, extFields?.["queueOffset"]])

describe("replies", () => {
  it.effect("are pushed to the client that waits, and stored", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const pushes = yield* requester("rr@1", 0)
      yield* TestClock.adjust("5 seconds")
      const answer = yield* reply({ REPLY_TO_CLIENT: "rr@1", UNIQ_KEY: "U" })
      assert.strictEqual(answer.code, 0)
      const [push] = pushes
      assert.isDefined(push)
      const { body, header } = orThrow(PushReplyMessageToClient.decodeRequest(push))
      assert.strictEqual(textOf(body), "reply!")
      assert.deepInclude(header, {
        producerGroup: "repliers",
        topic: REPLY_TOPIC,
        defaultTopic: "TBW102",
        defaultTopicQueueNums: 4,
        queueId: 0,
        sysFlag: 513,
        reconsumeTimes: 0,
        unitMode: false,
        storeTimestamp: 5_000,
        storeHost: yield* brokerAddress()
      })
      assert.deepStrictEqual(
        { ...MessageProperties.decode(header.properties ?? "") },
        {
          MSG_TYPE: "reply",
          CORRELATION_ID: "id-1",
          REPLY_TO_CLIENT: "rr@1",
          UNIQ_KEY: "U",
          MSG_REGION: "DefaultRegion",
          TRACE_ON: "true",
          PUSH_REPLY_TIME: "5000"
        }
      )
      const [stored] = yield* cluster.messages(REPLY_TOPIC)
      assert.deepInclude(stored, { queueOffset: 0, sysFlag: 0 })
      assert.deepStrictEqual(
        { ...stored?.properties },
        {
          MSG_TYPE: "reply",
          CORRELATION_ID: "id-1",
          REPLY_TO_CLIENT: "rr@1",
          UNIQ_KEY: "U",
          MSG_REGION: "DefaultRegion",
          TRACE_ON: "true"
        }
      )
      const sent = orThrow(SendMessage.decodeResponse(answer))
      assert.match(sent.msgId, /^7F000001/)
      assert.strictEqual(sent.queueOffset, 0)
      assert.isUndefined(sent.transactionId)
      assert.strictEqual((yield* reply({ REPLY_TO_CLIENT: "rr@1" }, "REPLY_V1")).code, 0)
      assert.strictEqual(pushes.length, 2)
    }).pipe(onCluster())
  )

  it.effect("that reach nobody are answered 1, and stored all the same", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* outcome({}), [1, "reply message properties[REPLY_TO_CLIENT] is null", "0"])
      assert.deepStrictEqual(yield* outcome({ REPLY_TO_CLIENT: "gone" }), [
        1,
        "push reply message fail, channel of <gone> not found.",
        "1"
      ])
      yield* requester("refuses", 1)
      assert.deepStrictEqual(yield* outcome({ REPLY_TO_CLIENT: "refuses" }), [
        1,
        "push reply message to refusesfail.",
        "2"
      ])
      assert.strictEqual((yield* cluster.messages(REPLY_TOPIC)).length, 3)
    }).pipe(onCluster())
  )

  it.effect("wait ten seconds for a client that does not answer", () =>
    Effect.gen(function* () {
      const pushes = yield* requester("silent", undefined)
      const waiting = yield* Effect.forkChild(reply({ REPLY_TO_CLIENT: "silent" }), { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(pushes.length, 1)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const answer = yield* Fiber.join(waiting)
      assert.deepInclude(answer, { code: 1, remark: "push reply message to silentfail." })
    }).pipe(onCluster())
  )

  it.effect("need not be stored", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* requester("rr@1", 0)
      const sent = orThrow(SendMessage.decodeResponse(yield* reply({ REPLY_TO_CLIENT: "rr@1" })))
      assert.deepInclude(sent, { msgId: "0", queueOffset: 0, queueId: 0 })
      assert.deepStrictEqual({ ...(yield* reply({})).extFields }, { MSG_REGION: "DefaultRegion", TRACE_ON: "true" })
      assert.deepStrictEqual(yield* cluster.messages(REPLY_TOPIC), [])
    }).pipe(onCluster(false))
  )
})
