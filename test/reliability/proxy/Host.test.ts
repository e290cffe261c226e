import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted } from "effect"
import * as Net from "node:net"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { text } from "../../support/rig.ts"
import { standStill } from "../../support/standStill.ts"
import * as HandClock from "../HandClock.ts"
import { overheard, refusedStart, state } from "./client.ts"
import { eventually, proxied, proxiedRow, Proxies, startProducer } from "./rig.ts"

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(":") + 1))

/** A resolver of the test's own: `bad` is no name, `slow` is never answered, `dead` has a dead address first. */
const lookup: Net.LookupFunction = (host, _options, callback) => {
  const found = (...addresses: ReadonlyArray<string>) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: Net.isIP(address) }))
    )
  if (host.startsWith("bad")) callback(Object.assign(new Error("no such name"), { code: "ENOTFOUND" }), [])
  else if (host.startsWith("dead")) found("::1", "127.0.0.1")
  else if (!host.startsWith("slow")) found("127.0.0.1")
}

const credentials = (secret: string) => ({ accessKey: "writer", secretKey: Redacted.make(secret) })

/** How many heartbeats the timer has sent. */
const beats = (producer: DefaultMQProducerShape) =>
  Effect.map(state(producer), ({ timers }) => timers.find(({ number }) => number === 3)?.runs ?? 0)

describe("host names, signatures and a stalled process, behind a proxy", () => {
  it.live("H1: of three names one is bad and one is slow: the third is used, within the connect timeouts", () =>
    proxied(
      { lookup },
      Effect.gen(function* () {
        const { dials, namesrvAddr } = yield* Proxies
        const port = portOf(namesrvAddr)
        const producer = yield* startProducer({
          producer: {
            readiness: "nameServer",
            namesrvAddr: `bad.example:${port};slow.example:${port};good.example:${port}`,
            mqClientApiTimeout: 9_000,
            remoting: { connectTimeoutMillis: 500 }
          }
        })
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        for (const { begin, end, outcome } of dials)
          if (outcome === "failed") assert.isBelow((end ?? 0) - begin, 10_000)
      })
    )
  )

  it.live("H1: names that do not resolve, and one that resolves too late, are typed errors of kind dns", () =>
    proxied(
      { lookup },
      Effect.gen(function* () {
        const tries = yield* refusedStart({
          namesrvAddr: "bad.example:9876;slow.example:9876",
          remoting: { connectTimeoutMillis: 200 }
        })
        assert.deepStrictEqual(
          tries.map(({ problem }) => problem),
          ["name-not-resolved", "name-not-resolved"]
        )
      })
    )
  )

  it.live("H2: a host whose first address, of IPv6, is dead is reached at the next one", () =>
    proxied(
      { lookup },
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        const producer = yield* startProducer({
          producer: { readiness: "nameServer", namesrvAddr: `dead.example:${portOf(namesrvAddr)}` }
        })
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
      })
    )
  )

  it.live("H3: a wrong secret is a typed error, sent once, and no byte on the wire gives a secret away", () =>
    proxied(
      {
        brokers: ["broker-a", "broker-b"],
        cluster: { acl: { users: [{ accessKey: "writer", secretKey: "right-secret" }] } }
      },
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const heard = yield* overheard
        const producer = yield* startProducer({
          producer: { readiness: "nameServer", instanceName: "wrong", credentials: credentials("wrong-secret") }
        })
        const error = yield* Effect.flip(producer.send(text("orders")))
        assert.deepStrictEqual([error.reason._tag, error.outcome, error.retryable], ["AccessDenied", "rejected", false])
        assert.strictEqual((yield* traffic.matching({ topic: "orders", code: RequestCode.SEND_MESSAGE_V2 })).length, 1)
        const right = yield* startProducer({
          producer: { readiness: "nameServer", producerGroup: "right", credentials: credentials("right-secret") }
        })
        assert.strictEqual((yield* right.send(text("orders"))).status, "SEND_OK")
        const bytes = heard().toString("latin1")
        assert.include(bytes, "writer")
        for (const output of [bytes, error.message, JSON.stringify(error), String(error)]) {
          assert.notMatch(output, /(?:right|wrong)-secret/)
        }
      })
    )
  )

  it.live("H6: answers that had arrived when the process stood still win over their timeouts", () =>
    proxiedRow({ producer: { retryTimesWhenSendFailed: 0 } }, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        const timeoutMillis = 400
        // So that the next bytes from the broker are the answer to the send.
        yield* eventually(
          "the first heartbeat of the timer",
          Effect.map(beats(producer), (runs) => runs > 0)
        )
        for (let round = 0; round < 3; round++) {
          const stall = { over: false }
          const { downstreamBytes } = yield* proxy.counters
          // Asked when the kernel has the answer, and before anybody can have read it: the stall is right here.
          const watching = yield* Effect.forkChild(
            proxy.until((now) => {
              if (now.downstreamBytes === downstreamBytes) return false
              if (!stall.over) standStill(2 * timeoutMillis)
              stall.over = true
              return true
            }),
            { startImmediately: true }
          )
          const { attempts } = yield* producer.send(text("orders"), { timeoutMillis })
          assert.deepStrictEqual([attempts, stall.over], [1, true])
          assert.isDefined(watching.pollUnsafe())
        }
        const { counters } = yield* state(producer)
        assert.deepStrictEqual([counters.late, counters.reconnects], [0, 0])
      })
    )
  )

  it.live("H6: heartbeats that were missed are made up for by one, not by a burst", () => {
    // The client's time is moved by hand, so that no other heartbeat can fall due meanwhile; its connections are real.
    const hand = HandClock.make()
    return proxied(
      {},
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const producer = yield* Layer.build(Layer.fresh(MQClientManager.layer)).pipe(
          Effect.flatMap((manager) =>
            Effect.provide(startProducer({ client: { heartbeatBrokerInterval: 300 } }), manager)
          ),
          Effect.provideService(Clock.Clock, hand.clock)
        )
        const arrived = traffic.matching({ code: RequestCode.HEART_BEAT, server: "broker-a" })
        const beaten = (count: number) =>
          eventually(
            `${count} heartbeats of the timer`,
            Effect.map(beats(producer), (runs) => runs === count)
          ).pipe(
            // What a timer sends in a burst stands before this on its connection.
            Effect.andThen(producer.send(text("orders"))),
            Effect.andThen(beats(producer)),
            Effect.tap((runs) => Effect.sync(() => assert.strictEqual(runs, count)))
          )
        hand.stall(1_000)
        yield* beaten(1)
        yield* traffic.clear
        // Five heartbeats long.
        hand.stall(1_500)
        yield* beaten(2)
        assert.lengthOf(yield* arrived, 1)
        hand.stall(299)
        yield* beaten(2)
        hand.stall(1)
        yield* beaten(3)
        assert.lengthOf(yield* arrived, 2)
      })
    )
  })
})
