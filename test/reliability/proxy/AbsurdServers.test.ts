/** Servers of the real world on real sockets: names that mean more, old releases, views that nobody can work through. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Zlib from "node:zlib"
import { make as makeAdmin } from "../../../src/admin/MQAdmin.ts"
import * as Message from "../../../src/message/Message.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import * as ClusterInfo from "../../../src/protocol/ClusterInfo.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { isResponse } from "../../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { brokerAddress, rawClient, sendHeader } from "../../embedded/support.ts"
import { text } from "../../support/rig.ts"
import { answersOf, state } from "./client.ts"
import { elapsed, eventually, proxied, proxiedRow, Proxies, startProducer } from "./rig.ts"

/** The number of release 4.3.2. */
const V4_3_2 = 277

describe("servers of the real world behind a proxy", () => {
  it.live("A9: the endpoint of an instance as name server: its namespace is on every request, unless one is set", () =>
    proxied(
      {
        lookup: (_, { all }, callback) => {
          if (all === true) callback(null, [{ address: "127.0.0.1", family: 4 }])
          else callback(null, "127.0.0.1", 4)
        }
      },
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const { namesrvAddr } = yield* Proxies
        const port = namesrvAddr.slice(namesrvAddr.lastIndexOf(":") + 1)
        const endpoint = `http://MQ_INST_1234_BX.ons.test:${port}`
        const given = { namesrvAddr: endpoint, readiness: "nameServer" } as const
        const producer = yield* startProducer({ producer: given })
        yield* Effect.exit(producer.send(text("orders")))
        const asked = Effect.map(traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC), (all) =>
          all.map(({ extFields }) => extFields?.["topic"])
        )
        assert.include(yield* asked, "MQ_INST_1234_BX%orders")
        assert.notInclude(yield* asked, "orders")
        const other = yield* startProducer({ producer: { ...given, namespace: "own", instanceName: "other" } })
        yield* traffic.clear
        yield* Effect.exit(other.send(text("orders")))
        assert.include(yield* asked, "own%orders")
        assert.notInclude(yield* asked, "MQ_INST_1234_BX%orders")
      })
    )
  )

  it.live("A13: a server that swallows what it does not know: nothing that it does not know is asked", () =>
    proxied(
      { cluster: { version: V4_3_2 } },
      Effect.gen(function* () {
        const { all, namesrvAddr } = yield* Proxies
        const swallowed: Array<number> = []
        const unknown: ReadonlySet<number> = new Set([
          RequestCode.GET_TOPIC_CONFIG,
          RequestCode.QUERY_TOPICS_BY_CONSUMER
        ])
        for (const proxy of all()) {
          const swallow = FaultProxy.frames(({ bytes, command }) => {
            if (command === undefined || isResponse(command) || !unknown.has(command.code)) return [bytes]
            swallowed.push(command.code)
            return []
          })
          yield* proxy.add(swallow, "upstream")
        }
        const admin = yield* makeAdmin({ namesrvAddr, adminTimeoutMillis: 20_000 })
        const { exit, millis } = yield* elapsed(
          Effect.gen(function* () {
            const [config] = yield* admin.examineTopicConfig("orders")
            assert.strictEqual(config?.config.writeQueueNums, 1)
            yield* admin.createTopic({ topic: "orders", ifExists: "keep" })
            yield* admin.createSubscriptionGroup({ groupName: "readers" })
            assert.deepStrictEqual([...(yield* admin.queryTopicsByConsumer("readers"))], [])
          })
        )
        assert.strictEqual(exit._tag, "Success", String(exit))
        assert.isBelow(millis, 15_000, "nothing waits for a timeout")
        assert.deepStrictEqual(swallowed, [])
      })
    )
  )

  it.live("A17: a view of 5,000 brokers: the administrator says so, and asks none of them", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { dials, nameServers, namesrvAddr } = yield* Proxies
        const names = Array.from({ length: 5_000 }, (_, i) => `b-${i}`)
        const view = ClusterInfo.encode({
          brokerAddrTable: new Map(
            names.map((brokerName, i) => [
              brokerName,
              { brokerName, cluster: "c", brokerAddrs: new Map([[0, `127.0.0.1:${i + 1}`]]) }
            ])
          ),
          clusterAddrTable: new Map([["c", names]])
        })
        for (const proxy of nameServers) {
          yield* answersOf(
            ({ code }) => code === RequestCode.GET_BROKER_CLUSTER_INFO,
            ({ command }) => [encode({ ...command, body: view })]
          ).install(proxy)
        }
        const admin = yield* makeAdmin({ namesrvAddr })
        const { reason } = yield* Effect.flip(admin.createTopic({ topic: "new" }))
        assert.deepInclude(reason, { _tag: "TooManyBrokers", brokers: 5_000 })
        const known = new Set(nameServers.map(({ address }) => address))
        assert.deepStrictEqual(
          dials.filter(({ address }) => !known.has(address)),
          []
        )
      })
    )
  )

  it.live("A26: a packed reply that is damaged on its way: the replier is told, and the next one counts", () =>
    proxiedRow({}, (producer) =>
      Effect.gen(function* () {
        const { clusterName, messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        let damaged = 0
        yield* broker("broker-a").add(
          FaultProxy.frames(({ bytes, command }) => {
            if (command?.code !== RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT || isResponse(command) || damaged > 0) {
              return [bytes]
            }
            damaged++
            const body = Uint8Array.from(command.body)
            body.fill(0xff, 2, 12)
            return [encode({ ...command, body })]
          }),
          "downstream"
        )
        const asked = yield* Effect.forkChild(producer.request(Message.make({ topic: "orders", body: "?" }), 20_000))
        yield* eventually(
          "the question is stored",
          Effect.map(messages("orders"), (all) => all.length > 0)
        )
        const [question = assert.fail("no question")] = yield* messages("orders")
        const { CORRELATION_ID = "", REPLY_TO_CLIENT = "" } = question.properties
        const client = yield* rawClient()
        const address = yield* brokerAddress()
        const reply = client.call(
          address,
          SendMessage.request(
            sendHeader({
              topic: `${clusterName}_REPLY_TOPIC`,
              sysFlag: SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB,
              properties: MessageProperties.encode({ CORRELATION_ID, REPLY_TO_CLIENT, MSG_TYPE: "reply" })
            }),
            Zlib.deflateSync(Buffer.from("yes ".repeat(1_000))),
            "REPLY_V2"
          ),
          15_000
        )
        const refused = yield* reply
        assert.strictEqual(refused.code, 1)
        assert.match(refused.remark ?? "", /push reply message to .*fail/)
        assert.deepInclude((yield* state(producer)).replies, { unreadable: 1, waiting: 1 })
        assert.strictEqual((yield* reply).code, 0)
        assert.strictEqual((yield* Fiber.join(asked)).body.length, 4_000)
        assert.strictEqual(damaged, 1)
      })
    )
  )
})
