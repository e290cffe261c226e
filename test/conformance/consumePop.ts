/** Pops: messages hidden for a while, acknowledged or coming again; asked for by their requests alone. */
import { assert } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Message from "../../src/message/Message.ts"
import type { MessageExt } from "../../src/message/MessageExt.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as PopHandle from "../../src/protocol/PopHandle.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import * as AckMessage from "../../src/protocol/request/AckMessage.ts"
import * as BatchAckMessage from "../../src/protocol/request/BatchAckMessage.ts"
import * as ChangeInvisibleTime from "../../src/protocol/request/ChangeInvisibleTime.ts"
import * as Notification from "../../src/protocol/request/Notification.ts"
import * as PopMessage from "../../src/protocol/request/PopMessage.ts"
import * as QueryAssignment from "../../src/protocol/request/QueryAssignment.ts"
import * as SetMessageRequestMode from "../../src/protocol/request/SetMessageRequestMode.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as RemotingClient from "../support/remoting.ts"
import { textOf } from "./consumers.ts"
import { Observer } from "./Observer.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  untilReadable,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** A popped message: what it is, and its handle. */
interface PoppedMessage {
  readonly message: MessageExt
  readonly handle: PopHandle.PopHandle
}

const TIMEOUT_MILLIS = 60_000

/** One client, one group and one topic on the first broker. */
const popper = Effect.fnUntraced(function* (name: string, queues = 1) {
  const { brokers, facts } = yield* Target
  const [{ address, name: brokerName }] = brokers
  const topic = yield* createTopic(name, { queues })
  const group = uniqueName("popping")
  const client = yield* RemotingClient.make({})
  const producer = yield* startProducer()
  const call = (request: Request) => client.invoke(address, request, TIMEOUT_MILLIS)

  const request = (over: Partial<PopMessage.PopMessageHeader> = {}): Request =>
    PopMessage.request({
      consumerGroup: group,
      topic,
      queueId: -1,
      maxMsgNums: 32,
      invisibleTime: 60_000,
      pollTime: 0,
      bornTime: 0,
      initMode: PopMessage.InitMode.MIN,
      ...over
    })

  const pop = (over: Partial<PopMessage.PopMessageHeader> = {}) =>
    Effect.map(call(request(over)), (response) => {
      const answer = PopMessage.decodeResponse(response)
      if (answer instanceof DecodeError) throw answer
      const messages = MessageCodec.decodeAll(answer.body).messages
      const handles = PopHandle.handlesOf(
        brokerName,
        answer,
        messages.map((one) => ({ ...one, popCk: one.properties["POP_CK"] }))
      )
      const popped = messages.flatMap((message, at): ReadonlyArray<PoppedMessage> => {
        const handle = handles[at]
        assert.isDefined(handle, "a message without a handle")
        return [{ message, handle }]
      })
      return { ...answer, popped, remark: response.remark, code: response.code }
    })

  /** What a request about a message names. */
  const named = ({ handle }: Pick<PoppedMessage, "handle">) => ({
    consumerGroup: group,
    topic: PopHandle.realTopic(group, topic, handle.retryFlag),
    queueId: handle.queueId,
    extraInfo: PopHandle.encode(handle),
    offset: handle.msgQueueOffset
  })

  return {
    topic,
    group,
    address,
    brokerName,
    facts,
    call,
    request,
    pop,
    named,
    /** Sends texts to a queue, one after the other, and waits until they can be popped. */
    send: Effect.fnUntraced(function* (texts: ReadonlyArray<string>, queueId = 0, tags?: string) {
      const queue = MessageQueue.make(topic, brokerName, queueId)
      const results = yield* Effect.forEach(texts, (body) =>
        producer.send(Message.make({ topic, body, tags }), { queue })
      )
      yield* untilReadable(results)
    }),
    /** Pops until there is something. */
    popSome: (over: Partial<PopMessage.PopMessageHeader> = {}) =>
      eventuallyThat(pop({ pollTime: 1_000, ...over }), ({ popped }) => assert.isNotEmpty(popped)),
    ack: (one: Pick<PoppedMessage, "handle">) => Effect.map(call(AckMessage.request(named(one))), codeOf),
    /** The message's next handle. */
    change: (one: PoppedMessage, invisibleTime: number) =>
      Effect.map(call(ChangeInvisibleTime.request({ ...named(one), invisibleTime })), (response): PoppedMessage => {
        assert.strictEqual(response.code, 0)
        const answer = ChangeInvisibleTime.decodeResponse(response)
        if (answer instanceof DecodeError) throw answer
        return { ...one, handle: { ...one.handle, ...answer, ckQueueOffset: one.handle.msgQueueOffset } }
      })
  }
})

type Popper = Effect.Success<ReturnType<typeof popper>>

const codeOf = ({ code, remark }: RemotingCommand): readonly [number, string | undefined] => [code, remark]

const textsOf = (popped: ReadonlyArray<PoppedMessage>) => popped.map(({ message }) => textOf(message))

const OK = [0, undefined] as const

/** Registers a test of what 4.9.7 refuses: there, that it does. */
const popTest = (
  test: Methods,
  name: string,
  body: (popper: Popper) => Effect.Effect<void, unknown, Target | Observer>,
  queues = 1
): void => {
  test.effect(name, () =>
    Effect.gen(function* () {
      const one = yield* popper("popped", queues)
      if (one.facts.pops) {
        yield* body(one)
        return
      }
      assert.deepStrictEqual(codeOf(yield* one.call(one.request())), [3, " request type 200050 not supported"])
    }).pipe(Effect.scoped, withManager)
  )
}

export const tests = (test: Methods): void => {
  popTest(test, "what is popped is hidden, and gone once it is acknowledged", (one) =>
    Effect.gen(function* () {
      const observer = yield* Observer
      yield* one.send(["a", "b", "c"])
      const first = yield* one.pop({ invisibleTime: 1_000, maxMsgNums: 2 })
      assert.deepStrictEqual([first.code, first.remark], [0, "FOUND"])
      assert.deepStrictEqual(textsOf(first.popped), ["a", "b"])
      assert.deepStrictEqual(first.startOffsets, [{ retryFlag: "0", queueId: 0, offset: 0 }])
      assert.deepStrictEqual(first.messageOffsets, [{ retryFlag: "0", queueId: 0, offsets: [0, 1] }])
      assert.deepInclude(first, { invisibleTime: 1_000, restNum: 1 })
      assert.isUndefined(first.orderCounts)
      const second = yield* one.pop({ invisibleTime: 1_000, queueId: 0 })
      assert.deepStrictEqual(textsOf(second.popped), ["c"])
      const third = yield* one.pop()
      assert.deepStrictEqual([third.code, third.remark], [210, "NO_MESSAGE_IN_QUEUE"])
      assert.deepStrictEqual([third.startOffsets, third.messageOffsets, third.restNum], [[], [], 0])
      for (const message of first.popped) {
        assert.deepStrictEqual(yield* one.ack(message), OK)
        assert.deepStrictEqual(yield* one.ack(message), OK, "twice")
      }
      // What the group has popped counts as read.
      const queue = MessageQueue.make(one.topic, one.brokerName, 0)
      yield* eventuallyThat(observer.committed(queue, one.group), (offset) => assert.strictEqual(offset, 3))
      // Late, but before it comes again.
      yield* Effect.sleep(1_500)
      for (const message of second.popped) assert.deepStrictEqual(yield* one.ack(message), OK)
      yield* Effect.sleep(3_500)
      assert.deepStrictEqual((yield* one.pop()).popped, [])
    })
  )

  popTest(test, "what is not acknowledged comes again from the retry topic, counted, until it is", (one) =>
    Effect.gen(function* () {
      yield* one.send(["a", "b"])
      const { popped, popTime } = yield* one.pop({ invisibleTime: 500 })
      const [a, b] = popped
      assert.isDefined(a)
      assert.isDefined(b)
      assert.deepStrictEqual(yield* one.ack(a), OK)
      const again = yield* one.popSome({ invisibleTime: 500 })
      const [b1] = again.popped
      assert.isDefined(b1)
      assert.deepStrictEqual(textsOf(again.popped), ["b"])
      assert.deepStrictEqual(again.startOffsets, [{ retryFlag: "1", queueId: 0, offset: 0 }])
      assert.deepInclude(b1.message, { topic: one.topic, queueId: 0, queueOffset: 0, reconsumeTimes: 1 })
      assert.deepInclude(b1.message.properties, {
        ORIGIN_GROUP: one.group,
        "1ST_POP_TIME": String(popTime),
        POP_CK: PopHandle.encode(b1.handle)
      })
      assert.deepInclude(b1.handle, { retryFlag: "1", ckQueueOffset: 0, msgQueueOffset: 0, popTime: again.popTime })
      const third = yield* one.popSome()
      const [b2] = third.popped
      assert.isDefined(b2)
      assert.deepInclude(b2.message, { topic: one.topic, reconsumeTimes: 2, queueOffset: 1 })
      assert.strictEqual(b2.message.properties["1ST_POP_TIME"], String(popTime))
      assert.strictEqual(b2.message.msgId, b.message.msgId)
      // Over already, which nobody says.
      assert.deepStrictEqual(yield* one.ack(b1), OK)
      assert.deepStrictEqual(yield* one.ack(b2), OK)
    })
  )

  popTest(test, "another invisible time makes another handle; the old one does nothing any more", (one) =>
    Effect.gen(function* () {
      yield* one.send(["a", "b", "c"])
      const { popped } = yield* one.pop({ invisibleTime: 60_000 })
      const [a, b, c] = popped
      assert.isDefined(a)
      assert.isDefined(b)
      assert.isDefined(c)
      const [soon, later, kept] = [yield* one.change(a, 500), yield* one.change(b, 60_000), yield* one.change(c, 500)]
      assert.deepInclude(soon.handle, { ckQueueOffset: 0, invisibleTime: 500, msgQueueOffset: 0 })
      assert.deepInclude(later.handle, { ckQueueOffset: 1, invisibleTime: 60_000, reviveQid: b.handle.reviveQid })
      assert.deepStrictEqual(yield* one.ack(a), OK, "the old handle")
      assert.deepStrictEqual(yield* one.ack(kept), OK, "the new one")
      const again = yield* one.popSome()
      assert.deepStrictEqual(textsOf(again.popped), ["a"])
      assert.deepInclude(again.popped[0]?.message ?? {}, { reconsumeTimes: 1, topic: one.topic })
    })
  )

  popTest(test, "one request acknowledges many, and passes over what the broker does not have", (one) =>
    Effect.gen(function* () {
      yield* one.send(["a", "b", "c", "d"])
      const { popped } = yield* one.pop({ invisibleTime: 1_000 })
      const [a] = popped
      assert.isDefined(a)
      const entry: BatchAckMessage.BatchAck = {
        consumerGroup: one.group,
        topic: one.topic,
        retryFlag: "0",
        startOffset: a.handle.ckQueueOffset,
        queueId: 0,
        reviveQueueId: a.handle.reviveQid,
        popTime: a.handle.popTime,
        invisibleTime: a.handle.invisibleTime,
        indexes: [0, 2, 3, 99]
      }
      const send = (acks: ReadonlyArray<BatchAckMessage.BatchAck>) =>
        Effect.map(one.call(BatchAckMessage.request({ brokerName: one.brokerName, acks })), codeOf)
      assert.deepStrictEqual(
        yield* send([{ ...entry, topic: uniqueName("nowhere") }, { ...entry, queueId: 7 }, entry]),
        OK
      )
      assert.deepStrictEqual(yield* send([]), [208, undefined])
      assert.deepStrictEqual(textsOf((yield* one.popSome()).popped), ["b"])
    })
  )

  popTest(test, "a pop waits for a message, and no longer than it asks", (one) =>
    Effect.gen(function* () {
      const began = performance.now()
      const none = yield* one.pop({ pollTime: 600 })
      assert.deepStrictEqual([none.code, none.remark], [210, "NO_MESSAGE_IN_QUEUE"])
      assert.isAtLeast(performance.now() - began, 400)
      const waiting = yield* Effect.forkChild(one.pop({ pollTime: 50_000 }))
      yield* one.send(["a"])
      const found = yield* Fiber.join(waiting)
      assert.deepStrictEqual(textsOf(found.popped), ["a"])
    })
  )

  popTest(
    test,
    "a broker says why it refuses",
    (one) =>
      Effect.gen(function* () {
        yield* one.send(["a"])
        const [a] = (yield* one.pop()).popped
        assert.isDefined(a)
        const seeFaq = "See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
        const nowhere = uniqueName("nowhere")
        const noTopic = `topic[${nowhere}] not exist, apply first please! \n${seeFaq}`
        const noQueue = (queueId: number) =>
          `queueId[${queueId}] is illegal, topic:[${one.topic}] topicConfig.readQueueNums:[2] consumer:[me]`
        const { hostname: ip } = new URL(`tcp://${one.address}`)
        /** Code and remark, without what is this connection's and Java's line; and the fields. */
        const answerTo = (request: Request) =>
          Effect.map(one.call(request), ({ code, extFields, remark }) => [
            code,
            remark?.replace(/\[?\/[0-9.]+:[0-9]+\]?/, "[me]").replace(/, org\.apache\.[\w.]+\(.*$|, java\.base.*$/, ""),
            extFields ?? {}
          ])
        const zeros = { popTime: "0", invisibleTime: "0", reviveQid: "0" }
        const popZeros = { ...zeros, restNum: "0" }
        assert.deepStrictEqual(yield* answerTo(one.request({ maxMsgNums: 33 })), [
          29,
          `the broker[${ip}] pop message's num is greater than 32`,
          popZeros
        ])
        assert.deepStrictEqual(yield* answerTo(one.request({ topic: nowhere })), [17, noTopic, popZeros])
        assert.deepStrictEqual(yield* answerTo(one.request({ queueId: 2 })), [29, noQueue(2), popZeros])
        assert.deepStrictEqual(yield* answerTo(one.request({ bornTime: 1, pollTime: 10 })), [
          210,
          `the broker[${ip}] pop message is timeout too much`,
          popZeros
        ])
        for (const [exp, expType] of [
          ["||", "TAG"],
          ["a >", "SQL92"],
          ["a", "OTHER"]
        ] as const) {
          assert.deepStrictEqual(yield* answerTo(one.request({ exp, expType })), [
            23,
            "parse the consumer's subscription failed",
            popZeros
          ])
        }
        // Numbers that are left out or are none count as 0.
        const { extFields } = one.request()
        for (const fields of [
          { consumerGroup: one.group, topic: one.topic },
          { ...extFields, queueId: "x" }
        ]) {
          const [code, remark] = codeOf(yield* one.call({ code: RequestCode.POP_MESSAGE, extFields: fields }))
          assert.deepStrictEqual([code, remark], [210, "NO_MESSAGE_IN_QUEUE"])
        }
        const named = one.named(a)
        const ack = (over: Partial<AckMessage.AckMessageHeader>) => answerTo(AckMessage.request({ ...named, ...over }))
        assert.deepStrictEqual(yield* ack({ topic: nowhere }), [17, noTopic, {}])
        assert.deepStrictEqual(yield* ack({ queueId: 9 }), [13, noQueue(9), {}])
        assert.deepStrictEqual(yield* ack({ queueId: -1 }), [13, noQueue(-1), {}])
        assert.deepStrictEqual(yield* ack({ offset: 99 }), [
          208,
          `offset is illegal, key:${one.topic}@0, commit:99, store:0~1`,
          {}
        ])
        assert.deepStrictEqual(yield* ack({ offset: 1 }), [0, undefined, {}])
        const bad = "java.lang.IllegalArgumentException: getBrokerName fail, extraInfoStrs length"
        assert.deepStrictEqual(yield* ack({ extraInfo: "handle" }), [1, `${bad} 1`, {}])
        assert.deepStrictEqual(yield* ack({ extraInfo: "1 2 3 4 0" }), [1, `${bad} 5`, {}])
        const noNumber = 'java.lang.NumberFormatException: For input string: "x"'
        assert.deepStrictEqual(yield* ack({ extraInfo: "x 2 3 4 0 b" }), [1, noNumber, {}])
        assert.deepStrictEqual(yield* ack({ extraInfo: "1 2 3 x 0 b" }), [1, noNumber, {}])
        assert.deepStrictEqual(yield* ack({ consumerGroup: uniqueName("nobody") }), [0, undefined, {}])
        const change = (over: Partial<AckMessage.AckMessageHeader>) =>
          answerTo(ChangeInvisibleTime.request({ ...named, invisibleTime: 60_000, ...over }))
        const noCode = "not set any response code"
        assert.deepStrictEqual(yield* change({ topic: nowhere }), [17, noTopic, zeros])
        assert.deepStrictEqual(yield* change({ queueId: 9 }), [13, noQueue(9), zeros])
        assert.deepStrictEqual(yield* change({ offset: 1 }), [208, noCode, zeros])
        const noRevive = "java.lang.IllegalArgumentException: getReviveQid fail, extraInfoStrs length 1"
        assert.deepStrictEqual(yield* change({ extraInfo: "handle" }), [1, noRevive, {}])
        assert.deepStrictEqual(yield* change({ extraInfo: "1 2 3 4 0" }), [1, `${bad} 5`, {}])
        assert.deepStrictEqual(yield* change({ extraInfo: "1 2 3 x" }), [1, noNumber, {}])
        assert.deepStrictEqual(yield* change({ extraInfo: `x 2 3 4 0 ${one.brokerName}` }), [1, noCode, zeros])
        const notify = (over: Partial<Notification.NotificationHeader>) =>
          answerTo(Notification.request({ ...named, queueId: -1, pollTime: 0, bornTime: 0, ...over }))
        const none = { hasMsg: "false", pollingFull: "false" }
        assert.deepStrictEqual(yield* notify({ topic: nowhere }), [17, noTopic, none])
        assert.deepStrictEqual(yield* notify({ queueId: 2 }), [29, noQueue(2), none])
        assert.deepStrictEqual(yield* notify({}), [0, noCode, none])
      }),
    2
  )

  popTest(test, "in order a queue waits until all of it is acknowledged; the same attempt gets the same again", (one) =>
    Effect.gen(function* () {
      const observer = yield* Observer
      yield* one.send(["a", "b", "c"])
      const inOrder = (attemptId: string, over: Partial<PopMessage.PopMessageHeader> = {}) =>
        one.pop({ order: true, attemptId, maxMsgNums: 2, ...over })
      const first = yield* inOrder("one")
      assert.deepStrictEqual(textsOf(first.popped), ["a", "b"])
      assert.strictEqual(first.reviveQid, PopHandle.ORDER_REVIVE_QUEUE)
      const never = { retryFlag: "0" as const, queueId: 0, offset: undefined, count: 0 }
      assert.deepStrictEqual(first.orderCounts, [never])
      assert.strictEqual((yield* inOrder("two")).code, 210)
      const again = yield* inOrder("one")
      assert.deepStrictEqual(textsOf(again.popped), ["a", "b"])
      assert.deepStrictEqual(again.orderCounts, [never])
      const [a, b] = again.popped
      assert.isDefined(a)
      assert.isDefined(b)
      const [old] = first.popped
      assert.isDefined(old)
      if (first.popTime !== again.popTime) assert.deepStrictEqual(yield* one.ack(old), OK, "another pop's")
      const wrong = { handle: { ...a.handle, msgQueueOffset: 2 } }
      const [code, remark] = yield* one.ack(wrong)
      assert.strictEqual(code, 13)
      assert.match(
        remark ?? "",
        new RegExp(`^offset is illegal, key:${one.topic}@${one.group}@0, old:0, commit:2, next:-1, /[0-9.]+:[0-9]+$`)
      )
      const queue = MessageQueue.make(one.topic, one.brokerName, 0)
      const committed = (expected: number) =>
        eventuallyThat(observer.committed(queue, one.group), (offset) => assert.strictEqual(offset, expected))
      yield* committed(0)
      assert.deepStrictEqual(yield* one.ack(a), OK)
      yield* committed(1)
      // What is hidden no longer comes again in its place, and is counted.
      const waiting = yield* Effect.forkChild(inOrder("three", { pollTime: 50_000 }))
      const sooner = yield* one.change(b, 300)
      assert.strictEqual(sooner.handle.popTime, b.handle.popTime)
      const third = yield* Fiber.join(waiting)
      assert.deepStrictEqual(textsOf(third.popped), ["b", "c"])
      assert.deepStrictEqual(third.orderCounts, [{ retryFlag: "0", queueId: 0, offset: 1, count: 1 }, never])
      for (const message of third.popped) assert.deepStrictEqual(yield* one.ack(message), OK)
      yield* committed(3)
      assert.deepStrictEqual(yield* one.ack(a), OK, "read long ago")
      const late = yield* Effect.map(
        one.call(ChangeInvisibleTime.request({ ...one.named(a), invisibleTime: 1_000 })),
        ChangeInvisibleTime.decodeResponse
      )
      assert.deepStrictEqual(late, { popTime: 0, invisibleTime: 0, reviveQid: 0 })
    })
  )

  popTest(test, "a filter passes over what it does not want, and a notification tells what there is", (one) =>
    Effect.gen(function* () {
      const notify = (over: Partial<Notification.NotificationHeader> = {}) =>
        Effect.map(
          one.call(
            Notification.request({
              consumerGroup: one.group,
              topic: one.topic,
              queueId: -1,
              pollTime: 0,
              bornTime: 0,
              ...over
            })
          ),
          (response) => Notification.decodeResponse(response)
        )
      const yes = { hasMsg: true, pollingFull: false }
      const no = { hasMsg: false, pollingFull: false }
      assert.deepStrictEqual(yield* notify({ pollTime: 300 }), no)
      const waiting = yield* Effect.forkChild(notify({ pollTime: 50_000 }))
      yield* one.send(["a"], 0, "red")
      assert.deepStrictEqual(yield* Fiber.join(waiting), yes)
      yield* one.send(["b", "c"], 0, "blue")
      assert.deepStrictEqual(yield* notify({ exp: "green", expType: "TAG" }), no)
      assert.deepStrictEqual(yield* notify({ exp: "blue", expType: "TAG" }), yes)
      assert.deepStrictEqual(textsOf((yield* one.pop({ exp: "blue", expType: "TAG" })).popped), ["b", "c"])
      assert.deepStrictEqual(yield* notify(), no)
      assert.deepStrictEqual((yield* one.pop()).popped, [], "what was passed over is read")
      yield* one.send(["d"], 0, "red")
      assert.deepStrictEqual((yield* one.pop({ exp: "TAGS = 'blue'", expType: "SQL92" })).popped, [])
      assert.deepStrictEqual((yield* one.pop()).popped, [])
    })
  )

  popTest(test, "how a group reads a topic is kept, and its members are told", (one) =>
    Effect.gen(function* () {
      const set = (over: Partial<SetMessageRequestMode.MessageRequestMode> = {}) =>
        Effect.map(
          one.call(
            SetMessageRequestMode.request({
              consumerGroup: one.group,
              topic: one.topic,
              mode: "POP",
              popShareQueueNum: 0,
              ...over
            })
          ),
          codeOf
        )
      const assigned = (topic = one.topic) =>
        Effect.map(
          one.call(
            QueryAssignment.request({
              clientId: "nobody",
              consumerGroup: one.group,
              messageModel: "BROADCASTING",
              strategyName: "AVG",
              topic
            })
          ),
          (response) => {
            const answer = QueryAssignment.decodeResponse(response)
            if (answer instanceof DecodeError) throw answer
            return answer.messageQueueAssignments?.map(({ mode }) => mode)
          }
        )
      yield* eventuallyThat(assigned(), (modes) => assert.deepStrictEqual(modes, ["PULL", "PULL"]))
      assert.deepStrictEqual(yield* set(), OK)
      assert.deepStrictEqual(yield* assigned(), ["POP", "POP"])
      assert.deepStrictEqual(yield* set({ mode: "PULL" }), OK)
      assert.deepStrictEqual(yield* assigned(), ["PULL", "PULL"])
      const nowhere = uniqueName("nowhere")
      assert.deepStrictEqual(yield* set({ topic: nowhere }), [17, `topic[${nowhere}] not exist`])
      assert.deepStrictEqual(yield* set({ topic: `%RETRY%${one.group}` }), [
        16,
        "retry topic is not allowed to set mode"
      ])
    })
  )
}
