import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { Certs } from "../support/certificates.ts"
import { text } from "../support/rig.ts"
import * as JavaClient from "./JavaClient.ts"
import type { RocketMQVersion } from "./Jars.ts"

const send = (topic: string) => ({ messages: [{ topic, body: "x" }], sendTimeoutMillis: 5_000 })

/** The Java clients and mqadmin on an embedded cluster that checks signatures and speaks TLS, beside our producer. */

const shop = { accessKey: "shop", secretKey: "shop-secret" }
const admin = { accessKey: "admin", secretKey: "admin-secret" }

const pairs: ReadonlyArray<{ readonly client: RocketMQVersion; readonly version: number }> = [
  { client: "5.5.0", version: MQVersion.V5_5_0 },
  { client: "4.9.7", version: MQVersion.V4_9_7 }
]

describe.each(pairs)(
  "Java $client on an embedded cluster with access control and TLS",
  ({ client: version, version: number }) => {
    const cluster = Layer.unwrap(
      Effect.map(Certs, ({ server }) =>
        EmbeddedCluster.layerTcp({
          version: number,
          topics: { orders: {}, salaries: {}, "MQ_INST_1_x%orders": {} },
          tls: server,
          acl: {
            users: [
              admin,
              {
                ...shop,
                permissions: { "Topic:orders": ["Pub", "Sub"], "Topic:MQ_INST_1_x%*": ["Pub"], "Group:*": ["Sub"] }
              }
            ]
          }
        })
      )
    ).pipe(Layer.provideMerge(Certs.layer))

    layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })((it) => {
      it.effect("signatures of either client are the same to the server, and each reads what the other sent", () =>
        Effect.gen(function* () {
          const { ca } = yield* Certs
          const { namesrvAddr } = yield* EmbeddedCluster
          const client = { namesrvAddr, version, credentials: shop, tls: true }
          const messages = ["plain", "grüße 🚀", "x".repeat(10_000)].map((body) => ({
            topic: "orders",
            body,
            keys: "ключ",
            properties: { имя: "значение" }
          }))
          const sent = yield* JavaClient.produce({ ...client, messages })
          assert.deepStrictEqual([...new Set(sent.map(({ sendStatus }) => sendStatus))], ["SEND_OK"])
          const producer = yield* DefaultMQProducer.make({
            producerGroup: "ours",
            namesrvAddr,
            credentials: { accessKey: shop.accessKey, secretKey: Redacted.make(shop.secretKey) },
            tls: { ca: ca.cert }
          })
          yield* producer.start
          yield* Effect.ensuring(producer.send(text("orders", "ours")), producer.shutdown)
          const read = yield* JavaClient.read({ ...client, topic: "orders" })
          assert.sameMembers(
            read.map(({ bodyBase64 }) => Buffer.from(bodyBase64 ?? "", "base64").toString()),
            [...messages.map(({ body }) => body), "ours"]
          )
        }).pipe(Effect.provide(MQClientManager.layerTcp))
      )

      it.effect("a namespace of the Java producer is the one of ours", () =>
        Effect.gen(function* () {
          const embedded = yield* EmbeddedCluster
          const { ca } = yield* Certs
          const { namesrvAddr } = embedded
          const namespace = "MQ_INST_1_x"
          const client = { namesrvAddr, version, credentials: shop, tls: true, namespace }
          yield* JavaClient.produce({ ...client, messages: [{ topic: "orders", body: "java" }] })
          const producer = yield* DefaultMQProducer.make({
            producerGroup: "ours",
            namesrvAddr,
            namespace,
            credentials: { accessKey: shop.accessKey, secretKey: Redacted.make(shop.secretKey) },
            tls: { ca: ca.cert }
          })
          yield* producer.start
          yield* Effect.ensuring(producer.send(text("orders", "ours")), producer.shutdown)
          const stored = yield* embedded.messages("MQ_INST_1_x%orders")
          assert.sameMembers(
            stored.map(({ body }) => Buffer.from(body).toString()),
            ["java", "ours"]
          )
          for (const { properties } of stored) assert.strictEqual(properties["INSTANCE_ID"], namespace)
        }).pipe(Effect.provide(MQClientManager.layerTcp))
      )

      it.effect("a wrong secret and a topic that is not allowed are refused", () =>
        Effect.gen(function* () {
          const { namesrvAddr } = yield* EmbeddedCluster
          const client = { namesrvAddr, version, credentials: shop, tls: true, timeoutMillis: 60_000 }
          const denied = yield* Effect.flip(JavaClient.produce({ ...client, ...send("salaries") }))
          assert.match(denied.output, /no permission to access|No default permission/)
          const wrong = yield* Effect.flip(
            JavaClient.produce({ ...client, ...send("orders"), credentials: { ...shop, secretKey: "guess" } })
          )
          assert.match(wrong.output, /[Cc]heck signature failed/)
        })
      )

      it.effect("mqadmin works for an administrator", () =>
        Effect.gen(function* () {
          const { clusterName, namesrvAddr } = yield* EmbeddedCluster
          const create = ["updateTopic", "-c", clusterName, "-t", "made-by-admin"]
          const refused = yield* JavaClient.mqadmin({ namesrvAddr, version, tls: true, credentials: shop }, create)
          assert.match(refused.stdout + refused.stderr, /no permission to access|Need admin permission/)
          const made = yield* JavaClient.mqadmin({ namesrvAddr, version, tls: true, credentials: admin }, create)
          assert.match(made.stdout, /success/)
        })
      )
    })
  }
)
