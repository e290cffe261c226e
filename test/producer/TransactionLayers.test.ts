import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import { held, knownGroups, nothing, onMemory, settle, text } from "../support/rig.ts"

const topics = { orders: {} }
const undecided = () => Effect.succeed("UNKNOW" as const)

const options = (producerGroup: string) =>
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => ({ producerGroup, namesrvAddr, topics: ["orders"] }))

const transactional = (producerGroup: string) =>
  Effect.map(options(producerGroup), (given) => ({ ...given, checkLocalTransaction: undecided }))

/** Code that only sends and asks for nothing but a producer. */
const sendPlain = Effect.flatMap(DefaultMQProducer, (producer) => producer.send(text("orders")))

const both = Effect.gen(function* () {
  const plain = yield* DefaultMQProducer
  const transactions = yield* TransactionMQProducer
  yield* sendPlain
  yield* transactions.transaction(text("orders"), Effect.void)
  yield* settle
  return {
    same: plain === transactions,
    groups: [plain.producerGroup, transactions.producerGroup],
    sends: (yield* transactions.state).counters.sends,
    known: [...new Set(yield* knownGroups)]
  }
})

describe("layerWithProducer", () => {
  it.effect("gives one producer as both services, started once and shut down once", () =>
    Effect.gen(function* () {
      const layer = TransactionMQProducer.layerWithProducer(yield* transactional("tx"))
      assert.deepStrictEqual(yield* Effect.provide(both, layer), {
        same: true,
        groups: ["tx", "tx"],
        sends: 2,
        known: ["CLIENT_INNER_PRODUCER", "tx"]
      })
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory({ topics }))
  )

  it.effect("reads its options from Config as well", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const environment = ConfigProvider.layer(
        ConfigProvider.fromUnknown({ ROCKETMQ_PRODUCER_GROUP: "tx-config", NAMESRV_ADDR: namesrvAddr })
      )
      const layer = TransactionMQProducer.layerConfigWithProducer(undecided).pipe(Layer.provide(environment))
      const { groups, same } = yield* Effect.provide(both, layer)
      assert.deepStrictEqual([same, groups], [true, ["tx-config", "tx-config"]])
    }).pipe(onMemory({ topics }))
  )
})

describe("layer", () => {
  it.effect("gives no plain producer: merged with one in whichever order, neither takes the other's place", () =>
    Effect.gen(function* () {
      const tx = TransactionMQProducer.layer(yield* transactional("tx"))
      const plain = DefaultMQProducer.layer(yield* options("plain"))
      // The type says so too: code that only sends still asks for its producer.
      const alone = Effect.provide(sendPlain, tx)
      const missing: [Extract<Effect.Services<typeof alone>, DefaultMQProducer>] extends [never]
        ? "nothing"
        : "producer" = "producer"
      assert.strictEqual(missing, "producer")
      for (const merged of [Layer.mergeAll(tx, plain), Layer.mergeAll(plain, tx)]) {
        const { groups, known, same } = yield* Effect.provide(both, merged)
        assert.deepStrictEqual([same, groups], [false, ["plain", "tx"]])
        assert.deepStrictEqual(known, ["CLIENT_INNER_PRODUCER", "plain", "tx"])
      }
    }).pipe(onMemory({ topics }))
  )
})
