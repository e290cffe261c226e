import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import * as Certificates from "../support/certificates.ts"
import { type Call, cli, onCluster } from "./support.ts"

const SECRET = "hush-hush-secret"

const users = [
  { accessKey: "root", secretKey: SECRET },
  { accessKey: "writer", secretKey: SECRET, permissions: { "Topic:orders": ["Pub" as const] } }
]

const guarded = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(
    EmbeddedCluster.layerMemory({
      topics: { orders: {}, secrets: {} },
      acl: { users, nameServer: true },
      listen: { namesrvPort: 9_876, brokerPort: 10_911 },
      ...options
    })
  )

const as = (accessKey: string, secretKey = SECRET) => ({
  env: { ROCKETMQ_ACCESS_KEY: accessKey, ROCKETMQ_SECRET_KEY: secretKey }
})

const everything = ({ out, talk }: Call) => [...out, ...talk].join("\n")

describe("credentials", () => {
  it.effect("come from the environment or from flags, and sign every request", () =>
    Effect.gen(function* () {
      const listed = yield* onCluster(["topic", "list"], as("root"))
      assert.deepStrictEqual([listed.exitCode, listed.out], [0, ["orders", "secrets"]])
      const flags = ["--access-key", "root", "--secret-key", SECRET]
      assert.strictEqual((yield* onCluster(["broker", "config", "broker-a", ...flags])).exitCode, 0)
      const sent = yield* onCluster(["send", "--topic", "orders", "--body", "x"], as("writer"))
      assert.strictEqual(sent.exitCode, 0, everything(sent))
      const { traffic } = yield* EmbeddedCluster
      const [request] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.strictEqual(request?.extFields?.["AccessKey"], "writer")
      // The flag wins.
      const wrong = yield* onCluster(["topic", "list", "--access-key", "nobody"], as("root"))
      assert.strictEqual(wrong.exitCode, 4)
    }).pipe(guarded())
  )

  it.effect("H3: that are refused give exit code 4, the reason and the remedy, and no secret", () =>
    Effect.gen(function* () {
      const calls: ReadonlyArray<readonly [Effect.Effect<Call, never, EmbeddedCluster | Wire>, RegExp]> = [
        [onCluster(["topic", "list"]), /no-credentials.*\n.*ROCKETMQ_ACCESS_KEY/],
        [onCluster(["topic", "list"], as("nobody")), /unknown-user.*\n.*access key/],
        [onCluster(["topic", "list"], as("root", "wrong-hush")), /signature.*\n.*secret key/],
        [onCluster(["topic", "create", "new"], as("writer")), /permission.*\n.*acl list /],
        [onCluster(["send", "--topic", "secrets", "--body", "x"], as("writer")), /permission/]
      ]
      for (const [effect, expected] of calls) {
        const call = yield* effect
        assert.strictEqual(call.exitCode, 4, everything(call))
        assert.match(call.talk.join("\n"), expected)
        assert.notInclude(everything(call), "hush")
      }
    }).pipe(guarded())
  )

  it.effect("are whole, or the command says what is missing", () =>
    Effect.gen(function* () {
      const half = yield* onCluster(["topic", "list", "--access-key", "root"])
      assert.strictEqual(half.exitCode, 2)
      assert.match(half.talk.join("\n"), /no secret key[^]*ROCKETMQ_SECRET_KEY/)
      const other = yield* onCluster(["topic", "list", "--secret-key", SECRET])
      assert.match(other.talk.join("\n"), /no access key/)
      assert.notInclude(everything(other), SECRET)
      // Help shows neither value.
      assert.notInclude(everything(yield* cli(["topic", "list", "--help"], as("root"))), SECRET)
    }).pipe(guarded())
  )

  it.effect("are checked by the doctor", () =>
    Effect.gen(function* () {
      const well = yield* onCluster(["doctor", "--topic", "orders", "--send"], as("writer"))
      assert.strictEqual(well.exitCode, 0, everything(well))
      assert.match(everything(well), /healthy/)
      for (const [options, expected] of [
        [{}, /step 4[^]*no-credentials[^]*ROCKETMQ_ACCESS_KEY/],
        [as("nobody"), /step 4[^]*to user nobody \(unknown-user\)[^]*access key/],
        [as("root", "wrong-hush"), /step 4[^]*\(signature\)[^]*secret key/]
      ] as const) {
        const call = yield* onCluster(["doctor"], options)
        assert.strictEqual(call.exitCode, 4)
        assert.match(call.out.join("\n"), expected)
        assert.notInclude(everything(call), "hush")
      }
      const forbidden = yield* onCluster(["doctor", "--topic", "secrets", "--send"], as("writer"))
      assert.strictEqual(forbidden.exitCode, 4)
      assert.match(forbidden.out.join("\n"), /step 11, send a message[^]*permission/)
    }).pipe(guarded())
  )

  it.effect("are checked by the doctor where only the brokers ask for them, as those of 4.x", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["doctor"], as("root", "wrong"))
      assert.strictEqual(call.exitCode, 4)
      assert.match(call.out.join("\n"), /step [89][^]*\(signature\)/)
    }).pipe(guarded({ version: 401, acl: { users } }))
  )
})

describe("a namespace", () => {
  it.effect("is part of every name on the wire and of none that is shown", () =>
    Effect.gen(function* () {
      const inside = { env: { ROCKETMQ_NAMESPACE: "team" } }
      assert.strictEqual((yield* onCluster(["topic", "create", "orders"], inside)).exitCode, 0)
      assert.strictEqual((yield* onCluster(["group", "create", "readers"], inside)).exitCode, 0)
      yield* onCluster(["send", "--topic", "orders", "--body", "x", "--key", "k"], inside)
      assert.deepStrictEqual((yield* onCluster(["topic", "list"], inside)).out, ["orders"])
      assert.deepStrictEqual((yield* onCluster(["topic", "list"])).out, ["outside", "team%orders"])
      for (const args of [
        ["topic", "stats", "orders"],
        ["topic", "config", "orders"],
        ["topic", "offsets", "orders", "--at", "1h"],
        ["group", "list"],
        ["group", "progress", "readers"],
        ["message", "query", "--topic", "orders", "--key", "k"],
        ["peek", "--topic", "orders"]
      ]) {
        const call = yield* onCluster([...args, "--json"], inside)
        assert.strictEqual(call.exitCode, 0, everything(call))
        assert.notInclude(everything(call), "team%", args.join(" "))
        assert.isAbove(call.out.length, 0)
      }
      const groups = yield* onCluster(["group", "list", "--json"], inside)
      assert.match(groups.out.join(), /"groupName":"readers"/)
      const reset = yield* onCluster([
        "group",
        "reset",
        "readers",
        "--topic",
        "orders",
        "--to",
        "latest",
        "--namespace",
        "team",
        "--json"
      ])
      assert.strictEqual(reset.exitCode, 0, everything(reset))
      assert.strictEqual((yield* onCluster(["group", "delete", "readers", "--yes"], inside)).exitCode, 0)
      assert.strictEqual((yield* onCluster(["topic", "delete", "orders", "--yes"], inside)).exitCode, 0)
      assert.deepStrictEqual((yield* onCluster(["topic", "list"])).out, ["outside"])
      const bad = yield* onCluster(["topic", "list", "--namespace", "not good"])
      assert.strictEqual(bad.exitCode, 2)
      assert.match(bad.talk.join("\n"), /namespace/)
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ topics: { outside: {} } })))
  )
})

/** A cluster that speaks TLS, and the files of those who may. */
const encrypted = Layer.unwrap(
  Effect.map(Certificates.Certs, (certificates) =>
    Layer.unwrap(
      Effect.map(certificates.signed(), ({ cert, key }) =>
        EmbeddedCluster.layerTcp({ topics: { orders: {} }, tls: { cert, key } })
      )
    )
  )
).pipe(Layer.provideMerge(Certificates.Certs.layer))

describe("TLS", () => {
  it.live("is spoken with the given authority, checked by the doctor, and never silently plain", () =>
    Effect.gen(function* () {
      const { ca, stranger } = yield* Certificates.Certs
      const well = yield* onCluster(["topic", "list", "--tls-ca", ca.certPath])
      assert.deepStrictEqual([well.exitCode, well.out], [0, ["orders"]], everything(well))
      const healthy = yield* onCluster(["doctor", "--tls-ca", ca.certPath])
      assert.strictEqual(healthy.exitCode, 0, everything(healthy))
      assert.match(healthy.out.join("\n"), /name server connects +ok .*, TLS$/m)

      const insecure = yield* onCluster(["topic", "list", "--tls-insecure"])
      assert.deepStrictEqual([insecure.exitCode, insecure.out], [0, ["orders"]])
      assert.match(insecure.talk.join(), /warning: with --tls-insecure/)

      const folder = Path.dirname(ca.certPath)
      const other = Path.join(folder, "other-ca.pem")
      const { ca: strangers } = yield* stranger
      yield* Effect.promise(() => Fs.writeFile(other, strangers.cert))
      for (const [args, exitCode, expected] of [
        [["--tls"], 3, /untrusted|self-signed/],
        [["--tls-ca", other], 3, /untrusted|self-signed/],
        [["--tls-ca", ca.certPath, "--tls-servername", "elsewhere.example"], 3, /wrong-host/],
        [["--tls-ca", Path.join(folder, "nothing.pem")], 2, /--tls-ca .*nothing.pem cannot be read/]
      ] as const) {
        const call = yield* onCluster(["topic", "list", ...args])
        assert.strictEqual(call.exitCode, exitCode, everything(call))
        assert.match(call.talk.join("\n"), expected)
        const doctor = yield* onCluster(["doctor", ...args])
        assert.strictEqual(doctor.exitCode, exitCode)
        assert.match(everything(doctor), expected)
      }
      // Without any of the flags it is plain text, which this server does not serve.
      const plain = yield* onCluster(["doctor"])
      assert.strictEqual(plain.exitCode, 3)
      assert.match(plain.out.join("\n"), /step 4[^]*TLS/)
    }).pipe(Effect.provide(encrypted))
  )

  it.live("is asked of a server that has none", () =>
    Effect.gen(function* () {
      const doctor = yield* onCluster(["doctor", "--tls"])
      assert.strictEqual(doctor.exitCode, 3)
      assert.match(doctor.out.join("\n"), /step 3[^]*TLS, plain-server[^]*Leave out the --tls flags/)
    }).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } })))
  )
})
