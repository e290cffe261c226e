import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as BrokerConfig from "../../../src/embedded/store/BrokerConfig.ts"
import * as BrokerState from "../../../src/embedded/store/BrokerState.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as CheckTransactionState from "../../../src/protocol/push/CheckTransactionState.ts"
import * as EndTransaction from "../../../src/protocol/request/EndTransaction.ts"
import * as ResumeCheckHalfMessage from "../../../src/protocol/request/ResumeCheckHalfMessage.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import { brokerAddress, orThrow, producerHeartbeat, rawClient, sendRequest, textOf, utf8 } from "../support.ts"

type Options = NonNullable<Parameters<typeof EmbeddedCluster.layerMemory>[0]>
type Config = NonNullable<Extract<Options["brokers"], ReadonlyArray<unknown>>>[number]["config"]

const onCluster = (config: Config = {}, options: Options = {}) =>
  Effect.provide(
    EmbeddedCluster.layerMemory({ topics: { orders: {} }, brokers: [{ name: "broker-a", config }], ...options })
  )

const { TRANSACTION_COMMIT: COMMIT, TRANSACTION_NOT_TYPE: UNKNOWN, TRANSACTION_ROLLBACK: ROLLBACK } = SysFlag

/** Where a half message lies: what ends it names. */
interface Half {
  readonly uniqueKey: string
  readonly queueOffset: number
  readonly commitLogOffset: number
}

/** The header that commits a half message. */
const committing = (half: Half): EndTransaction.EndTransactionHeader => ({
  topic: "orders",
  producerGroup: "tx",
  tranStateTableOffset: half.queueOffset,
  commitLogOffset: half.commitLogOffset,
  commitOrRollback: COMMIT,
  fromTransactionCheck: false,
  msgId: half.uniqueKey,
  transactionId: half.uniqueKey
})

const ending = (half: Half, commitOrRollback: number, over: Partial<EndTransaction.EndTransactionHeader> = {}) =>
  EndTransaction.request({ ...committing(half), commitOrRollback, ...over })

const hex = (value: number, length: number) => value.toString(16).toUpperCase().padStart(length, "0")

/** A producer of group `tx` on the wire. */
const producer = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  const begin = Effect.fnUntraced(function* (
    uniqueKey: string,
    properties: Readonly<Record<string, string>> = {},
    body = uniqueKey
  ) {
    const request = sendRequest(
      {
        queueId: 2,
        sysFlag: SysFlag.TRANSACTION_PREPARED,
        bornTimestamp: yield* Clock.currentTimeMillis,
        properties: MessageProperties.encode({ UNIQ_KEY: uniqueKey, TRAN_MSG: "true", PGROUP: "tx", ...properties })
      },
      utf8(body)
    )
    const answer = orThrow(SendMessage.decodeResponse(yield* client.call(address, request)))
    const half: Half = {
      uniqueKey,
      queueOffset: answer.queueOffset,
      commitLogOffset: Number(BigInt(`0x${answer.msgId.slice(-16)}`))
    }
    return { ...half, answer }
  })
  return {
    client,
    address,
    begin,
    end: (...args: Parameters<typeof ending>) => client.call(address, ending(...args)),
    endOneway: (...args: Parameters<typeof ending>) =>
      // A one-way request has no answer: another one behind it on the connection tells that it was handled.
      Effect.andThen(client.oneway(address, ending(...args)), client.call(address, { code: 28, extFields: undefined })),
    heartbeat: client.call(address, producerHeartbeat("c1", "tx")),
    checks: () =>
      client.pushes.filter(({ code }) => code === 39).map((push) => orThrow(CheckTransactionState.decodeRequest(push)))
  }
})

const visible = Effect.flatMap(EmbeddedCluster, (cluster) =>
  Effect.map(cluster.messages("orders"), (messages) => messages.map(({ body }) => textOf(body)))
)
const pending = Effect.flatMap(EmbeddedCluster, (cluster) =>
  Effect.map(cluster.halfMessages, (halves) => halves.map(({ checks, message }) => [textOf(message.body), checks]))
)

describe("transactions", () => {
  it.effect("a half message is stored as a real broker does, and nobody sees it", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { begin } = yield* producer
      const half = yield* begin("U1")
      assert.deepInclude(half.answer, { queueId: 2, queueOffset: 0, transactionId: "U1" })
      assert.strictEqual((yield* begin("U2")).answer.queueOffset, 1)
      const [stored] = yield* cluster.messages("RMQ_SYS_TRANS_HALF_TOPIC")
      assert.deepInclude(stored, { queueId: 0, sysFlag: 0, commitLogOffset: half.commitLogOffset })
      assert.deepStrictEqual(
        { ...stored?.properties },
        {
          UNIQ_KEY: "U1",
          TRAN_MSG: "true",
          PGROUP: "tx",
          MSG_REGION: "DefaultRegion",
          CLUSTER: "DefaultCluster",
          TRACE_ON: "true",
          __transactionId__: "U1",
          REAL_TOPIC: "orders",
          REAL_QID: "2"
        }
      )
      assert.deepStrictEqual(yield* visible, [])
      assert.deepStrictEqual(yield* pending, [
        ["U1", 0],
        ["U2", 0]
      ])
    }).pipe(onCluster())
  )

  it.effect("a commit makes it visible, a rollback not; both are written down", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { begin, endOneway } = yield* producer
      const [one, two, three] = [yield* begin("U1"), yield* begin("U2"), yield* begin("U3")]
      yield* TestClock.adjust("1 second")
      yield* endOneway(one, COMMIT)
      yield* endOneway(two, ROLLBACK)
      yield* endOneway(three, UNKNOWN)
      assert.deepStrictEqual(yield* visible, ["U1"])
      assert.deepStrictEqual(yield* pending, [["U3", 0]])
      const [message] = yield* cluster.messages("orders")
      assert.deepInclude(message, {
        queueId: 2,
        queueOffset: 0,
        sysFlag: 8,
        bornTimestamp: 0,
        storeTimestamp: 1_000,
        preparedTransactionOffset: one.commitLogOffset
      })
      assert.deepStrictEqual(
        { ...message?.properties },
        {
          UNIQ_KEY: "U1",
          TRAN_MSG: "true",
          PGROUP: "tx",
          MSG_REGION: "DefaultRegion",
          CLUSTER: "DefaultCluster",
          TRACE_ON: "true",
          __transactionId__: "U1"
        }
      )
      const ops = yield* cluster.messages("RMQ_SYS_TRANS_OP_HALF_TOPIC")
      assert.deepStrictEqual(
        ops.map(({ body, properties }) => [textOf(body), properties["TAGS"]]),
        [
          ["0,", "d"],
          ["1,", "d"]
        ]
      )
    }).pipe(onCluster())
  )

  it.effect("checks what ends it, in the words of a real broker", () =>
    Effect.gen(function* () {
      const { begin, client, address, end } = yield* producer
      const half = yield* begin("U1")
      const outcome = (...args: Parameters<typeof end>) =>
        Effect.map(end(...args), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* outcome(half, COMMIT, { producerGroup: "other" }), [1, "The producer group wrong"])
      assert.deepStrictEqual(yield* outcome(half, ROLLBACK, { tranStateTableOffset: 7 }), [
        1,
        "The transaction state table offset wrong"
      ])
      assert.deepStrictEqual(yield* outcome(half, COMMIT, { commitLogOffset: half.commitLogOffset + 1 }), [
        1,
        "Find prepared transaction message failed"
      ])
      const plain = orThrow(SendMessage.decodeResponse(yield* client.call(address, sendRequest())))
      const commitLogOffset = Number(BigInt(`0x${plain.msgId.slice(-16)}`))
      assert.deepStrictEqual(yield* outcome(half, COMMIT, { commitLogOffset }), [1, "The producer group wrong"])
      assert.strictEqual((yield* visible).length, 1)
      // A transaction that goes on is not answered: who waits for it waits in vain.
      const silent = yield* Effect.forkChild(
        client.call(address, EndTransaction.request({ ...committing(half), commitOrRollback: 0 }), 500),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(silent.pollUnsafe()?._tag, "Failure")
      assert.deepStrictEqual(yield* outcome(half, ROLLBACK), [0, undefined])
      assert.deepStrictEqual(yield* pending, [])
    }).pipe(onCluster())
  )

  it.effect("asks the producer at the next round, half a minute after the other, with new offsets each time", () =>
    Effect.gen(function* () {
      const { begin, checks, endOneway, heartbeat } = yield* producer
      yield* heartbeat
      yield* TestClock.adjust("10 seconds")
      const half = yield* begin("U1", { WAIT: "true" })
      yield* TestClock.adjust("19999 millis")
      assert.strictEqual(checks().length, 0)
      yield* TestClock.adjust("1 millis")
      const [first] = checks()
      assert.deepInclude(first?.header, {
        topic: "RMQ_SYS_TRANS_HALF_TOPIC",
        brokerName: "broker-a",
        msgId: "U1",
        transactionId: "U1",
        tranStateTableOffset: 1
      })
      assert.deepInclude(first?.message, { topic: "orders", queueId: 2, queueOffset: 1, bornTimestamp: 10_000 })
      assert.strictEqual(first?.message.commitLogOffset, first?.header.commitLogOffset)
      assert.deepInclude({ ...first?.message.properties }, { TRANSACTION_CHECK_TIMES: "1", WAIT: "false" })
      assert.notStrictEqual(first?.header.commitLogOffset, half.commitLogOffset)
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(
        checks().map(({ header, message }) => [
          header.tranStateTableOffset,
          message.properties["TRANSACTION_CHECK_TIMES"]
        ]),
        [
          [1, "1"],
          [2, "2"],
          [3, "3"]
        ]
      )
      const last = checks().at(-1)
      yield* endOneway(
        {
          uniqueKey: "U1",
          queueOffset: last?.header.tranStateTableOffset ?? -1,
          commitLogOffset: last?.header.commitLogOffset ?? -1
        },
        COMMIT,
        { fromTransactionCheck: true }
      )
      assert.deepStrictEqual(yield* visible, ["U1"])
      yield* TestClock.adjust("1 day")
      assert.strictEqual(checks().length, 3)
    }).pipe(onCluster())
  )

  it.effect("waits for transactionTimeOut after the birth, and the message's own time instead", () =>
    Effect.gen(function* () {
      const { begin, checks, heartbeat } = yield* producer
      yield* heartbeat
      yield* TestClock.adjust("25 seconds")
      yield* begin("young")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(checks().length, 0)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(
        checks().map(({ header }) => header.msgId),
        ["young"]
      )
    }).pipe(onCluster())
  )

  it.effect("a message's own immunity is kept, and after it only a check ends the transaction", () =>
    Effect.gen(function* () {
      const { begin, checks, end, heartbeat } = yield* producer
      yield* heartbeat
      const slow = yield* begin("slow", { CHECK_IMMUNITY_TIME_IN_SECONDS: "40" })
      const kept = yield* begin("kept", { CHECK_IMMUNITY_TIME_IN_SECONDS: "40" })
      yield* TestClock.adjust("35 seconds")
      assert.strictEqual(checks().length, 0)
      // Within its time the producer ends it under the offsets it knows, although the broker moved the message.
      assert.strictEqual((yield* end(kept, COMMIT)).code, 0)
      assert.deepStrictEqual(yield* pending, [["slow", 1]])
      yield* TestClock.adjust("25 seconds")
      assert.deepStrictEqual(
        checks().map(({ header }) => header.msgId),
        ["slow"]
      )
      assert.strictEqual((yield* end(slow, COMMIT)).code, 604)
      assert.strictEqual((yield* end(slow, COMMIT, { fromTransactionCheck: true })).code, 0)
      assert.deepStrictEqual(yield* visible, ["kept", "slow"])
    }).pipe(onCluster())
  )

  it.effect("asks one client of the group, another one each time, and nobody when there is none", () =>
    Effect.gen(function* () {
      const { begin } = yield* producer
      const address = yield* brokerAddress()
      const clients = [yield* rawClient(), yield* rawClient()]
      for (const [index, client] of clients.entries()) yield* client.call(address, producerHeartbeat(`c${index}`, "tx"))
      const counts = () => clients.map(({ pushes }) => pushes.filter(({ code }) => code === 39).length)
      yield* begin("U1")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(counts(), [1, 1])
      for (const client of clients) yield* client.close(address)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(counts(), [1, 1])
      assert.deepStrictEqual(yield* pending, [["U1", 3]])
    }).pipe(onCluster())
  )

  it.effect("gives up after too many checks; an administrator brings it back", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { address, begin, checks, client, heartbeat } = yield* producer
      yield* heartbeat
      yield* begin("U1")
      const beat = Effect.andThen(TestClock.adjust("30 seconds"), heartbeat)
      for (let round = 0; round < 5; round++) yield* beat
      assert.strictEqual(checks().length, 3)
      assert.deepStrictEqual(yield* pending, [])
      const [given] = yield* cluster.messages("TRANS_CHECK_MAX_TIME_TOPIC")
      assert.deepInclude({ ...given?.properties }, { TRANSACTION_CHECK_TIMES: "3", REAL_TOPIC: "orders" })
      const port = Number(address.split(":")[1])
      const msgId = `7F000001${hex(port, 8)}${hex(given?.commitLogOffset ?? -1, 16)}`
      const resume = (id: string) => client.call(address, ResumeCheckHalfMessage.request({ msgId: id }))
      assert.deepInclude(yield* resume("nonsense"), {
        code: 1,
        remark: "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC."
      })
      assert.strictEqual((yield* resume(msgId)).code, 0)
      assert.deepStrictEqual(yield* pending, [["U1", 0]])
      yield* beat
      assert.strictEqual(checks().length, 4)
    }).pipe(onCluster({ transactionCheckMax: 3 }))
  )

  it.effect("gives up what is too old", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { begin } = yield* producer
      yield* begin("U1")
      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* cluster.messages("TRANS_CHECK_MAX_TIME_TOPIC")).length, 1)
      assert.deepStrictEqual(yield* pending, [])
    }).pipe(onCluster({ transactionCheckMax: 1_000, fileReservedTime: 1, transactionCheckInterval: 600_000 }))
  )

  it.effect("can be refused, and a slave ends nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const [master, slave] = cluster.brokers
      const answer = yield* client.call(
        master?.address ?? "",
        sendRequest({ properties: MessageProperties.encode({ UNIQ_KEY: "U", TRAN_MSG: "true", PGROUP: "tx" }) })
      )
      assert.strictEqual(answer.code, 16)
      assert.match(answer.remark ?? "", /^the broker\[.*\] sending transaction message is forbidden$/)
      const ended = yield* client.call(
        slave?.address ?? "",
        EndTransaction.request(committing({ uniqueKey: "U", queueOffset: 0, commitLogOffset: 0 }))
      )
      assert.strictEqual(ended.code, 11)
    }).pipe(
      onCluster(
        {},
        {
          brokers: [
            { name: "broker-a", config: { rejectTransactionMessage: true } },
            { name: "broker-a", id: 1 }
          ]
        }
      )
    )
  )

  it.effect("4.9.7 adds no transaction id, and its checks name no topic", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { begin, checks, endOneway, heartbeat } = yield* producer
      yield* heartbeat
      yield* begin("U1")
      const [stored] = yield* cluster.messages("RMQ_SYS_TRANS_HALF_TOPIC")
      assert.isUndefined(stored?.properties["__transactionId__"])
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(checks()[0]?.header.topic)
      assert.isUndefined(checks()[0]?.header.brokerName)
      const [check] = checks()
      yield* endOneway(
        {
          uniqueKey: "U1",
          queueOffset: check?.header.tranStateTableOffset ?? -1,
          commitLogOffset: check?.header.commitLogOffset ?? -1
        },
        COMMIT,
        { fromTransactionCheck: true }
      )
      const [message] = yield* cluster.messages("orders")
      assert.deepInclude({ ...message?.properties }, { REAL_TOPIC: "orders", REAL_QID: "2" })
    }).pipe(onCluster({ version: 407 }))
  )

  it.effect("half messages survive a stop, and are checked again from the start on", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { begin, checks, heartbeat } = yield* producer
      yield* begin("U1")
      yield* cluster.stopBroker("broker-a")
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* pending, [["U1", 0]])
      yield* cluster.startBroker("broker-a")
      yield* heartbeat
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(checks().length, 1)
    }).pipe(onCluster())
  )

  it("a round asks once, however long it takes", () => {
    let time = 0
    const now = () => (time += 1)
    const state = BrokerState.make({
      clusterName: "DefaultCluster",
      brokerName: "broker-a",
      config: BrokerConfig.make({ transactionCheckInterval: 1_000, transactionTimeOut: 0 }),
      now,
      uniqueId: () => "U",
      onTopicChange: () => undefined
    })
    state.halves.prepare({
      topic: "orders",
      queueId: 0,
      body: utf8("half"),
      flag: 0,
      properties: { UNIQ_KEY: "U", TRAN_MSG: "true", PGROUP: "tx" },
      sysFlag: SysFlag.TRANSACTION_PREPARED,
      bornTimestamp: 0,
      bornHost: "127.0.0.1:1",
      storeTimestamp: 0,
      storeHost: "127.0.0.1:2",
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    })
    for (const round of [1, 2, 3]) {
      time = round * 2_000
      assert.deepStrictEqual(
        state.halves.check().map(({ properties }) => properties["TRANSACTION_CHECK_TIMES"]),
        [String(round)]
      )
    }
  })

  const steps = Arbitrary.array(
    Arbitrary.all({
      state: Arbitrary.schema(Schema.Literals([COMMIT, ROLLBACK, UNKNOWN])),
      onCheck: Arbitrary.schema(Schema.Literals([COMMIT, ROLLBACK, UNKNOWN])),
      pause: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60_000 })))
    }),
    { minLength: 1, maxLength: 10 }
  )

  it.effect.prop(
    "a half message becomes visible, once, if and only if it is committed: at once, or when asked",
    { steps },
    ({ steps: given }) =>
      Effect.gen(function* () {
        const { begin, checks, endOneway, heartbeat } = yield* producer
        yield* heartbeat
        let answered = 0
        /** Time passes, and a check is answered long before the next one. */
        const pass = Effect.fnUntraced(function* (millis: number) {
          for (let left = millis; left > 0; left -= 10_000) {
            yield* TestClock.adjust(Math.min(left, 10_000))
            yield* answer
          }
        })
        const answer = Effect.gen(function* () {
          yield* heartbeat
          for (; answered < checks().length; answered++) {
            const check = checks()[answered]
            if (check === undefined) continue
            const { header, message } = check
            yield* endOneway(
              {
                uniqueKey: header.msgId ?? "",
                queueOffset: header.tranStateTableOffset,
                commitLogOffset: header.commitLogOffset
              },
              given[Number(textOf(message.body))]?.onCheck ?? UNKNOWN,
              { fromTransactionCheck: true }
            )
          }
        })
        for (const [index, { pause, state }] of given.entries()) {
          yield* endOneway(yield* begin(`U${index}`, {}, String(index)), state)
          yield* pass(pause)
        }
        yield* pass(60_000)
        const ends = given.map(({ onCheck, state }) => (state === UNKNOWN ? onCheck : state))
        const expected = ends.flatMap((end, index) => (end === COMMIT ? [String(index)] : []))
        assert.sameMembers([...(yield* visible)], expected)
        const open = ends.flatMap((end, index) => (end === UNKNOWN ? [String(index)] : []))
        assert.sameMembers(
          (yield* pending).map(([body]) => body),
          open
        )
        // What nobody ends is given up in the end.
        for (let round = 0; round < 17; round++) yield* pass(30_000)
        assert.deepStrictEqual(yield* pending, [])
        assert.sameMembers([...(yield* visible)], expected)
      }).pipe(onCluster()),
    { arbitrary: { runs: 25 } }
  )
})
