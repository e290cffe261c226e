import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, References } from "effect"
import { X509Certificate } from "node:crypto"
import type * as Net from "node:net"
import { inspect } from "node:util"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { make as makeCertificates, type CertificateOptions } from "../support/certificates.ts"
import { HARM, harmIn, LONG, textsOf } from "./Harm.ts"

const harmOf = (error: unknown): ReadonlyArray<string> =>
  [
    ...textsOf(error, "error", new Set()),
    ...inspect(error, { depth: 12 })
      .split("\n")
      .map((line) => ["inspected", line] as const),
    ["as JSON", JSON.stringify(error)] as const
  ].flatMap(([path, text]) => {
    const harm = harmIn(text)
    return harm === undefined ? [] : [`${path}: ${harm}: ${JSON.stringify(text.slice(0, 300))}`]
  })

/** What a resolver may say: foreign words, an answer without end. */
const lookups: Readonly<Record<string, Net.LookupFunction>> = {
  "its words": (host, _, callback) => {
    const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host} ${HARM}${LONG}`), {
      code: "ENOTFOUND",
      hostname: HARM + LONG,
      syscall: "getaddrinfo"
    })
    callback(error, "", 4)
  },
  "addresses that are none": (_, __, callback) => callback(null, [{ address: HARM + LONG, family: 4 }]),
  "addresses without end": (_, __, callback) =>
    callback(
      null,
      Array.from({ length: 2_000 }, (_v, n) => ({ address: `127.1.${n >> 8}.${n & 255}`, family: 4 }))
    )
}

describe("what Node says of a connection, where a peer had its hand in it", () => {
  for (const [name, lookup] of Object.entries(lookups)) {
    for (const mayReach of [undefined, () => true, () => false]) {
      const how =
        mayReach === undefined ? "" : mayReach() ? ", of whom some may be dialled" : ", none of them to be dialled"
      it.live(`A27: of a resolver, ${name}${how}`, () =>
        Effect.gen(function* () {
          const wire = yield* Wire
          const error = yield* Effect.flip(wire.connect("broker:1", { connectTimeoutMillis: 1_000, mayReach }))
          assert.deepStrictEqual(harmOf(error), [])
          assert.isBelow(inspect(error, { depth: 12 }).length, 30_000)
        }).pipe(Effect.scoped, Effect.provide(TcpWire.layerWith({ lookup })))
      )
    }
  }

  /** As openssl writes them. */
  const text = (HARM + "x".repeat(20)).replaceAll(/[\r\n\0]/g, "")
  const certificates: Readonly<Record<string, CertificateOptions>> = {
    "alternative names": {
      names: Array.from({ length: 200 }, (_, n) => `DNS:${"n".repeat(50)}-${n}.example`).join(", ")
    },
    "a subject": { names: "email:a@example", commonName: text }
  }
  for (const [name, options] of Object.entries(certificates)) {
    it.live(`A27: of a certificate for another host: ${name}`, () =>
      Effect.gen(function* () {
        const made = yield* makeCertificates
        const { cert, key } = yield* made.signed(options)
        const planted = new X509Certificate(cert)
        if (options.commonName === undefined) assert.isAbove(planted.subjectAltName?.length ?? 0, 10_000)
        else assert.strictEqual(planted.toLegacyObject().subject.CN, options.commonName)
        const server = yield* RemotingServer.listen({
          address: "127.0.0.1:0",
          tls: { cert, key },
          handler: () => Effect.succeed({ code: 0 })
        })
        const wire = yield* Wire
        const tls = { ca: made.ca.cert, servername: "broker.example" }
        const error = yield* Effect.flip(wire.connect(server.address, { connectTimeoutMillis: 5_000, tls }))
        assert.strictEqual(error.tls, "wrong-host")
        assert.deepStrictEqual(harmOf(error), [])
        assert.isBelow(inspect(error, { depth: 12 }).length, 5_000)
        assert.notProperty(error.cause, "cert")
        const logged: Array<string> = []
        const logger = Logger.make(({ cause, message }) => {
          logged.push(...[message].flat().map((part) => inspect(part, { depth: 12 })), Cause.pretty(cause))
        })
        const failed = yield* DefaultMQProducer.make({ producerGroup: "g", namesrvAddr: server.address, tls }).pipe(
          Effect.flatMap((producer) => Effect.flip(producer.start)),
          Effect.provide(MQClientManager.layer),
          Effect.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All")))
        )
        assert.deepStrictEqual(harmOf(failed), [])
        const lines = logged.flatMap((one) => one.split("\n"))
        assert.isNotEmpty(lines)
        assert.deepStrictEqual(
          lines.filter((line) => harmIn(line) !== undefined),
          []
        )
      }).pipe(Effect.scoped, Effect.provide(TcpWire.layer))
    )
  }
})
