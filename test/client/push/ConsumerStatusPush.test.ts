import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { MQConsumerInner } from "../../../src/client/ClientMembers.ts"
import * as ConsumerStatusPush from "../../../src/client/push/ConsumerStatusPush.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as GetConsumerRunningInfo from "../../../src/protocol/push/GetConsumerRunningInfo.ts"
import * as GetConsumerStatusFromClient from "../../../src/protocol/push/GetConsumerStatusFromClient.ts"
import { makeHandlers } from "../../../src/transport/Handlers.ts"
import { orThrow } from "../../embedded/support.ts"
import { consumer } from "../../support/members.ts"

const command = (extFields: Readonly<Record<string, string>>, code = 307): RemotingCommand => ({
  code,
  flag: 0,
  language: "JAVA",
  version: 513,
  opaque: 1,
  remark: undefined,
  extFields,
  body: new Uint8Array(),
  serializeType: "JSON"
})

/** Asks a client with one consumer. */
const ask = Effect.fnUntraced(function* (
  member: Partial<MQConsumerInner>,
  extFields: Readonly<Record<string, string>>,
  namespace?: string,
  code = 307
) {
  const { register, requestHandler } = makeHandlers()
  const one = consumer(member)
  yield* ConsumerStatusPush.register(register, {
    consumers: new Map([[one.consumerGroup, one]]),
    nameServers: Effect.succeed(["a:1", "b:2"]),
    namespace
  })
  const handler = requestHandler(code)
  assert.isDefined(handler)
  const answer = yield* handler?.("broker:1", command(extFields, code)) ?? Effect.die("no handler")
  return { ...command({}), ...answer, body: answer.body ?? new Uint8Array() } satisfies RemotingCommand
})

const info = (answer: RemotingCommand) => orThrow(GetConsumerRunningInfo.decodeResponse(answer))

describe("ConsumerStatusPush", () => {
  it.effect("adds what only the instance knows, and hands the wish for stacks on", () =>
    Effect.gen(function* () {
      const asked: Array<boolean> = []
      const { consumerRunningInfo } = consumer()
      const member: Partial<MQConsumerInner> = {
        consumerRunningInfo: (jstack) => {
          asked.push(jstack)
          return consumerRunningInfo(jstack)
        }
      }
      const answer = yield* ask(member, { consumerGroup: "cg", clientId: "c", jstackEnable: "true" })
      assert.deepStrictEqual(
        [...info(answer).properties],
        [
          ["consumerGroup", "cg"],
          ["PROP_NAMESERVER_ADDR", "a:1;b:2;"],
          ["PROP_CONSUME_TYPE", "CONSUME_PASSIVELY"],
          ["PROP_CLIENT_VERSION", "V5_5_0"]
        ]
      )
      yield* ask(member, { consumerGroup: "cg", clientId: "c" })
      assert.deepStrictEqual(asked, [true, false])
    }).pipe(Effect.scoped)
  )

  it.effect("answers for an unknown group as Java does, with the name that the broker knows", () =>
    Effect.gen(function* () {
      for (const [namespace, name] of [
        [undefined, "other"],
        ["ns", "ns%other"]
      ] as const) {
        const { code, remark } = yield* ask({}, { consumerGroup: "other", clientId: "c" }, namespace)
        assert.deepStrictEqual([code, remark], [1, `The Consumer Group <${name}> not exist in this consumer`])
      }
      const { code, remark } = yield* ask({}, { clientId: "c" })
      assert.strictEqual(code, 1)
      assert.include(remark ?? "", "consumerGroup")
    }).pipe(Effect.scoped)
  )

  it.effect("names topics with their namespace", () =>
    Effect.gen(function* () {
      const base = consumer().consumerRunningInfo(false)
      const status = { pullRT: 0, pullTPS: 0, consumeRT: 0, consumeOKTPS: 0, consumeFailedTPS: 0, consumeFailedMsgs: 0 }
      const subscription = {
        topic: "orders",
        subString: "*",
        tagsSet: [],
        codeSet: [],
        subVersion: 1,
        expressionType: "TAG",
        classFilterMode: false
      }
      const answer = yield* ask(
        {
          consumerRunningInfo: () => ({
            ...base,
            subscriptionSet: [subscription, { ...subscription, topic: "%RETRY%cg" }],
            mqPopTable: [
              [
                { topic: "orders", brokerName: "b", queueId: 0 },
                { waitAckCount: 0, droped: false, lastPopTimestamp: 0 }
              ]
            ],
            statusTable: new Map([["orders", status]])
          })
        },
        { consumerGroup: "cg", clientId: "c" },
        "ns"
      )
      const { mqPopTable, statusTable, subscriptionSet } = info(answer)
      assert.deepStrictEqual(
        subscriptionSet.map(({ topic }) => topic),
        ["ns%orders", "%RETRY%ns%cg"]
      )
      assert.deepStrictEqual([...statusTable.keys()], ["ns%orders"])
      assert.strictEqual(mqPopTable[0]?.[0].topic, "ns%orders")
    }).pipe(Effect.scoped)
  )

  it.effect("says how far a topic is processed, and nothing of a group that is not here", () =>
    Effect.gen(function* () {
      const queue = { topic: "orders", brokerName: "b", queueId: 3 }
      const member: Partial<MQConsumerInner> = { consumerStatus: (topic) => (topic === "orders" ? [[queue, 7]] : []) }
      const offsets = (fields: Readonly<Record<string, string>>, namespace?: string) =>
        Effect.map(ask(member, fields, namespace, 221), (answer) => {
          assert.strictEqual(answer.code, 0)
          return orThrow(GetConsumerStatusFromClient.decodeResponse(answer)).messageQueueTable
        })
      assert.deepStrictEqual(yield* offsets({ topic: "orders", group: "cg" }), [[queue, 7]])
      assert.deepStrictEqual(yield* offsets({ topic: "orders", group: "cg" }, "ns"), [
        [{ ...queue, topic: "ns%orders" }, 7]
      ])
      assert.deepStrictEqual(yield* offsets({ topic: "other", group: "cg" }), [])
      assert.deepStrictEqual(yield* offsets({ topic: "orders", group: "other" }), [])
      const { code, remark } = yield* ask(member, { topic: "orders" }, undefined, 221)
      assert.strictEqual(code, 1)
      assert.include(remark ?? "", "group")
    }).pipe(Effect.scoped)
  )
})
