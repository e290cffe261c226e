import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { Certs } from "../support/certificates.ts"
import { failureOf, text } from "../support/rig.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/**
 * RocketMQ's own TLS: `permissive`, so that one port speaks both, with a certificate that it signs itself in its test
 * mode, and with given ones otherwise. Certificates and key are read as PKCS#8 PEM.
 */

const makeProducer = (given: Partial<ProducerOptions>) =>
  Effect.flatMap(RocketMQ, ({ namesrvAddr }) =>
    DefaultMQProducer.make({
      producerGroup: "tls-pg",
      namesrvAddr,
      readiness: "registered",
      // A Java server's first handshake may take seconds on a busy machine.
      mqClientApiTimeout: 20_000,
      sendMsgTimeout: 20_000,
      startTimeoutMillis: 60_000,
      remoting: { connectTimeoutMillis: 20_000 },
      ...given
    })
  )

const send = (given: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(given)
    yield* producer.start
    const { status } = yield* Effect.ensuring(producer.send(text("tls-topic", "x".repeat(20_000))), producer.shutdown)
    assert.strictEqual(status, "SEND_OK")
  })

/** Why there was no TLS connection to the name server. */
const refusedFor = (given: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(given)
    const { message, reason } = failureOf(yield* Effect.exit(producer.start))
    if (reason._tag !== "NameServerUnavailable") throw new Error(message)
    return reason.tries.map(({ tls }) => tls)
  })

for (const version of ["5.5.0", "4.9.7"] as const) {
  layer(RocketMQ.layer({ version }), { excludeTestServices: true, timeout: "10 minutes" })(
    `TLS of RocketMQ ${version} as it is installed`,
    (it) => {
      it.effect(
        "H4: its own certificate is not trusted, and TLS with it needs insecure; plain text is served as well",
        () =>
          Effect.gen(function* () {
            yield* send({})
            yield* send({ tls: { insecure: true } })
            assert.deepStrictEqual(yield* refusedFor({ tls: {} }), ["self-signed"])
          }).pipe(Effect.provide(MQClientManager.layerTcp))
      )

      it.effect("the VIP channel is a second port for sends", () =>
        send({ vipChannelEnabled: true, tls: { insecure: true } }).pipe(Effect.provide(MQClientManager.layerTcp))
      )
    }
  )

  const mine = Layer.unwrap(
    Effect.map(Certs, ({ ca, server }) =>
      RocketMQ.layer({
        version,
        jvmOptions: [
          "-Dtls.test.mode.enable=false",
          `-Dtls.server.certPath=${server.certPath}`,
          `-Dtls.server.keyPath=${server.keyPath}`,
          `-Dtls.server.trustCertPath=${ca.certPath}`,
          "-Dtls.server.authClient=true",
          "-Dtls.server.need.client.auth=require"
        ]
      })
    )
  ).pipe(Layer.provideMerge(Certs.layer))

  layer(mine, { excludeTestServices: true, timeout: "10 minutes" })(
    `TLS of RocketMQ ${version} with certificates of an own authority, of the clients too`,
    (it) => {
      it.effect("client and server know each other", () =>
        Effect.gen(function* () {
          const { ca, client } = yield* Certs
          const passphrase = Redacted.make("pass")
          yield* send({ tls: { ca: ca.cert, cert: client.cert, key: client.key, passphrase } })
        }).pipe(Effect.provide(MQClientManager.layerTcp))
      )

      it.effect("H4: each side refuses whom it does not know", () =>
        Effect.gen(function* () {
          const { ca, client, stranger } = yield* Certs
          const passphrase = Redacted.make("pass")
          const shown = { cert: client.cert, key: client.key, passphrase }
          const { ca: other, cert } = yield* stranger
          assert.deepStrictEqual(yield* refusedFor({ tls: { ca: ca.cert } }), ["client-cert"])
          assert.deepStrictEqual(yield* refusedFor({ tls: { ca: ca.cert, cert: cert.cert, key: cert.key } }), [
            "client-cert"
          ])
          assert.deepStrictEqual(yield* refusedFor({ tls: { ca: other.cert, ...shown } }), ["untrusted"])
          assert.deepStrictEqual(yield* refusedFor({ tls: { ...shown, ca: ca.cert, servername: "other.example" } }), [
            "wrong-host"
          ])
        }).pipe(Effect.provide(MQClientManager.layerTcp))
      )
    }
  )
}

layer(RocketMQ.layer({ version: "5.5.0", jvmOptions: ["-Dtls.server.mode=disabled"] }), {
  excludeTestServices: true,
  timeout: "10 minutes"
})("RocketMQ 5.5.0 without TLS", (it) => {
  it.effect("H4: is told from one with it, and gets nothing in plain text", () =>
    Effect.gen(function* () {
      yield* send({})
      assert.deepStrictEqual(yield* refusedFor({ tls: { insecure: true } }), ["plain-server"])
    }).pipe(Effect.provide(MQClientManager.layerTcp))
  )
})
