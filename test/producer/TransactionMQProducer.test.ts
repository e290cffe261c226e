import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Context, Deferred, Effect, Exit, Fiber, Layer, Random, Schema } from "effect"
import { EmbeddedCluster, type EmbeddedClusterOptions, FaultScript } from "../../src/testing/index.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import { encodeOffsetMessageId } from "../../src/message/MessageId.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import * as LocalTransactionState from "../../src/producer/transaction/LocalTransactionState.ts"
import {
  TransactionMQProducer,
  type TransactionMQProducerShape,
  type TransactionProducerOptions
} from "../../src/producer/TransactionMQProducer.ts"
import { isOneway, type RemotingCommand, type Request } from "../../src/protocol/RemotingCommand.ts"
import * as EndTransaction from "../../src/protocol/request/EndTransaction.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import {
  advance,
  failureOf,
  held,
  knownGroups,
  nothing,
  onMemory,
  settle,
  timed,
  until,
  valueOf
} from "../support/rig.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const END = RequestCode.END_TRANSACTION

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { item: Schema.String }) {}

/** A cluster whose brokers ask after a second, in rounds three seconds apart. */
const cluster = (options: EmbeddedClusterOptions = {}) =>
  onMemory({
    topics: { orders: {} },
    brokers: [{ name: "broker-a", config: { transactionTimeOut: 1_000, transactionCheckInterval: 3_000 } }],
    ...options
  })

const undecided = () => Effect.succeed<LocalTransactionState.LocalTransactionState>("UNKNOW")

const makeProducer = <R = never>(given: Partial<TransactionProducerOptions<R>> = {}) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
    TransactionMQProducer.make<R>({
      producerGroup: "tx",
      namesrvAddr,
      clientIP: "10.9.8.7",
      checkLocalTransaction: undecided,
      ...given
    })
  )

const startProducer = Effect.fnUntraced(function* <R = never>(given: Partial<TransactionProducerOptions<R>> = {}) {
  const producer = yield* makeProducer(given)
  yield* producer.start
  yield* Effect.addFinalizer(() => producer.shutdown)
  return producer
})

const order = (body = "order-7") => Message.make({ topic: "orders", body, keys: body })
const textOf = (message: MessageExt) => new TextDecoder().decode(message.body)

/** A transaction whose process crashes before it says what became of it. */
const leaveOpen = (producer: TransactionMQProducerShape, message: Message.Message) =>
  Effect.map(Effect.exit(producer.transaction(message, Effect.die("crash"))), (exit) =>
    assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), "the local transaction was run")
  )

/** What consumers of the topic can see. */
const visible = Effect.flatMap(EmbeddedCluster, ({ messages }) =>
  Effect.map(messages("orders"), (found) => found.map(textOf).toSorted())
)

/** What brokers were told of transactions. */
const ends = Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
  Effect.map(traffic.ofCode(END), (found) => found.map((request) => request.extFields ?? {}))
)
const endStates = Effect.map(ends, (found) => found.map((fields) => fields["commitOrRollback"]))
const COMMIT = "8"
const ROLLBACK = "12"
const UNKNOWN = "0"

/** An rpc hook that keeps the remarks of END_TRANSACTIONs. */
const remarks = () => {
  const kept: Array<string | undefined> = []
  return {
    kept,
    rpcHook: {
      doBeforeRequest: (_address: string, request: Request) => {
        if (request.code === END) kept.push(request.remark)
        return request
      }
    }
  }
}

describe("a transaction", () => {
  it.effect("that succeeds commits its message, which nobody sees before", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const message = order()
      const result = yield* producer.transaction(
        message,
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* visible, [])
          assert.deepStrictEqual(yield* ends, [])
          return 42
        })
      )
      yield* settle
      assert.strictEqual(result.value, 42)
      assert.strictEqual(result.localTransactionState, "COMMIT_MESSAGE")
      assert.strictEqual(result.sendResult.status, "SEND_OK")
      const { messages } = yield* EmbeddedCluster
      const [stored, ...more] = yield* messages("orders")
      assert.deepStrictEqual(more, [])
      assert.isDefined(stored)
      assert.strictEqual(textOf(stored), "order-7")
      assert.strictEqual(stored.msgId, result.sendResult.msgId)
      assert.strictEqual(stored.properties["PGROUP"], "tx")
      assert.deepStrictEqual(message, order(), "the message stays as it was")
      const [end] = yield* ends
      // The fields of the Java client, by name and form.
      assert.deepStrictEqual(
        { ...end },
        {
          topic: "orders",
          producerGroup: "tx",
          tranStateTableOffset: "0",
          commitLogOffset: `${Number.parseInt(result.sendResult.offsetMsgId.slice(16), 16)}`,
          commitOrRollback: COMMIT,
          fromTransactionCheck: "false",
          msgId: result.sendResult.msgId,
          transactionId: result.sendResult.msgId,
          bname: "broker-a"
        }
      )
      const { traffic } = yield* EmbeddedCluster
      assert.deepStrictEqual(
        (yield* traffic.ofCode(END)).map(({ address, oneway }) => ({ address, oneway })),
        [{ address: brokers[0]?.address ?? "", oneway: true }]
      )
    }).pipe(cluster())
  )

  it.effect("that fails typed rolls back, and its failure is the result", () =>
    Effect.gen(function* () {
      const { kept, rpcHook } = remarks()
      const producer = yield* startProducer({ remoting: { rpcHook } })
      const error = yield* Effect.flip(producer.transaction(order(), Effect.fail(new OutOfStock({ item: "tea" }))))
      assert.deepStrictEqual(error, new OutOfStock({ item: "tea" }))
      yield* settle
      assert.deepStrictEqual(yield* endStates, [ROLLBACK])
      yield* advance(60_000, 1_000)
      assert.deepStrictEqual(yield* visible, [])
      assert.strictEqual((yield* producer.transactions).checks.received, 0, "nobody asks about what is decided")
      assert.deepStrictEqual(kept, [undefined])
    }).pipe(cluster())
  )

  it.effect("L11: a local transaction that dies stays open, says why as Java does, and is decided by the check", () =>
    Effect.gen(function* () {
      const { kept, rpcHook } = remarks()
      const asked: Array<MessageExt> = []
      const producer = yield* startProducer({
        remoting: { rpcHook },
        checkLocalTransaction: (message) =>
          Effect.sync(() => {
            asked.push(message)
            return "COMMIT_MESSAGE"
          })
      })
      const exit = yield* Effect.exit(producer.transaction(order(), Effect.die(new TypeError("bo\u001bom"))))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), "the defect is passed on")
      yield* settle
      assert.deepStrictEqual(yield* endStates, [UNKNOWN])
      assert.deepStrictEqual(yield* visible, [])
      yield* advance(4_000)
      assert.deepStrictEqual(yield* endStates, [UNKNOWN, COMMIT])
      assert.deepStrictEqual(yield* visible, ["order-7"])
      assert.deepStrictEqual(kept, ["executeLocalTransactionBranch exception: TypeError: bo om", undefined])
      const [half, answer] = yield* ends
      assert.strictEqual(answer?.["fromTransactionCheck"], "true")
      assert.strictEqual(answer?.["topic"], "RMQ_SYS_TRANS_HALF_TOPIC")
      assert.strictEqual(answer?.["tranStateTableOffset"], "1", "the offsets are those of the check")
      assert.notStrictEqual(answer?.["commitLogOffset"], half?.["commitLogOffset"])
      assert.strictEqual(answer?.["msgId"], half?.["msgId"])
      assert.strictEqual(asked.length, 1)
      assert.deepInclude(asked[0], { topic: "orders" })
      assert.deepStrictEqual(asked[0]?.keys, ["order-7"])
      assert.deepInclude((yield* producer.transactions).checks, { received: 1, committed: 1, unknown: 0 })
    }).pipe(cluster())
  )

  it.effect("that is interrupted tells the broker all the same", () =>
    Effect.gen(function* () {
      const { kept, rpcHook } = remarks()
      const producer = yield* startProducer({ remoting: { rpcHook } })
      const begun = yield* Deferred.make<void>()
      const fiber = yield* producer
        .transaction(order(), Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
        .pipe(Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.deepStrictEqual(yield* endStates, [UNKNOWN])
      assert.deepStrictEqual(kept, ["executeLocalTransactionBranch exception: interrupted"])
      assert.deepInclude(yield* producer.transactions, { begun: 1, unknown: 1, underway: 0 })
    }).pipe(cluster())
  )

  it.effect("that is interrupted while the broker is gone ends within sendMsgTimeout", () =>
    Effect.gen(function* () {
      const { stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendMsgTimeout: 2_000 })
      const begun = yield* Deferred.make<void>()
      const fiber = yield* producer
        .transaction(order(), Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
        .pipe(Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(begun)
      yield* stopBroker("broker-a")
      const { millis } = yield* timed(Fiber.interrupt(fiber))
      assert.isAtMost(millis, 2_005)
      assert.strictEqual((yield* producer.transactions).endsLost, 1)
    }).pipe(cluster())
  )

  it.effect("gets the send result of the half message where it is a function of it", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const { sendResult, value } = yield* producer.transaction(order(), (half) => Effect.succeed(half.msgId))
      assert.strictEqual(value, sendResult.msgId)
      const [end] = yield* Effect.andThen(settle, ends)
      assert.strictEqual(end?.["msgId"], value)
    }).pipe(cluster())
  )

  it.effect("L11: a local transaction whose function throws stays open", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const exit = yield* Effect.exit(
        producer.transaction(order(), (): Effect.Effect<void> => {
          throw new Error("thrown")
        })
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* settle
      assert.deepStrictEqual(yield* endStates, [UNKNOWN])
    }).pipe(cluster())
  )

  for (const [code, status] of [
    [10, "FLUSH_DISK_TIMEOUT"],
    [11, "SLAVE_NOT_AVAILABLE"],
    [12, "FLUSH_SLAVE_TIMEOUT"]
  ] as const) {
    it.effect(`is not run, and rolled back, when the half message is answered ${status}`, () =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const producer = yield* startProducer()
        const extFields = { msgId: "7F00000100002A9F00000000000029DB", queueId: "0", queueOffset: "5" }
        yield* faults.add({
          match: { code: SEND },
          actions: [{ _tag: "Answer", response: { code, extFields } }]
        })
        let ran = false
        const error = yield* Effect.flip(
          producer.transaction(
            order(),
            Effect.sync(() => {
              ran = true
            })
          )
        )
        assert.strictEqual(error._tag, "TransactionNotRun")
        assert.deepInclude(error, { status, topic: "orders" })
        assert.isFalse(ran)
        yield* settle
        const [end, ...more] = yield* ends
        assert.deepStrictEqual(more, [])
        assert.deepInclude(
          { ...end },
          { commitOrRollback: ROLLBACK, commitLogOffset: "10715", tranStateTableOffset: "5" }
        )
      }).pipe(cluster())
    )
  }

  it.effect("is not run when the half message is not acknowledged; the broker may ask, and rolls it back", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const done = new Set<string>()
      const producer = yield* startProducer({
        sendMsgTimeout: 1_000,
        checkLocalTransaction: (message) =>
          Effect.sync(() => (done.has(textOf(message)) ? "COMMIT_MESSAGE" : "ROLLBACK_MESSAGE"))
      })
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropResponse] })
      const { exit } = yield* timed(
        producer.transaction(
          order(),
          Effect.sync(() => done.add("order-7"))
        )
      )
      const error = failureOf(exit)
      assert.strictEqual(error._tag, "SendError")
      assert.isTrue(error._tag === "SendError" && error.outcome === "unknown")
      assert.deepStrictEqual([...done], [])
      yield* advance(10_000)
      const states = yield* endStates
      assert.isAbove(states.length, 0)
      assert.deepStrictEqual([...new Set(states)], [ROLLBACK])
      assert.deepStrictEqual(yield* visible, [])
    }).pipe(cluster())
  )

  it.effect("is refused for a delayed message, before anything is sent", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      for (const delay of [
        MessageDelay.level(3),
        MessageDelay.by("10 seconds"),
        MessageDelay.by(1_500),
        MessageDelay.at(9_000)
      ]) {
        const error = yield* Effect.flip(producer.transaction({ ...order(), delay }, Effect.die("it ran")))
        assert.strictEqual(error._tag, "SendError")
        assert.strictEqual(error._tag === "SendError" && error.reason._tag, "InvalidMessage")
        assert.match(error.message, /its delay is not possible for a message of a transaction/)
      }
      assert.deepStrictEqual(yield* traffic.ofCode(SEND), [])
    }).pipe(cluster())
  )

  it.effect("that takes longer than it may is interrupted and stays open", () =>
    Effect.gen(function* () {
      const { kept, rpcHook } = remarks()
      const producer = yield* startProducer({ transactionTimeoutMillis: 500, remoting: { rpcHook } })
      const { exit, millis } = yield* timed(producer.transaction(order(), Effect.never))
      const error = failureOf(exit)
      assert.strictEqual(error._tag, "LocalTransactionTimeout")
      assert.isAtMost(millis, 505)
      yield* settle
      assert.deepStrictEqual(yield* endStates, [UNKNOWN])
      assert.deepStrictEqual(kept, [undefined])
      assert.strictEqual(LocalTransactionState.ofExit(exit), "UNKNOW")
    }).pipe(cluster())
  )

  it.effect("may say itself what its end means", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const lost = new OutOfStock({ item: "connection" })
      const stateOf = <A, E>(exit: Exit.Exit<A, E>): LocalTransactionState.LocalTransactionState =>
        Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error === lost)
          ? "UNKNOW"
          : LocalTransactionState.ofExit(exit)
      const error = yield* Effect.flip(producer.transaction(order(), Effect.fail(lost), { stateOf }))
      assert.strictEqual(error, lost)
      const later = yield* producer.transaction(order(), Effect.succeed("soon"), { stateOf: () => "UNKNOW" })
      assert.deepInclude(later, { value: "soon", localTransactionState: "UNKNOW" })
      yield* producer.transaction(order(), Effect.void, { stateOf })
      yield* settle
      assert.deepStrictEqual(yield* endStates, [UNKNOWN, UNKNOWN, COMMIT])
    }).pipe(cluster())
  )

  it.effect("goes to the queue that was asked for", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 3 }
      yield* producer.transaction(order(), Effect.void, { queue })
      yield* settle
      const { messages } = yield* EmbeddedCluster
      assert.deepStrictEqual(
        (yield* messages("orders")).map((message) => message.queueId),
        [3]
      )
    }).pipe(cluster())
  )

  it.effect("whose end is lost on the way is decided by the check", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ checkLocalTransaction: () => Effect.succeed("COMMIT_MESSAGE") })
      yield* faults.add({ match: { code: END }, actions: [FaultScript.dropRequest], times: 1 })
      yield* producer.transaction(order(), Effect.void)
      yield* settle
      assert.deepStrictEqual(yield* visible, [])
      yield* advance(4_000)
      assert.deepStrictEqual(yield* visible, ["order-7"])
    }).pipe(cluster())
  )

  it.effect("is refused in every state but RUNNING", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const reasonNow = Effect.map(
        Effect.flip(producer.transaction(order(), Effect.die("it ran"))),
        (error) => error._tag === "SendError" && error.reason._tag
      )
      assert.strictEqual(yield* reasonNow, "IllegalServiceState")
      yield* producer.start
      yield* producer.shutdown
      assert.strictEqual(yield* reasonNow, "IllegalServiceState")
    }).pipe(cluster())
  )

  it.effect("sends and transactions of a producer go side by side", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, n) => n),
        (n) =>
          n % 2 === 0
            ? Effect.asVoid(producer.send(order(`plain-${n}`)))
            : Effect.asVoid(producer.transaction(order(`tx-${n}`), Effect.sleep(n))),
        { concurrency: "unbounded", discard: true }
      ).pipe(timed)
      yield* settle
      assert.strictEqual((yield* visible).length, 40)
      assert.deepInclude(yield* producer.transactions, { begun: 20, committed: 20, underway: 0 })
    }).pipe(cluster())
  )
})

describe("checks", () => {
  it.effect("go to the producer of the message's group, with several in one client", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const asked: Array<string> = []
      const groups = ["tx-a", "tx-b", "tx-c"]
      const producers = yield* Effect.forEach(groups, (producerGroup) =>
        startProducer({
          producerGroup,
          instanceName: "shared",
          checkLocalTransaction: (message) =>
            Effect.sync(() => {
              asked.push(`${producerGroup} <- ${textOf(message)}`)
              return producerGroup === "tx-b" ? "ROLLBACK_MESSAGE" : "COMMIT_MESSAGE"
            })
        })
      )
      assert.strictEqual(yield* manager.size, 1)
      for (const producer of producers) {
        yield* leaveOpen(producer, order(`of-${producer.producerGroup}`))
      }
      yield* advance(4_000)
      assert.deepStrictEqual(
        asked.toSorted(),
        groups.map((group) => `${group} <- of-${group}`)
      )
      assert.deepStrictEqual(yield* visible, ["of-tx-a", "of-tx-c"])
    }).pipe(cluster())
  )

  it.effect("arrive although nothing was sent since the start, for messages of an earlier run", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const first = yield* startProducer()
      yield* leaveOpen(first, order())
      yield* first.shutdown
      assert.deepStrictEqual(yield* knownGroups, [])
      yield* traffic.clear
      const second = yield* startProducer({
        topics: ["orders"],
        checkLocalTransaction: () => Effect.succeed("COMMIT_MESSAGE")
      })
      assert.include(yield* knownGroups, "tx", "the broker knows the group when the start has ended")
      yield* advance(4_000)
      assert.deepStrictEqual(yield* visible, ["order-7"])
      assert.deepStrictEqual(yield* traffic.ofCode(SEND), [])
      assert.deepInclude((yield* second.transactions).checks, { received: 1, committed: 1 })
    }).pipe(cluster())
  )

  it.effect("for a group without transactions here are dropped, and asked again", () =>
    Effect.gen(function* () {
      const first = yield* startProducer()
      yield* leaveOpen(first, order())
      yield* first.shutdown
      const { namesrvAddr } = yield* EmbeddedCluster
      const plain = yield* DefaultMQProducer.make({
        producerGroup: "tx",
        namesrvAddr,
        readiness: "registered",
        topics: ["orders"]
      })
      yield* plain.start
      yield* advance(9_000)
      assert.deepStrictEqual(yield* endStates, [UNKNOWN], "only that of the transaction itself")
      yield* plain.shutdown
      yield* startProducer({ topics: ["orders"], checkLocalTransaction: () => Effect.succeed("COMMIT_MESSAGE") })
      yield* advance(4_000)
      assert.deepStrictEqual(yield* visible, ["order-7"])
    }).pipe(cluster())
  )

  it.effect("L11: checks that fail, die or take too long are answered UNKNOW with a remark, and asked again", () =>
    Effect.gen(function* () {
      const { kept, rpcHook } = remarks()
      const answers: Array<Effect.Effect<LocalTransactionState.LocalTransactionState, OutOfStock>> = [
        Effect.fail(new OutOfStock({ item: "tea" })),
        Effect.die("went wrong"),
        Effect.never,
        Effect.succeed("UNKNOW"),
        Effect.succeed("COMMIT_MESSAGE")
      ]
      const producer = yield* startProducer({
        remoting: { rpcHook },
        checkTimeoutMillis: 500,
        checkLocalTransaction: () => answers.shift() ?? Effect.succeed("ROLLBACK_MESSAGE")
      })
      yield* producer.transaction(order(), Effect.void, { stateOf: () => "UNKNOW" })
      yield* advance(16_000)
      assert.deepStrictEqual(yield* endStates, [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, COMMIT])
      assert.deepStrictEqual(yield* visible, ["order-7"])
      assert.deepStrictEqual(kept.slice(2), [
        "checkLocalTransactionState Exception: went wrong",
        "checkLocalTransactionState Exception: no answer within 500 ms",
        undefined,
        undefined
      ])
      assert.match(kept[1] ?? "", /^checkLocalTransactionState Exception: OutOfStock/)
      assert.deepInclude((yield* producer.transactions).checks, { received: 5, unknown: 4, failed: 3, committed: 1 })
    }).pipe(cluster())
  )

  it.effect("A22: run so many at once, wait so many, and the rest is asked again", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const producer = yield* startProducer({
        checkConcurrency: 2,
        checkRequestHoldMax: 5,
        checkLocalTransaction: () =>
          Effect.gen(function* () {
            most = Math.max(most, ++running)
            yield* Effect.sleep(100)
            running--
            return LocalTransactionState.COMMIT_MESSAGE
          })
      })
      const bodies = Array.from({ length: 8 }, (_, n) => `order-${n}`)
      for (const body of bodies) yield* producer.transaction(order(body), Effect.void, { stateOf: () => "UNKNOW" })
      yield* advance(3_050, 10)
      assert.deepInclude((yield* producer.transactions).checks, { received: 8, dropped: 3 })
      yield* advance(10_000)
      assert.strictEqual(most, 2)
      assert.deepStrictEqual(yield* visible, bodies)
    }).pipe(cluster())
  )

  it.effect("see the services that the producer was made with", () => {
    class Database extends Context.Service<Database, { readonly has: (id: string) => Effect.Effect<boolean> }>()(
      "test/Database"
    ) {}
    const database = Layer.succeed(Database, Database.of({ has: (id) => Effect.succeed(id === "order-7") }))
    return Effect.gen(function* () {
      const producer = yield* startProducer({
        checkLocalTransaction: (message) =>
          Effect.map(
            Effect.flatMap(Database, ({ has }) => has(textOf(message))),
            (has): LocalTransactionState.LocalTransactionState => (has ? "COMMIT_MESSAGE" : "ROLLBACK_MESSAGE")
          )
      })
      for (const body of ["order-7", "order-8"]) yield* leaveOpen(producer, order(body))
      yield* advance(4_000)
      assert.deepStrictEqual(yield* visible, ["order-7"])
    }).pipe(Effect.provide(database), cluster())
  })

  it.effect("A22: of a compressed half message get its body unpacked", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const body = "x".repeat(10_000)
      const producer = yield* startProducer({
        checkLocalTransaction: (message) =>
          Effect.sync(() => {
            seen.push(textOf(message))
            return "COMMIT_MESSAGE"
          })
      })
      yield* producer.transaction(Message.make({ topic: "orders", body }), Effect.void, { stateOf: () => "UNKNOW" })
      const { messages } = yield* EmbeddedCluster
      const [half] = yield* messages("RMQ_SYS_TRANS_HALF_TOPIC")
      assert.isBelow(half?.body.length ?? Infinity, 1_000, "it was sent compressed")
      yield* advance(4_000)
      assert.deepStrictEqual(seen, [body])
    }).pipe(cluster())
  )
})

describe("a namespace", () => {
  it.effect("is on the wire only, in checks too", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const seen: Array<MessageExt> = []
      const producer = yield* startProducer({
        namespace: "MQ_INST_1",
        checkLocalTransaction: (message) =>
          Effect.sync(() => {
            seen.push(message)
            return LocalTransactionState.COMMIT_MESSAGE
          })
      })
      yield* producer.transaction(order("at-once"), Effect.void)
      yield* leaveOpen(producer, order("by-the-check"))
      yield* advance(4_000)
      assert.deepStrictEqual(yield* visible, [])
      assert.deepStrictEqual((yield* messages("MQ_INST_1%orders")).map(textOf).toSorted(), ["at-once", "by-the-check"])
      assert.deepStrictEqual(
        seen.map(({ properties, topic }) => [topic, properties["PGROUP"]]),
        [["orders", "tx"]]
      )
      for (const { extFields } of yield* traffic.ofCode(END)) {
        assert.strictEqual(extFields?.["producerGroup"], "MQ_INST_1%tx")
      }
    }).pipe(cluster())
  )
})

describe("shutdown", () => {
  it.effect("waits for checks under way, and takes no new ones", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<LocalTransactionState.LocalTransactionState>()
      const producer = yield* startProducer({
        drainTimeoutMillis: 10_000,
        checkTimeoutMillis: 60_000,
        checkLocalTransaction: () => Deferred.await(gate)
      })
      yield* leaveOpen(producer, order())
      yield* advance(4_000)
      assert.strictEqual((yield* producer.transactions).checks.received, 1)
      const fiber = yield* Effect.forkChild(producer.shutdown, { startImmediately: true })
      yield* advance(4_000)
      assert.isUndefined(fiber.pollUnsafe(), "it waits")
      assert.deepInclude((yield* producer.transactions).checks, { received: 2, dropped: 1 })
      yield* Deferred.succeed(gate, "COMMIT_MESSAGE")
      yield* until(
        "the shutdown ended",
        Effect.sync(() => fiber.pollUnsafe() !== undefined)
      )
      assert.deepStrictEqual(yield* visible, ["order-7"])
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(cluster())
  )

  it.effect("waits no longer than the drain bound", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({
        drainTimeoutMillis: 2_000,
        checkTimeoutMillis: 60_000,
        checkLocalTransaction: () => Effect.never
      })
      yield* leaveOpen(producer, order())
      yield* advance(4_000)
      const { millis } = yield* timed(producer.shutdown)
      assert.isAtMost(millis, 2_600)
      assert.deepStrictEqual(yield* held, nothing)
      assert.deepStrictEqual(yield* visible, [])
    }).pipe(cluster())
  )

  it.effect("lets a transaction under way end", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ drainTimeoutMillis: 10_000 })
      const gate = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const fiber = yield* producer
        .transaction(order(), Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)))
        .pipe(Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(begun)
      const ending = yield* Effect.forkChild(producer.shutdown, { startImmediately: true })
      yield* advance(1_000)
      assert.isUndefined(ending.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(fiber)).localTransactionState, "COMMIT_MESSAGE")
      yield* Fiber.join(ending)
      assert.deepStrictEqual(yield* visible, ["order-7"])
    }).pipe(cluster())
  )
})

describe("the end of a transaction", () => {
  it.effect.each(["JSON", "ROCKETMQ"] as const)("carries its remark on the wire, in a %s header", (serializeType) =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<RemotingCommand>()
      const server = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        handler: (command) => Effect.as(Deferred.succeed(arrived, command), undefined)
      })
      const client = yield* RemotingClient.make({ serializeType })
      const header = {
        producerGroup: "tx",
        tranStateTableOffset: 5,
        commitLogOffset: 10_715,
        commitOrRollback: 0,
        msgId: "A"
      }
      const remark = "executeLocalTransactionBranch exception: Error: größer"
      yield* client.invokeOneway(server.address, { ...EndTransaction.request(header), remark }, 3_000)
      const command = yield* Deferred.await(arrived)
      assert.strictEqual(command.remark, remark)
      assert.isTrue(isOneway(command))
      assert.deepInclude(EndTransaction.decodeRequest(command), header)
    }).pipe(Effect.provide(MemoryWire.layer))
  )
})

describe("the place of a half message", () => {
  it.effect("is told as it is, or counts as lost where no number holds it", () =>
    Effect.gen(function* () {
      const ended: Array<string | undefined> = []
      let offset = 0n
      const address = "127.0.0.1:4242"
      yield* RemotingServer.listen({
        address,
        handler: ({ code, extFields }) =>
          Effect.sync(() => {
            if (code === RequestCode.GET_ROUTEINFO_BY_TOPIC) {
              const queueData = {
                brokerName: "broker-a",
                readQueueNums: 1,
                writeQueueNums: 1,
                perm: 6,
                topicSysFlag: 0
              }
              const brokerData = { cluster: "c", brokerName: "broker-a", brokerAddrs: new Map([[0, address]]) }
              return GetRouteInfoByTopic.response({
                queueDatas: [queueData],
                brokerDatas: [brokerData],
                filterServerTable: new Map()
              })
            }
            if (code === SEND) {
              const msgId = encodeOffsetMessageId(address, offset)
              return SendMessage.response({ msgId, queueId: 0, queueOffset: 3, traceOn: true })
            }
            if (code === END) ended.push(extFields?.["commitLogOffset"])
            return { code: ResponseCode.SUCCESS }
          })
      })
      const producer = yield* startProducer({ namesrvAddr: address })
      for (const at of [7n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
        offset = at
        yield* producer.transaction(order(), Effect.void)
      }
      yield* settle
      assert.deepStrictEqual(ended, ["7", "9007199254740991"])
      assert.strictEqual((yield* producer.transactions).endsLost, 2)
    }).pipe(cluster())
  )
})

describe("options", () => {
  it.effect("without a usable value are all named", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({
        checkConcurrency: 0,
        checkRequestHoldMax: 1.5,
        checkTimeoutMillis: -1,
        transactionTimeoutMillis: Number.NaN,
        sendMsgTimeout: 0
      })
      const error = yield* Effect.flip(producer.start)
      assert.strictEqual(error.reason._tag, "InvalidConfig")
      const paths = error.reason._tag === "InvalidConfig" ? error.reason.problems.map((one) => one.path) : []
      assert.deepStrictEqual(paths, [
        "sendMsgTimeout",
        "checkConcurrency",
        "checkRequestHoldMax",
        "checkTimeoutMillis",
        "transactionTimeoutMillis"
      ])
    }).pipe(cluster())
  )

  it.effect("come from Config, and the layer's scope is the producer's life", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const layer = TransactionMQProducer.layerConfig(
        () => Effect.succeed<LocalTransactionState.LocalTransactionState>("COMMIT_MESSAGE"),
        {
          producerGroup: Config.String("GROUP"),
          namesrvAddr: Config.succeed(namesrvAddr),
          checkTimeoutMillis: Config.Number("CHECK_TIMEOUT")
        }
      )
      const provider = ConfigProvider.fromUnknown({ GROUP: "from-config", CHECK_TIMEOUT: "700" })
      yield* Effect.gen(function* () {
        const producer = yield* TransactionMQProducer
        assert.strictEqual(producer.producerGroup, "from-config")
        yield* leaveOpen(producer, order())
        yield* advance(4_000)
        assert.deepStrictEqual(yield* visible, ["order-7"])
      }).pipe(Effect.provide(layer), Effect.provide(ConfigProvider.layer(provider)))
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(cluster())
  )
})

/** A database, a network that loses things, callers that give up, a process that is restarted: what holds in the end. */
const chaos = (seed: number) =>
  Effect.gen(function* () {
    const { faults } = yield* EmbeddedCluster
    const random = yield* Random.Random
    const chance = (probability: number) => random.nextDoubleUnsafe() < probability
    const done = new Set<string>()
    const run = Effect.fnUntraced(function* (round: number) {
      const producer: TransactionMQProducerShape = yield* makeProducer({
        topics: ["orders"],
        sendMsgTimeout: 800,
        startTimeoutMillis: 30_000,
        checkLocalTransaction: (message) =>
          Effect.suspend((): Effect.Effect<LocalTransactionState.LocalTransactionState, string> => {
            if (chance(0.2)) return Effect.fail("the database is away")
            // A transaction that may still be running is none that failed.
            return Effect.succeed(done.has(textOf(message)) ? "COMMIT_MESSAGE" : "ROLLBACK_MESSAGE")
          })
      })
      yield* producer.start
      yield* Effect.forEach(
        Array.from({ length: 12 }, (_, n) => `order-${round}-${n}`),
        (id) => {
          const local = Effect.gen(function* () {
            yield* Effect.sleep(Math.floor(random.nextDoubleUnsafe() * 300))
            if (chance(0.2)) return yield* new OutOfStock({ item: id })
            if (chance(0.1)) return yield* Effect.die("crash before the commit")
            done.add(id)
            if (chance(0.1)) return yield* Effect.die("crash after the commit")
            return id
          })
          const call = producer.transaction(order(id), local)
          const patience = chance(0.3) ? Math.floor(random.nextDoubleUnsafe() * 400) : 60_000
          return Effect.exit(Effect.timeoutOption(call, patience))
        },
        { concurrency: "unbounded", discard: true }
      )
      yield* producer.shutdown
    })
    yield* faults.add(
      { match: { code: END, probability: 0.3 }, actions: [FaultScript.dropRequest] },
      { match: { code: SEND, probability: 0.1 }, actions: [FaultScript.dropResponse] },
      { match: { code: [END, SEND], probability: 0.05 }, actions: [FaultScript.cut("after")] },
      { match: { code: SEND, probability: 0.3 }, actions: [FaultScript.delay(50)] }
    )
    for (const round of [0, 1]) {
      const { exit } = yield* timed(run(round), 120_000, 20)
      valueOf(exit)
    }
    yield* faults.clear
    yield* startProducer({
      topics: ["orders"],
      checkLocalTransaction: (message) =>
        Effect.sync(() => (done.has(textOf(message)) ? "COMMIT_MESSAGE" : "ROLLBACK_MESSAGE"))
    })
    yield* advance(30_000, 500)
    // A half message that was sent twice is committed twice, as a plain send that is retried is stored twice.
    assert.deepStrictEqual([...new Set(yield* visible)], [...done].toSorted(), `seed ${seed}`)
  }).pipe(cluster({ seed }), Random.withSeed(seed))

describe("whatever happens", () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it.effect(`the message is seen if, and only if, the local transaction was done (seed ${seed})`, () => chaos(seed))
  }
})
