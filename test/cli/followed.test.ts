import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createServer } from "node:net"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import type { Wire, WireError } from "../../src/transport/Wire.ts"
import * as Certificates from "../support/certificates.ts"
import { type Call, type CallOptions, cli, onCluster } from "./support.ts"

/** Remedies as an operator meets them: something fails, what it says is done, and then it works. */

type Run<R = EmbeddedCluster | Wire> = Effect.Effect<Call, never, R>

/** One remedy. */
interface Trial {
  /** What fails. */
  readonly fails: Run
  readonly exitCode: 1 | 2 | 3 | 4
  /** What is said: what happened, and what to do. */
  readonly says: RegExp
  /** What is done of it, each step of which succeeds; what failed is done again at the end unless that is another call. */
  readonly cure?: ReadonlyArray<Run>
  readonly works?: Run
}

const on = (line: string, options?: CallOptions) => onCluster(line.split(" "), options)

const told = ({ out, talk }: Call) => [...out, ...talk].join("\n")

/** The first command that a remedy or a warning of a call has, run as it is. */
const printedBy = (call: Run): Run =>
  Effect.flatMap(call, (failed) => {
    const lines = [...failed.out, ...failed.talk].filter((line) => /^ *(?:try:|remedy|warning:)/.test(line))
    const words = /effect-rocketmq (.*?)(?: ;| &&|$)/m.exec(lines.at(-1) ?? "")?.[1] ?? ""
    return cli([...words.matchAll(/'[^']*'|\S+/g)].map(([word]) => word.replace(/^'(.*)'$/, "$1")))
  })

const holds = ({ cure = [], exitCode, fails, says, works = fails }: Trial) =>
  Effect.gen(function* () {
    const failed = yield* fails
    assert.strictEqual(failed.exitCode, exitCode, told(failed))
    assert.match(told(failed), says)
    for (const step of cure) {
      const done = yield* step
      assert.strictEqual(done.exitCode, 0, told(done))
    }
    const well = yield* works
    assert.strictEqual(well.exitCode, 0, told(well))
  })

const each = (trials: Readonly<Record<string, Trial>>, layer: Layer.Layer<EmbeddedCluster | Wire, WireError>) => {
  for (const [name, trial] of Object.entries(trials)) {
    it.live(name, () => holds(trial).pipe(Effect.provide(layer)))
  }
}

const cluster = EmbeddedCluster.layerMemory({
  brokers: 2,
  autoCreateTopicEnable: false,
  topics: { orders: { readQueueNums: 4, writeQueueNums: 4 } }
})

const nowhere = (line: string) => cli([...line.split(" "), "--namesrv", "127.0.0.1:1"])

describe("remedies that name what is missing or misspelt", () => {
  each(
    {
      "no name server: NAMESRV_ADDR": {
        fails: cli(["topic", "list"]),
        exitCode: 2,
        says: /namesrv[^]*NAMESRV_ADDR/,
        works: Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
          cli(["topic", "list"], { env: { NAMESRV_ADDR: namesrvAddr } })
        )
      },
      "an address without a port: host:port": {
        fails: cli(["topic", "list", "--namesrv", "localhost"]),
        exitCode: 2,
        says: /Write addresses as host:port/,
        works: on("topic list")
      },
      "topic-absent: the printed topic create": {
        fails: on("send nope --body x"),
        exitCode: 4,
        says: /topic-absent[^]*topic create nope/,
        cure: [printedBy(on("send nope --body x"))]
      },
      "TopicNotFound: the printed topic create": {
        fails: on("topic stats nope"),
        exitCode: 4,
        says: /topic create nope/,
        cure: [printedBy(on("topic route nope"))]
      },
      "a topic that the doctor misses: the printed topic create": {
        fails: on("doctor nope"),
        exitCode: 4,
        says: /a send may not create it[^]*topic create --topic nope/,
        cure: [on("topic create --topic nope")]
      },
      "GroupNotFound: group list, group create": {
        fails: on("group progress nobody"),
        exitCode: 4,
        says: /group list .* ; or create it: effect-rocketmq group create nobody/,
        cure: [printedBy(on("group progress nobody")), on("group create nobody")]
      },
      "TopicAlreadyExists: the printed topic config, --if-not-exists": {
        fails: on("topic create orders"),
        exitCode: 4,
        says: /--if-not-exists .* --replace .*topic config orders/,
        cure: [printedBy(on("topic create orders"))],
        works: on("topic create orders --if-not-exists")
      },
      "TopicAlreadyExists: --replace": {
        fails: on("topic create orders"),
        exitCode: 4,
        says: /--replace/,
        works: on("topic create orders --replace --queues 8")
      },
      "GroupAlreadyExists: the printed group list, --if-not-exists": {
        fails: Effect.andThen(on("group create readers"), on("group create readers")),
        exitCode: 4,
        says: /--if-not-exists .* --replace .*group list/,
        cure: [printedBy(on("group create readers"))],
        works: on("group create readers --if-not-exists")
      },
      "UnknownCluster: one that is listed": {
        fails: on("topic create fresh --cluster nope"),
        exitCode: 4,
        says: /it knows DefaultCluster[^]*--cluster/,
        works: on("topic create fresh --cluster DefaultCluster")
      },
      "UnknownBroker: the printed cluster list": {
        fails: on("broker config nope"),
        exitCode: 4,
        says: /broker-a, broker-b[^]*cluster list/,
        cure: [printedBy(on("broker config nope"))],
        works: on("broker config broker-a")
      },
      "UnknownSetting of a broker: the printed broker config": {
        fails: on("broker config update broker-a --set nope=1 --yes"),
        exitCode: 4,
        says: /broker config broker-a/,
        cure: [printedBy(on("broker config update broker-a --set nope=1 --yes"))],
        works: on("broker config update broker-a --set autoCreateTopicEnable=true --yes")
      },
      "UnknownSetting of a name server: the printed namesrv config": {
        fails: on("namesrv config update --set nope=1 --yes"),
        exitCode: 4,
        says: /namesrv config --namesrv/,
        cure: [printedBy(on("namesrv config update --set nope=1 --yes"))],
        works: on("namesrv config update --set orderMessageEnable=true --yes")
      },
      "InvalidOrderConf: the printed topic config": {
        fails: on("topic order put orders --queues broker-a=9"),
        exitCode: 4,
        says: /topic config orders/,
        cure: [printedBy(on("topic order put orders --queues broker-a=9"))],
        works: on("topic order put orders --queues broker-a=4")
      },
      "an order configuration that name servers do not hand out: the printed namesrv config update": {
        fails: Effect.map(on("topic order put orders --queues broker-a=4"), (call) => ({
          ...call,
          exitCode: call.talk.length === 0 ? 0 : 1
        })),
        exitCode: 1,
        says: /namesrv config update --set orderMessageEnable=true --yes/,
        cure: [printedBy(on("topic order put orders --queues broker-a=4"))]
      },
      "a queue that is not there: one that is listed": {
        fails: on("send orders --queue broker-a:9 --body x"),
        exitCode: 4,
        says: /It has broker-a:0/,
        works: on("send orders --queue broker-a:0 --body x")
      },
      "a queue of several brokers: one of them": {
        fails: on("send orders --queue 0 --body x"),
        exitCode: 2,
        says: /Name one of broker-a:0, broker-b:0/,
        works: on("send orders --queue broker-b:0 --body x")
      },
      "nothing to change: one of the flags": {
        fails: on("topic update orders"),
        exitCode: 2,
        says: /--perm/,
        works: on("topic update orders --perm rw")
      },
      "nothing to look for: --key": {
        fails: on("message query orders"),
        exitCode: 2,
        says: /--key, or .*--begin[^]*peek orders/,
        cure: [printedBy(on("message query orders"))],
        works: on("message query orders --key k")
      },
      "what would be gone: --yes": {
        fails: on("topic delete orders"),
        exitCode: 2,
        says: /--yes/,
        works: on("topic delete orders --yes")
      },
      "InvalidMessage: a smaller body": {
        fails: on(`send orders --body ${"x".repeat(5_000_000)}`),
        exitCode: 2,
        says: /at most 4194304 are allowed[^]*Change that part/,
        works: on("send orders --body x")
      },
      "InvalidMessageId and an id that nobody has: the topic behind it": {
        fails: on("message get 7F0000010000273B8C4A0000000000001"),
        exitCode: 2,
        says: /topic/,
        cure: [on("send orders --body x --key k")],
        works: Effect.flatMap(on("message query orders --key k --json"), ({ out }) =>
          on(`message get ${JSON.parse(out.join()).msgId} orders`)
        )
      }
    },
    cluster
  )
})

describe("remedies about servers", () => {
  each(
    {
      "refused: the printed doctor says so, and the right port": {
        fails: nowhere("topic list"),
        exitCode: 3,
        says: /refused[^]*doctor --namesrv 127\.0\.0\.1:1$/m,
        cure: [
          Effect.map(printedBy(nowhere("topic list")), (call) => {
            assert.match(told(call), /Nothing listens at 127\.0\.0\.1:1: check .* port \(9876 by default/)
            return { ...call, exitCode: 0 }
          })
        ],
        works: on("topic list")
      },
      "a broker as name server: the name server": {
        fails: cli(["topic", "list", "--namesrv", "127.0.0.1:10911"]),
        exitCode: 4,
        says: /REQUEST_CODE_NOT_SUPPORTED[^]*That is how a broker answers/,
        works: on("topic list")
      },
      "a broker as name server, of a send: the printed doctor says so": {
        fails: cli(["send", "orders", "--body", "x", "--namesrv", "127.0.0.1:10911"]),
        exitCode: 4,
        says: /name-server-rejected[^]*doctor --topic orders/,
        cure: [
          Effect.map(printedBy(cli(["send", "orders", "--body", "x", "--namesrv", "127.0.0.1:10911"])), (call) => {
            assert.match(told(call), /That is how a broker answers/)
            return { ...call, exitCode: 0 }
          })
        ],
        works: on("send orders --body x")
      },
      "a topic that is closed: the printed topic update": {
        fails: Effect.andThen(on("topic update orders --perm r"), on("send orders --body x")),
        exitCode: 4,
        says: /topic update orders --perm rw .*doctor --topic orders/,
        cure: [printedBy(on("send orders --body x"))],
        works: on("send orders --body x")
      },
      "a topic that may not be read: the printed topic update": {
        fails: Effect.andThen(on("topic update orders --perm w"), on("consume orders g --count 1")),
        exitCode: 4,
        says: /topic update orders --perm rw/,
        cure: [printedBy(on("consume orders g --count 1")), on("send orders --body x")],
        works: on("consume orders g --count 1 --idle-timeout 5s")
      },
      "a broker whose write permission was wiped: the printed cluster writable": {
        fails: Effect.andThen(
          Effect.forEach(["broker-a", "broker-b"], (name) => on(`cluster unwritable ${name} --yes`)),
          on("doctor orders")
        ),
        exitCode: 4,
        says: /wipeWritePerm[^]*cluster writable broker-a/,
        cure: [printedBy(on("doctor orders")), on("cluster writable broker-b")],
        works: on("doctor orders")
      },
      "a group that may not consume: the printed group update": {
        fails: Effect.andThen(
          Effect.andThen(on("group create g --retries 3"), on("group update g --no-consume")),
          on("doctor orders g")
        ),
        exitCode: 4,
        says: /group update g --consume/,
        cure: [printedBy(on("doctor orders g"))],
        works: on("doctor orders g")
      },
      "no broker, and a master that is away: start it": {
        fails: Effect.andThen(
          Effect.flatMap(EmbeddedCluster, ({ stopBroker }) =>
            Effect.andThen(stopBroker("broker-a"), stopBroker("broker-b"))
          ).pipe(Effect.orDie),
          on("topic route orders")
        ),
        exitCode: 3,
        says: /Start a broker/,
        cure: [
          Effect.flatMap(EmbeddedCluster, ({ startBroker }) =>
            Effect.andThen(startBroker("broker-a"), startBroker("broker-b"))
          ).pipe(Effect.orDie, Effect.as({ exitCode: 0, out: [], talk: [] }))
        ],
        works: on("topic route orders")
      },
      "a broker that filters by tags only: the printed broker config update": {
        fails: on("consume orders g --sql price>1 --count 1"),
        exitCode: 4,
        says: /broker config update \S+ --set enablePropertyFilter=true --yes/,
        cure: [
          printedBy(on("consume orders g --sql price>1 --count 1")),
          // Whichever broker was asked, the printed command is for that one.
          on("broker config update broker-a --set enablePropertyFilter=true --yes"),
          on("broker config update broker-b --set enablePropertyFilter=true --yes"),
          on("send orders --body x --property price=2")
        ],
        works: on("consume orders g --sql price>1 --count 1 --idle-timeout 10s")
      },
      "a filter that cannot be read: another": {
        fails: Effect.andThen(
          Effect.forEach(["broker-a", "broker-b"], (name) =>
            on(`broker config update ${name} --set enablePropertyFilter=true --yes`)
          ),
          on("consume orders g --sql price> --count 1")
        ),
        exitCode: 4,
        says: /Correct the filter/,
        cure: [on("send orders --body x --property price=2")],
        works: on("consume orders g --sql price>1 --count 1 --idle-timeout 10s")
      },
      "a send that takes longer than it may: --timeout": {
        fails: Effect.andThen(
          Effect.flatMap(EmbeddedCluster, ({ faults }) =>
            faults.add({
              match: { code: RequestCode.SEND_MESSAGE_V2 },
              actions: [FaultScript.delay(700)]
            })
          ),
          on("send orders --body x --timeout 300")
        ),
        exitCode: 1,
        says: /Raise --timeout/,
        works: on("send orders --body x --timeout 9000")
      },
      "a broker that is busy: --timeout": {
        fails: Effect.andThen(
          Effect.flatMap(EmbeddedCluster, ({ faults }) =>
            faults.add({
              match: { code: RequestCode.SEND_MESSAGE_V2 },
              actions: [FaultScript.answer(ResponseCode.SYSTEM_BUSY, "[TIMEOUT_CLEAN_QUEUE]broker busy")]
            })
          ),
          on("send orders --body x --timeout 200")
        ),
        exitCode: 4,
        says: /raise --timeout/,
        cure: [
          Effect.flatMap(EmbeddedCluster, ({ faults }) => faults.clear).pipe(
            Effect.as({ exitCode: 0, out: [], talk: [] })
          )
        ],
        works: on("send orders --body x --timeout 9000")
      },
      "nobody online: start a member": {
        fails: Effect.andThen(on("group create g"), on("group status g")),
        exitCode: 4,
        says: /Start a consumer of the group/,
        cure: [on("send orders --body x")],
        works: Effect.map(
          Effect.all([on("consume orders g --idle-timeout 3s"), Effect.delay(on("group status g"), 1_500)], {
            concurrency: 2
          }),
          ([, status]) => status
        )
      },
      "too few messages: the printed doctor": {
        fails: on("consume orders g --count 1 --idle-timeout 200ms"),
        exitCode: 1,
        says: /doctor --topic orders --group g/,
        cure: [
          Effect.map(printedBy(on("consume orders g --count 1 --idle-timeout 200ms")), (call) => ({
            ...call,
            exitCode: /nothing is committed yet|0 messages behind|nobody of group g/.test(told(call)) ? 0 : 1
          })),
          on("send orders --body x")
        ],
        works: on("consume orders g --count 1 --idle-timeout 10s")
      }
    },
    cluster
  )
})

const SECRET = "hush"
const as = (accessKey: string, secretKey = SECRET): CallOptions => ({
  env: { ROCKETMQ_ACCESS_KEY: accessKey, ROCKETMQ_SECRET_KEY: secretKey }
})

describe("remedies of access control", () => {
  each(
    {
      "no-credentials: the two variables": {
        fails: on("topic list"),
        exitCode: 4,
        says: /no-credentials[^]*Set ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY/,
        works: on("topic list", as("root"))
      },
      "unknown-user: the right access key": {
        fails: on("topic list", as("rot")),
        exitCode: 4,
        says: /unknown-user[^]*Check the access key, ROCKETMQ_ACCESS_KEY/,
        works: on("topic list", as("root"))
      },
      "signature: the right secret key": {
        fails: on("topic list", as("root", "hash")),
        exitCode: 4,
        says: /signature[^]*Check the secret key, ROCKETMQ_SECRET_KEY/,
        works: on("topic list", as("root"))
      },
      "permission: another user": {
        fails: on("send secrets --body x", as("writer")),
        exitCode: 4,
        says: /permission[^]*ask as another user/,
        works: on("send secrets --body x", as("root"))
      },
      "half of the credentials: both": {
        fails: on("topic list --access-key root"),
        exitCode: 2,
        says: /Set both/,
        works: on("topic list --access-key root --secret-key hush")
      }
    },
    EmbeddedCluster.layerMemory({
      topics: { orders: {}, secrets: {} },
      acl: {
        users: [
          { accessKey: "root", secretKey: SECRET },
          { accessKey: "writer", secretKey: SECRET, permissions: { "Topic:orders": ["Pub"] } }
        ],
        nameServer: true
      }
    })
  )
})

const encrypted = Layer.unwrap(
  Effect.map(Certificates.Certs, (certificates) =>
    Layer.unwrap(
      Effect.map(certificates.signed(), ({ cert, key }) =>
        EmbeddedCluster.layerTcp({ topics: { orders: {} }, tls: { cert, key } })
      )
    )
  )
).pipe(Layer.provideMerge(Certificates.Certs.layer))

describe("remedies of TLS", () => {
  it.live("untrusted and wrong-host: --tls-ca and --tls-servername", () =>
    Effect.gen(function* () {
      const { ca } = yield* Certificates.Certs
      yield* holds({
        fails: on("send orders --body x --tls"),
        exitCode: 3,
        says: /(?:untrusted|self-signed)[^]*--tls-ca <file>/,
        works: on(`send orders --body x --tls-ca ${ca.certPath}`)
      })
      yield* holds({
        fails: on(`topic list --tls-ca ${ca.certPath} --tls-servername elsewhere.example`),
        exitCode: 3,
        says: /wrong-host[^]*--tls-servername/,
        works: on(`topic list --tls-ca ${ca.certPath} --tls-servername localhost`)
      })
      yield* holds({
        fails: on(`topic list --tls-ca ${ca.keyPath}`),
        exitCode: 2,
        says: /cannot be used[^]*each is PEM/,
        works: on(`topic list --tls-ca ${ca.certPath}`)
      })
    }).pipe(Effect.provide(encrypted))
  )

  it.live("plain-server: --no-tls, whatever the variable says", () =>
    holds({
      fails: on("topic list", { env: { ROCKETMQ_TLS_ENABLE: "true" } }),
      exitCode: 3,
      says: /plain-server[^]*--no-tls/,
      works: on("topic list --no-tls", { env: { ROCKETMQ_TLS_ENABLE: "true" } })
    }).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } })))
  )
})

describe("remedies about what answers in a name server's place", () => {
  it.live("no answer, and an answer of another protocol: the printed doctor says so", () =>
    Effect.gen(function* () {
      for (const answer of [undefined, "HTTP/1.1 400 Bad Request\r\n\r\n"]) {
        const server = createServer((socket) => {
          socket.on("error", () => undefined)
          if (answer !== undefined) socket.once("data", () => socket.end(answer))
        })
        const port = yield* Effect.acquireRelease(
          Effect.promise(
            () =>
              new Promise<number>((resolve) =>
                server.listen(0, "127.0.0.1", () => {
                  const address = server.address()
                  resolve(typeof address === "object" && address !== null ? address.port : 0)
                })
              )
          ),
          () => Effect.sync(() => server.close())
        )
        const there = cli(["topic", "list", "--namesrv", `127.0.0.1:${port}`])
        yield* holds({
          fails: there,
          exitCode: 3,
          says: new RegExp(`doctor --namesrv 127\\.0\\.0\\.1:${port}$`, "m"),
          cure: [
            Effect.map(printedBy(there), (call) => {
              assert.match(told(call), /does not answer as a name server does: check the port/)
              return { ...call, exitCode: 0 }
            })
          ],
          works: on("topic list")
        })
      }
    }).pipe(Effect.scoped, Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } })))
  )
})
