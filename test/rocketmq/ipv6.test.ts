/**
 * RocketMQ 5.5.0 with `brokerIP1=::1`, which announces `::1:<port>`: host before the last colon, no brackets. The machine
 * needs the IPv6 loopback address.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, References } from "effect"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import { decodeOffsetMessageId } from "../../src/message/MessageId.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { cli } from "../cli/support.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import * as JavaClient from "./JavaClient.ts"
import { routeBrokers } from "./RawRemoting.ts"
import { RocketMQ } from "./RocketMQServer.ts"

const PATIENCE_MILLIS = 60_000

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0", brokerProperties: { brokerIP1: "::1", bindAddress: "::" } }),
  MQClientManager.layerTcp,
  TcpWire.layer,
  Layer.succeed(References.MinimumLogLevel, "Error")
)

const options = Effect.map(RocketMQ, ({ namesrvAddr }) => ({
  producerGroup: uniqueName("ipv6-group"),
  namesrvAddr,
  startTimeoutMillis: PATIENCE_MILLIS,
  sendMsgTimeout: PATIENCE_MILLIS
}))

/** The broker's address in the form that all texts of it have here. */
const address = Effect.map(RocketMQ, ({ brokers }) => `[::1]:${brokers[0]?.address.split(":")[1]}`)

layer(services, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0 on IPv6", (test) => {
  test.effect("A8: announces its address without brackets, and is sent to, greeted and shown like any other", () =>
    Effect.gen(function* () {
      const { clusterName, namesrvAddr } = yield* RocketMQ
      const [announced] = yield* routeBrokers(namesrvAddr, clusterName)
      assert.strictEqual(announced?.brokerAddrs["0"], (yield* address).replace(/[[\]]/g, ""))

      const topic = uniqueName("ipv6")
      const producer = yield* DefaultMQProducer.make({ ...(yield* options), readiness: "registered" })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      const { attempts, offsetMsgId, queue } = yield* producer.send(Message.make({ topic, body: "to IPv6" }))
      assert.strictEqual(attempts, 1)
      assert.strictEqual(decodeOffsetMessageId(offsetMsgId)?.address, yield* address)
      const { instance } = yield* producer.state
      assert.deepStrictEqual(
        instance?.brokers.map((broker) => [broker.address, broker.failures]),
        [[yield* address, 0]]
      )

      const admin = yield* makeAdmin({ namesrvAddr })
      const stored = yield* admin.viewMessage(offsetMsgId)
      assert.strictEqual(Buffer.from(stored.body).toString(), "to IPv6")
      yield* eventuallyThat(admin.pull(queue, 0, 32), ({ messages }) => assert.strictEqual(messages.length, 1))
      assert.strictEqual((yield* admin.getBrokerConfig(yield* address)).get("brokerIP1"), "::1")
      assert.strictEqual((yield* admin.examineTopicStats(topic)).length, 4)

      const read = yield* JavaClient.read({ namesrvAddr, topic })
      assert.deepStrictEqual(
        read.map((message) => message.offsetMsgId),
        [offsetMsgId]
      )
    })
  )

  test.effect("A8: a transaction's end finds its way, and the message is there", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const topic = uniqueName("ipv6-half")
      const admin = yield* makeAdmin({ namesrvAddr })
      yield* admin.createTopic({ topic, readQueueNums: 1 })
      const producer = yield* TransactionMQProducer.make({
        ...(yield* options),
        topics: [topic],
        checkLocalTransaction: () => Effect.succeed("UNKNOW" as const)
      })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      const { sendResult } = yield* producer.transaction(Message.make({ topic, body: "half" }), () => Effect.void)
      yield* eventuallyThat(admin.maxOffset({ ...sendResult.queue, queueId: 0 }), (end) => assert.strictEqual(end, 1))
    })
  )

  test.effect("A8: the second listener is two ports below, and doctor walks through", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const producer = yield* DefaultMQProducer.make({ ...(yield* options), vipChannelEnabled: true })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      yield* producer.send(Message.make({ topic: uniqueName("ipv6-vip"), body: "x" }))
      const { instance } = yield* producer.state
      const port = Number((yield* address).split(":").at(-1))
      assert.isTrue(instance?.sockets.some((socket) => socket.address === `[::1]:${port - 2}`))

      const doctor = yield* cli(["doctor", "--namesrv", namesrvAddr])
      assert.strictEqual(doctor.exitCode, 0, doctor.out.join("\n"))
      assert.match(doctor.out.join("\n"), new RegExp(`\\[::1\\]:${port} acknowledged a heartbeat`))
    })
  )
})
