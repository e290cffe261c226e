import { assert, layer } from "@effect/vitest"
import { Effect, Logger, Redacted } from "effect"
import { AddressTranslator } from "../../src/client/AddressTranslator.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { Certs } from "../support/certificates.ts"
import { failureOf, makeProducer, onTcp, startProducer, text } from "../support/rig.ts"

const topics = { orders: {} }

/** Who the name server turned out to be, as the error of a start tells. */
const reasonsOfStart = (tls: Parameters<typeof makeProducer>[0]) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(tls)
    const { message, reason } = failureOf(yield* Effect.exit(producer.start))
    if (reason._tag !== "NameServerUnavailable") throw new Error(message)
    for (const { problem } of reason.tries) assert.strictEqual(problem, "tls-failed")
    return reason.tries.map((one) => one.tls)
  })

layer(Certs.layer, { excludeTestServices: true })("a producer with TLS", (it) => {
  it.effect("starts and sends, to name server and broker", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* Certs
      yield* Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const producer = yield* startProducer({ tls: { ca: ca.cert }, readiness: "registered", topics: ["orders"] })
        yield* Effect.forEach(Array.from({ length: 50 }), () => producer.send(text("orders", "x".repeat(10_000))), {
          concurrency: 10
        })
        assert.strictEqual((yield* messages("orders")).length, 50)
      }).pipe(onTcp({ topics, tls: server }))
    })
  )

  it.effect("H4: and shows its own certificate where it is wanted", () =>
    Effect.gen(function* () {
      const { ca, client, server } = yield* Certs
      yield* Effect.gen(function* () {
        const tls = { ca: ca.cert, cert: client.cert, key: client.key, passphrase: Redacted.make("pass") }
        const producer = yield* startProducer({ tls, readiness: "registered", topics: ["orders"] })
        yield* producer.send(text("orders"))
        assert.deepStrictEqual(yield* reasonsOfStart({ tls: { ca: ca.cert } }), ["client-cert"])
      }).pipe(onTcp({ topics, tls: { ...server, ca: ca.cert, requestCert: true } }))
    })
  )

  it.effect("H4: a start says what was wrong with the name server's certificate", () =>
    Effect.gen(function* () {
      const { ca, server } = yield* Certs
      yield* Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        assert.deepStrictEqual(yield* reasonsOfStart({ tls: {} }), ["untrusted"])
        assert.deepStrictEqual(yield* reasonsOfStart({ tls: { ca: ca.cert, servername: "elsewhere.example" } }), [
          "wrong-host"
        ])
        const named = namesrvAddr.replace("127.0.0.1", "localhost")
        yield* startProducer({ tls: { ca: ca.cert }, namesrvAddr: named })
      }).pipe(onTcp({ topics, tls: server }))
    })
  )

  it.effect("H4: never talks plain text to a server without TLS", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* reasonsOfStart({ tls: { insecure: true } }), ["plain-server"])
      assert.strictEqual((yield* traffic.all).length, 0)
    }).pipe(onTcp({ topics }))
  )

  it.effect("H4: a send says what was wrong with the broker's certificate, and that nothing was sent", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const byAddress = yield* certs.signed({ names: "IP:127.0.0.1" })
      yield* Effect.gen(function* () {
        const producer = yield* startProducer({ tls: { ca: certs.ca.cert } })
        const error = failureOf(yield* Effect.exit(producer.send(text("orders"))))
        assert.strictEqual(error.outcome, "not-sent")
        assert.isFalse(error.retryable)
        if (error.reason._tag !== "TlsFailed") throw new Error(error.message)
        assert.strictEqual(error.reason.reason, "wrong-host")
      }).pipe(
        Effect.provideService(AddressTranslator, {
          translate: ({ address }) => Effect.succeed(address.replace("127.0.0.1", "localhost"))
        }),
        onTcp({ topics, tls: byAddress })
      )
    })
  )

  it.effect("without verification it warns at each start", () =>
    Effect.gen(function* () {
      const certs = yield* Certs
      const own = yield* certs.selfSigned()
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })
      yield* Effect.gen(function* () {
        const producer = yield* startProducer({ tls: { insecure: true } })
        yield* producer.send(text("orders"))
      }).pipe(onTcp({ topics, tls: own }), Effect.provide(Logger.layer([logger])))
      assert.strictEqual(warnings.filter((line) => line.includes("tls.insecure")).length, 1)
    })
  )

  it.effect("options that cannot be used are a problem of the configuration", () =>
    Effect.gen(function* () {
      const { client } = yield* Certs
      const producer = yield* makeProducer({
        tls: { cert: client.cert, key: client.key, passphrase: Redacted.make("wrong") }
      })
      const { reason } = failureOf(yield* Effect.exit(producer.start))
      assert.strictEqual(reason._tag, "InvalidConfig")
      assert.include(reason.message, "tls: ca, cert, key or passphrase cannot be used")
    }).pipe(onTcp({ topics }))
  )
})
