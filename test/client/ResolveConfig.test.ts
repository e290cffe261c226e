import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { HostLookup } from "../../src/client/HostLookup.ts"
import { withEndpointNamespace } from "../../src/client/ResolveConfig.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli } from "../cli/support.ts"
import { onMemory, text } from "../support/rig.ts"

const namespace = "MQ_INST_1_x"
const host = `${namespace}.ons.example`
const endpoint = `http://${host}:9876`
const wrapped = (name: string) => `${namespace}%${name}`

/** A cluster that such an endpoint is the name server of. */
const onInstance = onMemory({
  topics: { [wrapped("orders")]: {}, plain: {} },
  listen: { host, namesrvPort: 9_876, brokerPort: 10_911 }
})

const start = Effect.fnUntraced(function* (options: Omit<ProducerOptions, "producerGroup">) {
  const producer = yield* DefaultMQProducer.make({ producerGroup: wrapped("pg"), readiness: "registered", ...options })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  return producer
})

/** The namespace that options come to. */
const of = (options: Parameters<typeof withEndpointNamespace>[0]) =>
  Effect.map(withEndpointNamespace(options), (resolved) => resolved.namespace)

const withEnvironment = (value: string) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NAMESRV_ADDR: value })))

describe("the namespace of an instance's endpoint", () => {
  it.effect("is filled in where none is set, of either kind", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* of({ namesrvAddr: endpoint }), namespace)
      assert.strictEqual(yield* of({ namesrvAddr: [endpoint] }), namespace)
      assert.strictEqual(yield* of({ namesrvAddr: endpoint, namespace: "mine" }), "mine")
      assert.strictEqual(yield* of({ namesrvAddr: endpoint, namespaceV2: "mine" }), undefined)
      assert.strictEqual(yield* of({ namesrvAddr: "127.0.0.1:9876" }), undefined)
      assert.strictEqual(yield* of({}), namespace)
      assert.strictEqual(yield* of({ namesrvAddr: "127.0.0.1:9876" }), undefined)
    }).pipe(withEnvironment(endpoint))
  )

  for (const [where, namesrvAddr] of [
    ["the options", endpoint],
    ["NAMESRV_ADDR", undefined]
  ] as const) {
    it.effect(`from ${where}: a producer sends into it, and shows names as the user knows them`, () =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const producer = yield* start({ namesrvAddr, topics: ["orders"] })
        assert.strictEqual(producer.producerGroup, "pg")
        for (const topic of ["orders", wrapped("orders")]) {
          const { queue } = yield* producer.send(text(topic))
          assert.strictEqual(queue.topic, "orders")
        }
        assert.strictEqual((yield* messages(wrapped("orders"))).length, 2)
        const { instance } = yield* producer.state
        assert.deepStrictEqual(instance?.nameServers.addresses, [`${host}:9876`])
      }).pipe(withEnvironment(namesrvAddr === undefined ? endpoint : ""), onInstance)
    )
  }

  it.effect("a transaction ends in it, an administrator and the command line look into it", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* TransactionMQProducer.make({
        producerGroup: wrapped("tx"),
        namesrvAddr: endpoint,
        topics: ["orders"],
        checkLocalTransaction: () => Effect.succeed("UNKNOW" as const)
      })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      assert.strictEqual(producer.producerGroup, "tx")
      yield* producer.transaction(text("orders"), () => Effect.void)
      assert.strictEqual((yield* messages(wrapped("orders"))).length, 1)
      const admin = yield* makeAdmin({ namesrvAddr: endpoint })
      assert.include(yield* admin.fetchAllTopicList, "orders")
      assert.notInclude(yield* admin.fetchAllTopicList, "plain")
      const doctor = yield* cli(["doctor", "--namesrv", endpoint, "--topic", "orders"]).pipe(
        Effect.provideService(HostLookup, () => Effect.succeed(["192.0.2.7"]))
      )
      assert.strictEqual(doctor.exitCode, 0, doctor.out.join("\n"))
    }).pipe(withEnvironment(""), onInstance)
  )

  it.effect("a namespace that is set wins", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* start({ namesrvAddr: endpoint, namespace: "mine" })
      yield* producer.send(text("fresh"))
      assert.strictEqual((yield* messages("mine%fresh")).length, 1)
    }).pipe(withEnvironment(""), onInstance)
  )
})
