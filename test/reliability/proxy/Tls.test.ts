import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { FaultProxy } from "../../../src/testing/index.ts"
import { Certs } from "../../support/certificates.ts"
import { text } from "../../support/rig.ts"
import { overheard, refusedStart } from "./client.ts"
import { proxied, Proxies, startProducer } from "./rig.ts"

layer(Certs.layer, { excludeTestServices: true })("TLS behind a proxy", (it) => {
  it.effect("H4: a server without TLS is refused, and nothing is said to it in plain text", () =>
    Effect.flatMap(Certs, ({ ca }) =>
      proxied(
        {},
        Effect.gen(function* () {
          const heard = yield* overheard
          const tries = yield* refusedStart({ tls: { ca: ca.cert }, topics: ["orders"] })
          assert.deepStrictEqual(
            tries.map((one) => [one.problem, one.tls]),
            [["tls-failed", "plain-server"]]
          )
          const bytes = heard()
          // A TLS record that begins a handshake, and nothing of a request.
          assert.strictEqual(bytes[0], 0x16)
          assert.notMatch(bytes.toString("latin1"), /orders|"code"|TBW102/)
        })
      )
    )
  )

  it.effect("H4: certificates that are expired, self-signed or another host's are refused with the reason", () =>
    Effect.gen(function* () {
      const { ca, selfSigned, signed } = yield* Certs
      const cases = [
        ["expired", yield* signed({ from: 1_600_000_000, until: 1_600_086_400 })],
        ["self-signed", yield* selfSigned()],
        ["wrong-host", yield* signed({ names: "DNS:elsewhere.example" })]
      ] as const
      for (const [reason, certificate] of cases) {
        yield* proxied(
          { cluster: { tls: { cert: certificate.cert, key: certificate.key } } },
          Effect.gen(function* () {
            const heard = yield* overheard
            const tries = yield* refusedStart({ tls: { ca: ca.cert }, topics: ["orders"] })
            assert.deepStrictEqual(
              tries.map((one) => [one.problem, one.tls]),
              [["tls-failed", reason]]
            )
            assert.notMatch(heard().toString("latin1"), /orders|"code"|TBW102/)
          })
        )
      }
    })
  )

  it.effect("H4: a server that wants a certificate of the client says so; with one, in slices, all goes well", () =>
    Effect.gen(function* () {
      const { ca, client, server } = yield* Certs
      yield* proxied(
        { cluster: { tls: { cert: server.cert, key: server.key, ca: ca.cert, requestCert: true } } },
        Effect.gen(function* () {
          const { all } = yield* Proxies
          const tries = yield* refusedStart({ tls: { ca: ca.cert } })
          assert.deepStrictEqual(
            tries.map((one) => [one.problem, one.tls]),
            [["tls-failed", "client-cert"]]
          )
          for (const proxy of all()) yield* proxy.add(FaultProxy.slicer(11))
          const tls = { ca: ca.cert, cert: client.cert, key: client.key, passphrase: Redacted.make("pass") }
          const producer = yield* startProducer({ producer: { readiness: "nameServer", tls, sendMsgTimeout: 15_000 } })
          assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
        })
      )
    })
  )
})
