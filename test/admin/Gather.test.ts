import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { BROKERS_AT_ONCE, gather, MAX_GATHERED_BYTES } from "../../src/admin/Gather.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as ClusterInfo from "../../src/protocol/ClusterInfo.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { listen } from "../../src/embedded/server/RemotingServer.ts"

const brokersOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ brokerName: `b-${index}`, address: `127.0.0.1:${index + 1}` }))

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** An answer with so long a body. */
const answerOf = (length: number): RemotingCommand => ({
  code: 0,
  language: "JAVA",
  version: 0,
  opaque: 1,
  flag: 1,
  remark: undefined,
  extFields: undefined,
  body: new Uint8Array(length),
  serializeType: "JSON"
})

describe("answers of many brokers", () => {
  it.effect.prop(
    "come in the brokers' order while they are within the limit together, and fail above it",
    { lengths: Schema.Array(upTo(40)).check(Schema.isMaxLength(30)), limit: upTo(600) },
    ({ lengths, limit }) =>
      Effect.gen(function* () {
        const sum = lengths.reduce((total, length) => total + length, 0)
        let read = 0
        const ask = gather(
          "the groups",
          brokersOf(lengths.length),
          ({ brokerName }, counted) =>
            Effect.sync(() => {
              read += 1
              const index = Number(brokerName.slice(2))
              return counted(({ body }) => [index, body.length])(answerOf(lengths[index] ?? 0))
            }),
          limit
        )
        const result = yield* Effect.result(ask)
        if (sum <= limit) {
          assert(result._tag === "Success")
          assert.deepStrictEqual(
            result.success,
            lengths.map((length, index) => [index, length])
          )
        } else {
          assert(result._tag === "Failure")
          assert.deepInclude(result.failure, { limit, brokers: lengths.length })
          assert.isAbove(result.failure.bytes, limit)
          // Nobody is asked once it is known.
          assert.isAtMost(read, result.failure.answered + BROKERS_AT_ONCE)
        }
      })
  )

  it.effect("are bounded for a call whose brokers answer a frame each", () =>
    Effect.gen(function* () {
      const address = "127.0.0.1:4242"
      const length = 12 * 1024 * 1024
      const brokers = brokersOf(30)
      const info = ClusterInfo.encode({
        clusterAddrTable: new Map([["rogue", brokers.map(({ brokerName }) => brokerName)]]),
        brokerAddrTable: new Map(
          brokers.map(({ brokerName }) => [
            brokerName,
            { cluster: "rogue", brokerName, brokerAddrs: new Map([[0, address]]), zoneName: undefined }
          ])
        )
      })
      const padded = Buffer.from(`{"pad":"${"x".repeat(length)}","subscriptionGroupTable":{}}`)
      let asked = 0
      yield* listen({
        address,
        handler: ({ code }) =>
          Effect.sync(() => {
            if (code === RequestCode.GET_BROKER_CLUSTER_INFO) return { code: ResponseCode.SUCCESS, body: info }
            asked += 1
            return { code: ResponseCode.SUCCESS, body: padded }
          })
      })
      const error = yield* Effect.flip(
        Effect.flatMap(MQAdmin, ({ getAllSubscriptionGroup }) => getAllSubscriptionGroup()).pipe(
          Effect.provide(Layer.provide(MQAdmin.layer({ namesrvAddr: address }), MQClientManager.layer))
        )
      )
      assert.deepInclude(error.reason, { _tag: "TooMuchAnswered", brokers: 30, limit: MAX_GATHERED_BYTES })
      assert.match(error.message, /of 30 brokers answered \d+ bytes about the groups/)
      assert.isBelow(asked, 30)
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory()))
  )
})
