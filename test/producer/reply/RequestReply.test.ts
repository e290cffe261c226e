import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import * as Message from "../../../src/message/Message.ts"
import type { MessageExt } from "../../../src/message/MessageExt.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as RemotingClient from "../../support/remoting.ts"
import {
  advance,
  failureOf,
  held,
  makeProducer,
  nothing,
  onMemory,
  settle,
  startProducer,
  timed,
  until
} from "../../support/rig.ts"

const REPLY = RequestCode.SEND_REPLY_MESSAGE_V2
const SEND = RequestCode.SEND_MESSAGE_V2
const HEARTBEAT = RequestCode.HEART_BEAT

const topics = { questions: {} }

const question = (body = "what?") => Message.make({ topic: "questions", body, keys: "q" })
const textOf = (message: MessageExt) => new TextDecoder().decode(message.body)

const requester = (given: Partial<ProducerOptions> = {}) =>
  startProducer({ producerGroup: "askers", instanceName: "asker", clientIP: "10.0.0.1", ...given })
const responder = (given: Partial<ProducerOptions> = {}) =>
  startProducer({ producerGroup: "answerers", instanceName: "answerer", clientIP: "10.0.0.2", ...given })

/** The n-th message of a topic, from 0, when it is there. */
const arrival = (n = 0, topic = "questions") =>
  Effect.gen(function* () {
    const { messages } = yield* EmbeddedCluster
    yield* until(
      `message ${n} of ${topic} arrives`,
      Effect.map(messages(topic), (found) => found.length > n)
    )
    const message = (yield* messages(topic))[n]
    return message ?? (yield* Effect.die("no message"))
  })

const ask = (producer: DefaultMQProducerShape, message = question(), timeoutMillis = 3_000) =>
  Effect.forkChild(producer.request(message, timeoutMillis), { startImmediately: true })

const repliesOf = (producer: DefaultMQProducerShape) => Effect.map(producer.state, (state) => state.instance?.replies)

describe("request", () => {
  it.effect("gives the reply, which the broker pushes", () =>
    Effect.gen(function* () {
      const { clusterName, traffic } = yield* EmbeddedCluster
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      const clientId = (yield* asker.state).instance?.clientId ?? ""
      const correlationId = request.properties["CORRELATION_ID"] ?? ""
      assert.match(correlationId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.deepInclude({ ...request.properties }, { REPLY_TO_CLIENT: clientId, TTL: "3000", KEYS: "q" })
      assert.deepInclude(yield* repliesOf(asker), { waiting: 1, taken: 0, late: 0 })
      yield* advance(500)
      const result = yield* answerer.reply(request, {
        body: "that!",
        tags: "answer",
        properties: { mood: "good" }
      })
      const reply = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(reply), "that!")
      assert.strictEqual(reply.topic, `${clusterName}_REPLY_TOPIC`)
      assert.deepInclude(
        { ...reply.properties },
        {
          CORRELATION_ID: correlationId,
          REPLY_TO_CLIENT: clientId,
          TTL: "3000",
          MSG_TYPE: "reply",
          TAGS: "answer",
          mood: "good",
          UNIQ_KEY: result.msgId,
          ARRIVE_TIME: "500",
          PUSH_REPLY_TIME: "500"
        }
      )
      assert.strictEqual(result.queue.topic, `${clusterName}_REPLY_TOPIC`)
      assert.strictEqual((yield* traffic.ofCode(REPLY)).length, 1)
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0, taken: 1, late: 0 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("ends typed when no reply comes in time; a late one is counted and dropped", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const { exit, millis } = yield* timed(asker.request(question(), 2_000))
      const error = failureOf(exit)
      const request = yield* arrival()
      assert.strictEqual(error._tag, "RequestReplyTimeout")
      assert.deepInclude(error, {
        topic: "questions",
        correlationId: request.properties["CORRELATION_ID"],
        msgId: request.msgId,
        timeoutMillis: 2_000
      })
      assert.isAtLeast(millis, 2_000)
      assert.isAtMost(millis, 2_005)
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0, late: 0 })
      yield* answerer.reply(request, "too late")
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0, taken: 0, late: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("takes the first reply; a second one is counted and dropped", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      yield* answerer.reply(request, "one")
      yield* answerer.reply(request, "two")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "one")
      assert.deepInclude(yield* repliesOf(asker), { taken: 1, late: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("counts the sending in: the time is that of the whole", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const asker = yield* requester()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(1_500)] })
      const { exit, millis } = yield* timed(asker.request(question(), 2_000))
      assert.strictEqual(failureOf(exit)._tag, "RequestReplyTimeout")
      assert.isAtMost(millis, 2_005)
    }).pipe(onMemory({ topics }))
  )

  it.effect("succeeds by the reply alone when the answer to its send is lost", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const asker = yield* requester()
      const answerer = yield* responder()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropResponse] })
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      yield* answerer.reply(request, "here")
      yield* settle
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "here")
      assert.strictEqual((yield* asker.state).inFlight, 0, "the send has given its place back")
    }).pipe(onMemory({ topics }))
  )

  it.effect("fails as its send does", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const absent = failureOf((yield* timed(asker.request(Message.make({ topic: "nowhere", body: "?" }), 1_000))).exit)
      assert.strictEqual(absent._tag === "SendError" && absent.reason._tag, "RouteUnavailable")
      for (const timeoutMillis of [0, -1, Number.NaN]) {
        const error = yield* Effect.flip(asker.request(question(), timeoutMillis))
        assert.strictEqual(error._tag === "SendError" && error.reason._tag, "InvalidMessage")
        assert.match(error.message, /timeoutMillis/)
      }
      const empty = yield* Effect.flip(asker.request(Message.make({ topic: "questions", body: "" }), 1_000))
      assert.strictEqual(empty._tag === "SendError" && empty.reason._tag, "InvalidMessage")
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0 })
    }).pipe(onMemory({ topics, autoCreateTopicEnable: false }))
  )

  it.effect("that is interrupted waits no longer", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      assert.deepInclude(yield* repliesOf(asker), { waiting: 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0 })
      yield* answerer.reply(request, "nobody there")
      assert.deepInclude(yield* repliesOf(asker), { late: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("is refused in every state but RUNNING, and so is a reply", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      yield* Fiber.interrupt(fiber)
      const producer = yield* makeProducer()
      const reasons = Effect.gen(function* () {
        const asked = yield* Effect.flip(producer.request(question(), 1_000))
        const replied = yield* Effect.flip(producer.reply(request, "x"))
        return [asked, replied].map((error) => error._tag === "SendError" && error.reason._tag)
      })
      assert.deepStrictEqual(yield* reasons, ["IllegalServiceState", "IllegalServiceState"])
      yield* producer.start
      yield* producer.shutdown
      assert.deepStrictEqual(yield* reasons, ["IllegalServiceState", "IllegalServiceState"])
    }).pipe(onMemory({ topics }))
  )

  it.effect("of many at once each gets its own reply", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const count = 200
      const fibers = yield* Effect.forEach(
        Array.from({ length: count }, (_, n) => `question-${n}`),
        (body) => Effect.map(ask(asker, question(body), 10_000), (fiber) => ({ body, fiber }))
      )
      yield* arrival(count - 1)
      const { messages } = yield* EmbeddedCluster
      const requests = yield* messages("questions")
      assert.strictEqual(new Set(requests.map((request) => request.properties["CORRELATION_ID"])).size, count)
      // Answered in another order than asked.
      yield* Effect.forEach(requests.toReversed(), (request) => answerer.reply(request, `re: ${textOf(request)}`), {
        concurrency: 16,
        discard: true
      })
      for (const { body, fiber } of fibers) assert.strictEqual(textOf(yield* Fiber.join(fiber)), `re: ${body}`)
      assert.deepInclude(yield* repliesOf(asker), { waiting: 0, taken: count, late: 0 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("gets a large reply unpacked", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      const body = "long answer ".repeat(2_000)
      yield* answerer.reply(request, body)
      const { messages, clusterName } = yield* EmbeddedCluster
      const [stored] = yield* messages(`${clusterName}_REPLY_TOPIC`)
      assert.isBelow(stored?.body.length ?? Infinity, 1_000, "it was sent compressed")
      const reply = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(reply), body)
      assert.strictEqual(reply.sysFlag & SysFlag.COMPRESSED, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("A26: is not harmed by a reply that cannot be unpacked; the broker is told", () =>
    Effect.gen(function* () {
      const { brokers, clusterName } = yield* EmbeddedCluster
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      const raw = yield* RemotingClient.make({})
      const { CORRELATION_ID = "", REPLY_TO_CLIENT = "" } = request.properties
      const answer = yield* raw.invoke(
        brokers[0]?.address ?? "",
        SendMessage.request(
          {
            producerGroup: "others",
            topic: `${clusterName}_REPLY_TOPIC`,
            defaultTopic: "TBW102",
            defaultTopicQueueNums: 4,
            queueId: 0,
            sysFlag: SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB,
            bornTimestamp: 0,
            flag: 0,
            properties: MessageProperties.encode({ CORRELATION_ID, REPLY_TO_CLIENT, MSG_TYPE: "reply" }),
            reconsumeTimes: 0,
            unitMode: false
          },
          new TextEncoder().encode("no zlib at all"),
          "REPLY_V2"
        ),
        3_000
      )
      assert.strictEqual(answer.code, 1)
      assert.match(answer.remark ?? "", /push reply message to .*fail/)
      assert.deepInclude(yield* repliesOf(asker), { unreadable: 1, waiting: 1 })
      yield* answerer.reply(request, "readable")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "readable")
    }).pipe(onMemory({ topics }))
  )
})

describe("brokers", () => {
  const two = { brokers: 2, topics: {} } as const

  it.effect("that may push the reply know the client before the first request", () =>
    Effect.gen(function* () {
      const { brokers, clients, createTopic, traffic } = yield* EmbeddedCluster
      yield* createTopic("questions", { broker: "broker-b" })
      const asker = yield* requester()
      const fiber = yield* ask(asker)
      yield* arrival()
      const seen = (yield* traffic.matching({ where: (request) => request.kind === "broker" })).map(
        ({ codeName, server }) => `${server} ${codeName}`
      )
      const sent = seen.indexOf("broker-b SEND_MESSAGE_V2")
      assert.isAbove(sent, 0)
      for (const { name } of brokers) assert.include(seen.slice(0, sent), `${name} HEART_BEAT`)
      const known = (yield* clients).filter((client) => client.group === "askers").map((client) => client.broker)
      assert.deepStrictEqual(known.toSorted(), ["broker-a", "broker-b"])
      yield* Fiber.interrupt(fiber)
      // From now on the timers keep it so; a request costs no heartbeat of its own.
      const before = (yield* traffic.ofCode(HEARTBEAT)).length
      const again = yield* ask(asker)
      yield* arrival(1)
      assert.strictEqual((yield* traffic.ofCode(HEARTBEAT)).length, before)
      yield* Fiber.interrupt(again)
    }).pipe(onMemory(two))
  )

  it.effect("get the reply first where the request lies, and elsewhere when that does not work", () =>
    Effect.gen(function* () {
      const { createTopic, faults, traffic } = yield* EmbeddedCluster
      yield* createTopic("questions", { broker: "broker-b" })
      const asker = yield* requester()
      const answerer = yield* responder()
      for (const n of [0, 1, 2]) {
        const fiber = yield* ask(asker)
        yield* answerer.reply(yield* arrival(n), "direct")
        yield* Fiber.join(fiber)
      }
      assert.deepStrictEqual(
        (yield* traffic.ofCode(REPLY)).map((request) => request.server),
        ["broker-b", "broker-b", "broker-b"]
      )
      yield* faults.add({
        match: { code: REPLY, broker: "broker-b" },
        actions: [FaultScript.answer(1, "push reply message fail, channel of <x> not found.")]
      })
      const fiber = yield* ask(asker)
      yield* answerer.reply(yield* arrival(3), "roundabout")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "roundabout")
      assert.strictEqual((yield* traffic.ofCode(REPLY)).at(-1)?.server, "broker-a")
    }).pipe(onMemory(two))
  )

  it.effect("one of two that hangs does not hold up every request", () =>
    Effect.gen(function* () {
      const { createTopic, faults } = yield* EmbeddedCluster
      yield* createTopic("questions", { broker: "broker-b" })
      const asker = yield* requester()
      const answerer = yield* responder()
      yield* faults.add({ match: { broker: "broker-a" }, actions: [FaultScript.dropRequest] })
      const first = yield* ask(asker, question(), 10_000)
      yield* advance(1_000)
      yield* answerer.reply(yield* arrival(), "one")
      assert.strictEqual(textOf(yield* Fiber.join(first)), "one")
      // The next one goes at once; timer 3 goes on with the broker that hangs.
      const second = yield* ask(asker, question(), 10_000)
      yield* answerer.reply(yield* arrival(1), "two")
      assert.strictEqual(textOf(yield* Fiber.join(second)), "two")
      yield* faults.clear
      // What that broker dropped is over before the producers end.
      yield* advance(3_000)
    }).pipe(onMemory(two))
  )
})

describe("reply", () => {
  it.effect("is refused for a message that asks for none, and says what is missing", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* responder()
      const { msgId } = yield* producer.send(question())
      const plain = yield* arrival()
      const error = yield* Effect.flip(producer.reply(plain, "what for?"))
      assert.strictEqual(error._tag, "NotARequest")
      assert.deepInclude(error, { topic: "questions", msgId, missing: ["CORRELATION_ID", "REPLY_TO_CLIENT"] })
      const bare = yield* Effect.flip(producer.reply({ ...plain, properties: {} }, "what for?"))
      assert.deepInclude(bare, { msgId, missing: ["CLUSTER", "CORRELATION_ID", "REPLY_TO_CLIENT"] })
      assert.deepStrictEqual(yield* traffic.ofCode(REPLY), [])
    }).pipe(onMemory({ topics }))
  )

  it.effect("fails when the requester is gone, with the broker's words", () =>
    Effect.gen(function* () {
      const asker = yield* requester()
      const answerer = yield* responder()
      const fiber = yield* ask(asker)
      const request = yield* arrival()
      yield* Fiber.interrupt(fiber)
      yield* asker.shutdown
      const error = failureOf((yield* timed(answerer.reply(request, "gone"))).exit)
      assert.strictEqual(error._tag === "SendError" && error.reason._tag, "BrokerRejected")
      assert.match(error.message, /channel of <10\.0\.0\.1@asker> not found/)
    }).pipe(onMemory({ topics }))
  )

  it.effect("reaches a client whose other producers come and go", () =>
    Effect.gen(function* () {
      const first = yield* requester({ producerGroup: "first" })
      const asker = yield* requester()
      const answerer = yield* responder()
      const one = yield* ask(first)
      yield* answerer.reply(yield* arrival(), "one")
      assert.strictEqual(textOf(yield* Fiber.join(one)), "one")
      yield* first.shutdown
      const two = yield* ask(asker)
      yield* answerer.reply(yield* arrival(1), "two")
      assert.strictEqual(textOf(yield* Fiber.join(two)), "two")
    }).pipe(onMemory({ topics }))
  )
})

describe("a namespace", () => {
  it.effect("is on the wire only", () =>
    Effect.gen(function* () {
      const namespace = "MQ_INST_1"
      const asker = yield* requester({ namespace })
      const answerer = yield* responder({ namespace })
      const fiber = yield* ask(asker)
      const request = yield* arrival(0, `${namespace}%questions`)
      yield* answerer.reply(request, "that!")
      const reply = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(reply), "that!")
      const { clusterName } = yield* EmbeddedCluster
      assert.strictEqual(reply.topic, `${clusterName}_REPLY_TOPIC`)
    }).pipe(onMemory({ topics }))
  )
})

describe("shutdown", () => {
  it.effect("waits for the replies of requests under way", () =>
    Effect.gen(function* () {
      const asker = yield* requester({ drainTimeoutMillis: 5_000 })
      const answerer = yield* responder()
      const fiber = yield* ask(asker, question(), 60_000)
      const request = yield* arrival()
      const ending = yield* Effect.forkChild(asker.shutdown, { startImmediately: true })
      yield* advance(2_000)
      assert.isUndefined(ending.pollUnsafe())
      yield* answerer.reply(request, "just in time")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "just in time")
      yield* Fiber.join(ending)
    }).pipe(onMemory({ topics }))
  )

  it.effect("ends those that are left after the drain bound, typed, and leaves nothing", () =>
    Effect.gen(function* () {
      const asker = yield* requester({ drainTimeoutMillis: 1_000 })
      const fiber = yield* Effect.forkChild(Effect.flip(asker.request(question(), 60_000)), { startImmediately: true })
      const request = yield* arrival()
      const { millis } = yield* timed(asker.shutdown)
      assert.isAtMost(millis, 1_600)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "RequestReplyClosed")
      assert.deepInclude(error, { topic: "questions", correlationId: request.properties["CORRELATION_ID"] })
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory({ topics }))
  )
})
