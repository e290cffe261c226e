/** What servers send to a client that it did not ask for: brokers relay what anybody wrote, unread. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Zlib from "node:zlib"
import * as Message from "../../src/message/Message.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { brokerAddress, rawClient, sendHeader, sendRequest } from "../embedded/support.ts"
import { memoryDuring } from "../support/memory.ts"
import { advance, onMemory, until } from "../support/rig.ts"
import { row } from "./row.ts"
import { leavesNothing, watchLog } from "./watch.ts"

const MIB = 1024 * 1024
const ZLIB = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB
/** 33 KB that become 32 MiB. */
const packed = Zlib.deflateSync(Buffer.alloc(32 * MIB))

/** Somebody replies to a client, in whatever words; gives the broker's answer. */
const replier = Effect.gen(function* () {
  const client = yield* rawClient()
  const { clusterName } = yield* EmbeddedCluster
  const address = yield* brokerAddress()
  return (properties: Readonly<Record<string, string>>, body: Uint8Array) => {
    const header = sendHeader({
      topic: `${clusterName}_REPLY_TOPIC`,
      sysFlag: ZLIB,
      properties: MessageProperties.encode({ MSG_TYPE: "reply", ...properties })
    })
    return client.call(address, SendMessage.request(header, body, "REPLY_V2"))
  }
})

const stateOf = (producer: DefaultMQProducerShape) =>
  Effect.flatMap(producer.state, ({ instance }) =>
    instance === undefined ? Effect.die("the producer is not running") : Effect.succeed(instance)
  )

/** A question to nobody in particular, whose answer is waited for; gives its properties too. */
const ask = Effect.fnUntraced(function* (producer: DefaultMQProducerShape) {
  const { messages } = yield* EmbeddedCluster
  const fiber = yield* Effect.forkChild(producer.request(Message.make({ topic: "orders", body: "?" }), 60_000), {
    startImmediately: true
  })
  yield* until(
    "the question is stored",
    Effect.map(messages("orders"), (all) => all.length > 0)
  )
  const [question = assert.fail("no question")] = yield* messages("orders")
  return { fiber, properties: question.properties }
})

describe("packed replies", () => {
  it.effect("A21: that nobody waits for are dropped as they came, were they to unpack to gigabytes or to nothing", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { clientId } = yield* stateOf(producer)
        const reply = yield* replier
        const { peakBytes } = yield* memoryDuring(
          Effect.gen(function* () {
            for (let n = 0; n < 100; n++) {
              const body = n % 2 === 0 ? packed : Buffer.from("no zlib at all")
              const answer = yield* reply({ REPLY_TO_CLIENT: clientId, CORRELATION_ID: `nobody-${n}` }, body)
              assert.strictEqual(answer.code, 0)
            }
          })
        )
        assert.deepInclude((yield* stateOf(producer)).replies, { late: 100, taken: 0, unreadable: 0 })
        // What is unpacked is a multiple of 32 MiB; the rest is what the broker keeps, and frames on their way.
        assert.isBelow(peakBytes, 32 * MIB)
      })
    )
  )

  it.effect("A21: of many to one question the first counts, and the others are dropped as they came", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const reply = yield* replier
        const { fiber, properties } = yield* ask(producer)
        const { CORRELATION_ID = "", REPLY_TO_CLIENT = "" } = properties
        const answer = (body: Uint8Array) => reply({ CORRELATION_ID, REPLY_TO_CLIENT }, body)
        // Side by side: while the first is being unpacked, the others find that somebody has come before.
        const answers = yield* Effect.forEach(
          [Zlib.deflateSync(Buffer.from("yes")), ...Array.from({ length: 50 }, () => Buffer.from("no zlib at all"))],
          answer,
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual([...new Set(answers.map(({ code }) => code))], [0])
        assert.strictEqual(Buffer.from((yield* Fiber.join(fiber)).body).toString(), "yes")
        assert.deepInclude((yield* stateOf(producer)).replies, { late: 50, taken: 1, unreadable: 0, waiting: 0 })
      })
    )
  )
})

describe("transaction checks", () => {
  it.effect("A30: hundreds that fail are answered one by one, and told in a few lines a minute", () => {
    const log = watchLog()
    return leavesNothing(
      Effect.gen(function* () {
        const COUNT = 300
        const { namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* TransactionMQProducer.make({
          producerGroup: "tx",
          namesrvAddr,
          topics: ["orders"],
          readiness: "registered",
          checkConcurrency: 100,
          checkLocalTransaction: () => Effect.die("the database is away")
        })
        yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
        const client = yield* rawClient()
        const address = yield* brokerAddress()
        for (let n = 0; n < COUNT; n++) {
          const properties = MessageProperties.encode({ UNIQ_KEY: `ID-${n}`, PGROUP: "tx", TRAN_MSG: "true" })
          yield* client.call(address, sendRequest({ producerGroup: "tx", sysFlag: 4, properties }))
        }
        yield* advance(5_000)
        const { checks } = yield* producer.transactions
        assert.isAtLeast(checks.received, COUNT)
        assert.strictEqual(checks.failed, checks.received - checks.dropped)
        const lines = log.of("Warn", /the check of half message/)
        assert.isAtLeast(lines.length, 1)
        assert.isAtMost(lines.length, 8)
      })
    ).pipe(
      onMemory({
        topics: { orders: {} },
        brokers: [{ name: "broker-a", config: { transactionTimeOut: 1_000, transactionCheckInterval: 3_000 } }]
      }),
      log.provide
    )
  })
})
