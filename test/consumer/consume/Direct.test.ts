import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import * as Listener from "../../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../../src/consumer/MessageStream.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as ConsumeMessageDirectly from "../../../src/protocol/push/ConsumeMessageDirectly.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import { brokerAddress, orThrow, rawClient, sendHeader } from "../../embedded/support.ts"
import { until } from "../../support/rig.ts"
import { commits, consume, make, namesrvAddr, rig, text } from "../support.ts"

/** Messages of this topic are not subscribed to: nobody but a tool hands them over. */
const OTHER = "other"

const onRig = Effect.provide(rig({ topics: { orders: {}, [OTHER]: {} } }))

const send = (body: string | Uint8Array, properties: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer
    const { offsetMsgId } = yield* producer.send(Message.make({ topic: OTHER, body, properties }))
    return offsetMsgId ?? ""
  })

/** Asks the member of the group through the broker, as `mqadmin queryMsgById -g -d` does. */
const ask = Effect.fnUntraced(function* (msgId: string) {
  const { clients } = yield* EmbeddedCluster
  const clientId = (yield* clients).find(({ group }) => group === "billing")?.clientId ?? ""
  const client = yield* rawClient()
  return yield* client.call(
    yield* brokerAddress(),
    ConsumeMessageDirectly.request({ consumerGroup: "billing", clientId, msgId, topic: OTHER }),
    30_000
  )
})

const result = (msgId: string) =>
  Effect.map(ask(msgId), (answer) => {
    assert.strictEqual(answer.code, 0, answer.remark)
    const { spentTimeMills, ...rest } = orThrow(ConsumeMessageDirectly.decodeResponse(answer))
    assert.isAtLeast(spentTimeMills, 0)
    return rest
  })

describe("a message that a tool sends to one member (309)", () => {
  it.effect("goes to the listener as it was stored, once, and counts for nothing", () =>
    Effect.gen(function* () {
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(message)))
      const msgId = yield* send("x".repeat(10_000), { a: "1" })
      assert.deepStrictEqual(yield* result(msgId), { order: false, autoCommit: true, consumeResult: "CR_SUCCESS" })
      assert.strictEqual(seen.length, 1)
      assert.deepInclude(seen[0], { topic: OTHER, brokerName: "broker-a", attempt: 1 })
      assert.strictEqual(seen[0]?.properties["a"], "1")
      assert.strictEqual(seen[0]?.body.length, 10_000)
      const { counters, queues } = yield* consumer.state
      assert.deepInclude(counters, { received: 0, succeeded: 0, failures: 0, reconsumeLater: 0 })
      assert.isTrue(queues.every(({ consumeOffset }) => consumeOffset === 0))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* commits(OTHER), [])
    }).pipe(Effect.scoped, onRig)
  )

  it.effect("of the group's retry topic: with the topic that it was sent to, and its attempt", () =>
    Effect.gen(function* () {
      const seen: Array<ReceivedMessage> = []
      yield* consume((message) =>
        Effect.suspend(() => {
          seen.push(message)
          return message.attempt === 1 ? Effect.fail("no") : Effect.void
        })
      )
      const { send: sendTo } = yield* DefaultMQProducer
      yield* sendTo(Message.make({ topic: "orders", body: "x" }))
      yield* TestClock.adjust("15 seconds")
      yield* until(
        "it came again",
        Effect.sync(() => seen.length === 2)
      )
      yield* result(seen[1]?.offsetMsgId ?? "")
      const [, , third] = seen
      assert.deepInclude(third, { topic: "orders", attempt: 2 })
      assert.strictEqual(third?.queue.topic, "%RETRY%billing")
    }).pipe(Effect.scoped, onRig)
  )

  for (const [name, listener, expected] of [
    ["comes again", () => Effect.succeed(ConsumeResult.reconsumeLater()), { consumeResult: "CR_LATER" }],
    [
      "is a dead letter",
      () => Effect.succeed(ConsumeResult.deadLetter("why\u001b[31m")),
      { consumeResult: "CR_LATER", remark: "a dead letter: why [31m" }
    ],
    [
      "fails",
      () => Effect.fail(new RangeError(`bad\n${"x".repeat(9_000)}`)),
      { consumeResult: "CR_THROW_EXCEPTION", remark: `RangeError: bad ${"x".repeat(496)}...` }
    ],
    ["dies", () => Effect.die(new Error("boom")), { consumeResult: "CR_THROW_EXCEPTION", remark: "Error: boom" }],
    [
      "throws",
      () => {
        throw new Error("boom")
      },
      { consumeResult: "CR_THROW_EXCEPTION", remark: "Error: boom" }
    ],
    [
      "interrupts itself",
      () => Effect.interrupt,
      { consumeResult: "CR_THROW_EXCEPTION", remark: "the handler was interrupted" }
    ],
    [
      "fails with what means a success",
      Listener.concurrently<unknown, never>(() => Effect.fail(new Error("known")), {
        onFailure: () => ConsumeResult.success
      }),
      { consumeResult: "CR_SUCCESS", remark: "Error: known" }
    ],
    [
      "is a batch of one",
      Listener.batch<unknown, never>({ maxSize: 32 }, (messages) =>
        Effect.succeed(Listener.BatchResult.ackIndex(messages.length === 1 ? 0 : -1))
      ),
      { consumeResult: "CR_SUCCESS" }
    ],
    [
      "is a batch that comes again",
      Listener.batch<unknown, never>({ maxSize: 32 }, () => Effect.succeed(Listener.BatchResult.ackIndex(-1))),
      { consumeResult: "CR_LATER" }
    ],
    [
      "is of a key",
      Listener.keyed<unknown, never>(
        () => "key",
        () => Effect.void
      ),
      { consumeResult: "CR_SUCCESS" }
    ],
    [
      "in order, a suspension",
      Listener.orderly<unknown, never>(() => Effect.succeed(Listener.OrderlyResult.suspend())),
      { order: true, consumeResult: "CR_LATER" }
    ],
    [
      "in order, a commit",
      Listener.orderly<unknown, never>(() => Effect.succeed(Listener.OrderlyResult.commit), { autoCommit: false }),
      { order: true, autoCommit: false, consumeResult: "CR_COMMIT" }
    ],
    [
      "in order, a rollback",
      Listener.orderly<unknown, never>(() => Effect.succeed(Listener.OrderlyResult.rollback)),
      { order: true, consumeResult: "CR_ROLLBACK" }
    ]
  ] satisfies ReadonlyArray<
    readonly [
      string,
      Listener.Handler<unknown, never> | Listener.MessageListener<unknown, never>,
      Readonly<Record<string, unknown>>
    ]
  >) {
    it.effect(`the listener's word comes back: ${name}`, () =>
      Effect.gen(function* () {
        const consumer = yield* consume<unknown>(listener)
        assert.deepStrictEqual(yield* result(yield* send("x")), { order: false, autoCommit: true, ...expected })
        assert.deepInclude((yield* consumer.state).counters, { failures: 0, defects: 0, reconsumeLater: 0 })
      }).pipe(Effect.scoped, onRig)
    )
  }

  it.effect("one that takes long is interrupted before the broker has waited its ten seconds", () =>
    Effect.gen(function* () {
      let interrupted = 0
      yield* consume(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)))
      const fiber = yield* Effect.forkChild(result(yield* send("x")), { startImmediately: true })
      yield* TestClock.adjust(9_000)
      assert.deepInclude(yield* Fiber.join(fiber), {
        consumeResult: "CR_THROW_EXCEPTION",
        remark: "the handler took longer than 9000 ms and was interrupted"
      })
      assert.strictEqual(interrupted, 1)
    }).pipe(Effect.scoped, onRig)
  )

  it.effect("few at once, and those that run are interrupted at the shutdown", () =>
    Effect.gen(function* () {
      let running = 0
      const consumer = yield* make(() =>
        Effect.ensuring(
          Effect.andThen(
            Effect.sync(() => running++),
            Effect.never
          ),
          Effect.sync(() => running--)
        )
      )
      const scope = yield* Scope.make()
      yield* Scope.provide(
        Effect.acquireRelease(consumer.start, () => consumer.shutdown),
        scope
      )
      const msgId = yield* send("x")
      const asked = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.forkChild(result(msgId), { startImmediately: true })
      )
      yield* until(
        "four run",
        Effect.sync(() => running === 4)
      )
      const refused = yield* ask(msgId)
      assert.deepInclude(refused, {
        code: 2,
        remark: "4 messages of tools are being processed here already; try again later"
      })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(running, 0)
      yield* TestClock.adjust("11 seconds")
      for (const fiber of asked) yield* Effect.exit(Fiber.join(fiber))
    }).pipe(Effect.scoped, onRig)
  )

  it.effect("a stream has no listener, and says so", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const options: PushConsumerOptions = {
        consumerGroup: "billing",
        subscriptions: [Subscription.all("orders")],
        namesrvAddr
      }
      const gate = yield* Latch.make()
      yield* MessageStream.make(options).pipe(
        Stream.runForEach(() => gate.await),
        Effect.provideService(MQClientManager, manager),
        Effect.forkScoped({ startImmediately: true })
      )
      const { clients } = yield* EmbeddedCluster
      yield* until(
        "it is a member",
        Effect.map(clients, (all) => all.some(({ group }) => group === "billing"))
      )
      assert.deepInclude(yield* ask(yield* send("x")), {
        code: 1,
        remark: "group billing has no listener here: its messages are read one by one"
      })
    }).pipe(Effect.scoped, onRig)
  )

  it.effect("a packed body is unpacked, and one that cannot be is refused", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* consume((message) => Effect.sync(() => void seen.push(text(message))))
      yield* result(yield* send("z".repeat(20_000)))
      assert.deepStrictEqual(seen, ["z".repeat(20_000)])
      const client = yield* rawClient()
      const sysFlag = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB
      const header = sendHeader({ topic: OTHER, sysFlag })
      const stored = yield* client.call(
        yield* brokerAddress(),
        SendMessage.request(header, Buffer.from("no zlib"), "V2")
      )
      const { code, remark } = yield* ask(stored.extFields?.["msgId"] ?? "")
      assert.strictEqual(code, 1)
      assert.include(remark ?? "", "the message cannot be unpacked: ")
      assert.strictEqual(seen.length, 1)
    }).pipe(Effect.scoped, onRig)
  )
})
