import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { COMMON_PREFIX, configNames } from "../../src/client/options/ConfigNames.ts"
import { variables } from "../../src/cli/Variables.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli, onCluster } from "./support.ts"

const SECRET = "hush-hush"

const guarded = Effect.provide(
  EmbeddedCluster.layerMemory({
    topics: { orders: {} },
    acl: { users: [{ accessKey: "root", secretKey: SECRET }], nameServer: true },
    listen: { namesrvPort: 9_876, brokerPort: 10_911 }
  }).pipe(Layer.orDie)
)

const open = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))

/** The exit code of `topic list`, and whether it shows the topic. */
const list = (env: Readonly<Record<string, string>>, ...flags: ReadonlyArray<string>) =>
  Effect.map(cli(["topic", "list", ...flags], { env }), ({ exitCode, out }) => [exitCode, out.includes("orders")])

describe("variables of the command line", () => {
  it("are the names that layerConfig reads for all clients of a process", () => {
    const known = new Map(
      configNames(ClientConfig.table, [COMMON_PREFIX]).map(({ environment, option }) => [option, environment])
    )
    for (const [flag, option] of [
      ["namesrv", "namesrvAddr"],
      ["accessKey", "credentials.accessKey"],
      ["secretKey", "credentials.secretKey"],
      ["securityToken", "credentials.securityToken"],
      ["namespace", "namespace"]
    ] as const) {
      assert.deepStrictEqual([...variables[flag]], known.get(option), flag)
    }
  })

  it.effect("name the servers, in the order of layerConfig and without the spaces around", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const works = [0, true]
      assert.deepStrictEqual(yield* list({ ROCKETMQ_NAME_SERVER: namesrvAddr }), works)
      assert.deepStrictEqual(yield* list({ ROCKETMQ_NAMESRV_ADDR: ` ${namesrvAddr} ` }), works)
      assert.deepStrictEqual(yield* list({ NAMESRV_ADDR: `${namesrvAddr}\n` }), works)
      assert.deepStrictEqual(yield* list({ ROCKETMQ_NAME_SERVER: namesrvAddr, NAMESRV_ADDR: "nonsense" }), works)
      assert.deepStrictEqual(yield* list({ ROCKETMQ_NAME_SERVER: "  ", NAMESRV_ADDR: namesrvAddr }), works)
      assert.deepStrictEqual(yield* list({ ROCKETMQ_NAME_SERVER: "nonsense" }, "--namesrv", namesrvAddr), works)
      // Blank is absent.
      const none = yield* cli(["topic", "list"], { env: { ROCKETMQ_NAME_SERVER: " ", NAMESRV_ADDR: " " } })
      assert.match(none.talk.join("\n"), /Missing required flag: --namesrv/)
    }).pipe(open)
  )

  it.effect("say who asks, without the spaces around, and blank is absent", () =>
    Effect.gen(function* () {
      const padded = {
        ROCKETMQ_ACCESS_KEY: " root ",
        ROCKETMQ_SECRET_KEY: `\t${SECRET}\n`,
        ROCKETMQ_SECURITY_TOKEN: " "
      }
      const call = yield* onCluster(["topic", "list"], { env: padded })
      assert.deepStrictEqual([call.exitCode, call.out], [0, ["orders"]])
      const other = { ROCKETMQ_CREDENTIALS_ACCESS_KEY: "root", ROCKETMQ_CREDENTIALS_SECRET_KEY: SECRET }
      assert.strictEqual((yield* onCluster(["topic", "list"], { env: other })).exitCode, 0)
      const half = yield* onCluster(["topic", "list"], {
        env: { ROCKETMQ_ACCESS_KEY: "root", ROCKETMQ_SECRET_KEY: " " }
      })
      assert.match(half.talk.join("\n"), /no secret key/)
    }).pipe(guarded)
  )

  it.effect("are those of every other option too, and what cannot be used is told by its name", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* onCluster(["send", "--topic", "orders", "--body", "x"], { env: { ROCKETMQ_UNIT_MODE: "YES" } })
      const [request] = yield* traffic.ofCode(310)
      assert.strictEqual(request?.extFields?.["k"], "true")
      for (const [name, value] of [
        ["ROCKETMQ_TLS_CA_FILE", "/nowhere/ca.pem"],
        ["ROCKETMQ_TLS_ENABLE", "perhaps"],
        ["ROCKETMQ_CONNECT_TIMEOUT", "soon"],
        ["ROCKETMQ_POLL_NAME_SERVER_INTERVAL", "-1s"]
      ] as const) {
        const call = yield* onCluster(["topic", "list"], { env: { [name]: value } })
        assert.strictEqual(call.exitCode, 2, name)
        assert.include(call.talk.join("\n"), name)
      }
    }).pipe(open)
  )

  it.effect("that say TLS are put aside by --no-tls, and added to by flags", () =>
    Effect.gen(function* () {
      const env = { ROCKETMQ_TLS_ENABLE: "TRUE" }
      // The wire in memory has none.
      assert.match((yield* onCluster(["topic", "list"], { env })).talk.join("\n"), /no-tls-here|TLS/)
      assert.strictEqual((yield* onCluster(["topic", "list", "--no-tls"], { env })).exitCode, 0)
      const off = { env: { ROCKETMQ_TLS_ENABLE: "no", ROCKETMQ_TLS_SERVERNAME: "x" } }
      assert.strictEqual((yield* onCluster(["topic", "list"], off)).exitCode, 0)
      const insecure = yield* onCluster(["topic", "list"], { env: { ROCKETMQ_TLS_INSECURE: "1" } })
      assert.match(insecure.talk.join("\n"), /warning:.*--tls-insecure/)
    }).pipe(open)
  )
})
