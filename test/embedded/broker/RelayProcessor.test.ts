import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../../src/protocol/RemotingCommand.ts"
import * as GetConsumerStatusFromClient from "../../../src/protocol/push/GetConsumerStatusFromClient.ts"
import * as GetConsumerStatus from "../../../src/protocol/request/GetConsumerStatus.ts"
import * as RemotingClient from "../../support/remoting.ts"
import { brokerAddress, consumerHeartbeat, orThrow, rawClient, sendRequest } from "../support.ts"

const onCluster = (version: number = MQVersion.V5_5_0) =>
  Effect.provide(EmbeddedCluster.layerMemory({ version, topics: { orders: {} } }))

/** A member of the group `cg` that answers what is pushed to it, and an administrator. */
const rig = Effect.fnUntraced(function* (
  answer: (request: RemotingCommand) => Effect.Effect<Response>,
  clientVersion?: number
) {
  const address = yield* brokerAddress()
  const member = yield* RemotingClient.make(clientVersion === undefined ? {} : { version: clientVersion })
  yield* RemotingClient.handleAll(member, (_, request) => answer(request))
  yield* member.invoke(address, consumerHeartbeat("c-1", "cg", ["orders"]), 3_000)
  const admin = yield* rawClient()
  const ask = (code: number, extFields: Readonly<Record<string, string>>) =>
    admin.call(address, { code, extFields: { consumerGroup: "cg", clientId: "c-1", ...extFields } }, 30_000)
  const stored = yield* admin.call(address, sendRequest())
  return { ask, member, address, msgId: stored.extFields?.["msgId"] ?? "" }
})

const fromClient = { code: 77, remark: "from the client", extFields: { x: "1" }, body: Buffer.from("{}") }

describe("what a broker passes on to a client", () => {
  for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
    it.effect(
      `A48: running info (307) and direct consumption (309), and the client's answer as it is, ${version}`,
      () =>
        Effect.gen(function* () {
          const pushed: Array<RemotingCommand> = []
          const { ask, msgId } = yield* rig((request) =>
            Effect.sync(() => {
              if (request.code !== 40) pushed.push(request)
              return fromClient
            })
          )
          for (const [code, fields] of [
            [307, { jstackEnable: "true", unknown: "kept" }],
            [309, { msgId, topic: "orders" }]
          ] as const) {
            const { body, ...answer } = yield* ask(code, fields)
            assert.deepInclude(answer, { code: 77, remark: "from the client", extFields: { x: "1" } })
            assert.strictEqual(Buffer.from(body).toString(), "{}")
          }
          const flags = version === MQVersion.V5_5_0 ? { topicSysFlag: "0", groupSysFlag: "0" } : {}
          assert.deepStrictEqual(
            pushed.map(({ code, extFields }) => [code, { ...extFields }]),
            [
              [307, { consumerGroup: "cg", clientId: "c-1", jstackEnable: "true", unknown: "kept" }],
              [309, { consumerGroup: "cg", clientId: "c-1", msgId, topic: "orders", brokerName: "broker-a", ...flags }]
            ]
          )
          assert.isAbove(pushed[1]?.body.length ?? 0, 91)
        }).pipe(onCluster(version))
    )
  }

  it.effect("A48: code 1 for a client that is not there or is too old, and for a message that is not there", () =>
    Effect.gen(function* () {
      const { ask, msgId } = yield* rig(() => Effect.succeed({ code: 0 }), 50)
      assert.deepInclude(yield* ask(307, { clientId: "other" }), {
        code: 1,
        remark: "The Consumer <cg> <other> not online"
      })
      assert.deepInclude(yield* ask(307, { consumerGroup: "none" }), {
        code: 1,
        remark: "The Consumer <none> <c-1> not online"
      })
      for (const [id, remark] of [
        ["", "java.lang.NullPointerException: the message is null"],
        ["xyz", "java.nio.BufferUnderflowException"],
        [`${msgId.slice(0, 16)}00000FFFFFFFFFFF`, "java.lang.NullPointerException: the message is null"]
      ] as const) {
        assert.deepInclude(yield* ask(309, { msgId: id }), { code: 1, remark })
      }
      const admin = yield* rawClient()
      const address = yield* brokerAddress()
      for (const code of [307, 309]) {
        assert.deepInclude(yield* admin.call(address, { code, extFields: { consumerGroup: "cg", msgId } }), {
          code: 1,
          remark: "The Consumer <cg> <null> not online"
        })
        assert.deepInclude(yield* admin.call(address, { code, extFields: { clientId: "c-1", msgId } }), {
          code: 1,
          remark: "java.lang.NullPointerException: the group is null"
        })
      }
    }).pipe(onCluster())
  )

  for (const [version, name] of [
    [0, "V3_0_0_SNAPSHOT"],
    [15, "V3_0_0_FINAL"],
    [61, "V3_1_7"]
  ] as const) {
    it.effect(`A48: a client that is too old, by the name of its release, ${name}`, () =>
      Effect.gen(function* () {
        const { ask } = yield* rig(() => Effect.succeed({ code: 0 }), version)
        assert.deepInclude(yield* ask(307, {}), {
          code: 1,
          remark: `The Consumer <c-1> Version <${name}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`
        })
      }).pipe(onCluster())
    )
  }

  for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
    it.effect(
      `A48: code 207 after ten seconds without an answer, also when the client is gone by then, ${version}`,
      () =>
        Effect.gen(function* () {
          const { address, ask, member } = yield* rig(() => Effect.never)
          for (const gone of [false, true]) {
            const asked = yield* Effect.forkChild(ask(307, {}), { startImmediately: true })
            yield* TestClock.adjust(9_000)
            if (gone) yield* member.closeAddress(address)
            assert.isUndefined(asked.pollUnsafe())
            yield* TestClock.adjust(1_000)
            const answer = yield* Fiber.join(asked)
            assert.strictEqual(answer.code, 207)
            const slash = version === MQVersion.V5_5_0 ? "/" : ""
            assert.match(
              answer.remark ?? "",
              new RegExp(
                `^consumer <cg> <c-1> Timeout: org\\.apache\\.rocketmq\\.remoting\\.exception\\.RemotingTimeoutException: wait response on the channel <${slash}127\\.0\\.0\\.1:\\d+> timeout, 10000\\(ms\\)$`
              )
            )
          }
        }).pipe(onCluster(version))
    )
  }

  for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
    it.effect(`A48: how far the members of a group are (223), as each says (221), ${version}`, () =>
      Effect.gen(function* () {
        const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
        const asked: Array<unknown> = []
        const { address, ask } = yield* rig((request) =>
          Effect.sync(() => {
            if (request.code === 40) return { code: 0 }
            asked.push(GetConsumerStatusFromClient.decodeRequest(request))
            return GetConsumerStatusFromClient.response({ messageQueueTable: [[queue, 7]] })
          })
        )
        /** One that fails, and one that says nothing that can be read. */
        for (const [id, answer] of [
          ["c-2", { code: 1 }],
          ["c-3", { code: 0, body: Buffer.from("{") }]
        ] as const) {
          const other = yield* RemotingClient.make({})
          yield* RemotingClient.handleAll(other, () => Effect.succeed(answer))
          yield* other.invoke(address, consumerHeartbeat(id, "cg", ["orders"]), 3_000)
        }
        const status = (fields: Readonly<Record<string, string>> = {}) =>
          ask(223, { group: "cg", topic: "orders", ...fields })
        const answer = yield* status()
        assert.deepInclude(answer, { code: 0, remark: "not set any response code" })
        assert.strictEqual(
          Buffer.from(answer.body).toString(),
          '{"consumerTable":{"c-1":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:7}},"messageQueueTable":{}}'
        )
        assert.deepStrictEqual(asked, [{ topic: "orders", group: "cg" }])
        const tableOf = (fields: Readonly<Record<string, string>>) =>
          Effect.map(status(fields), (one) => [...orThrow(GetConsumerStatus.decodeResponse(one)).consumerTable.keys()])
        assert.deepStrictEqual(yield* tableOf({ clientAddr: " " }), ["c-1"])
        assert.deepStrictEqual(yield* tableOf({ clientAddr: "c-1" }), ["c-1"])
        assert.deepStrictEqual(yield* tableOf({ clientAddr: "c-2" }), [])
        assert.deepInclude(yield* status({ group: "nobody" }), {
          code: 1,
          remark: "java.lang.NullPointerException: the consumer group is null"
        })
        assert.strictEqual((yield* ask(223, { topic: "orders" })).code, 1)
      }).pipe(onCluster(version))
    )
  }

  it.effect("A48: a member that leaves the question for its offsets unanswered is left out after five seconds", () =>
    Effect.gen(function* () {
      const { ask } = yield* rig((request) => (request.code === 40 ? Effect.succeed({ code: 0 }) : Effect.never))
      const asked = yield* Effect.forkChild(ask(223, { group: "cg", topic: "orders" }), { startImmediately: true })
      yield* TestClock.adjust(5_000)
      assert.strictEqual(orThrow(GetConsumerStatus.decodeResponse(yield* Fiber.join(asked))).consumerTable.size, 0)
    }).pipe(onCluster())
  )

  it.effect("A48: a client that is too old for a reset or for its offsets", () =>
    Effect.gen(function* () {
      const { ask } = yield* rig(() => Effect.succeed({ code: 0 }), 27)
      const refused = { code: 1, remark: "the client does not support this feature. version=V3_0_6" }
      assert.deepInclude(yield* ask(223, { group: "cg", topic: "orders" }), refused)
      for (const queueId of ["0", "1", "2", "3"]) yield* ask(15, { topic: "orders", queueId, commitOffset: "0" })
      assert.deepInclude(yield* ask(222, { group: "cg", topic: "orders", timestamp: "0", isForce: "true" }), refused)
    }).pipe(onCluster(MQVersion.V4_9_7))
  )
})
