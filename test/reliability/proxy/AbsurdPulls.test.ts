/** Answers to pulls on real sockets that cannot be meant: a proxy changes what the broker says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { cli } from "../../cli/support.ts"
import { make } from "../../consumer/support.ts"
import { brokerAddress, rawClient, sendRequest } from "../../embedded/support.ts"
import { watchLog } from "../watch.ts"
import { answersOf, isOf, type Passing } from "./client.ts"
import { eventually, proxied, Proxies } from "./rig.ts"

/** Changes the broker's answers to pulls of topic `orders`. */
const changing = (change: (answer: Passing, request: RemotingCommand) => ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const { broker } = yield* Proxies
    const { asked, install } = answersOf(isOf(RequestCode.PULL_MESSAGE), change)
    const { remove } = yield* install(broker("broker-a"))
    return { asked: () => asked.length, remove }
  })

/** Answers in the place of the broker. */
const answering = (status: PullMessage.PullStatus, next: (asked: number) => number) =>
  changing(({ command }, request) => {
    const { body: _, ...answer } = PullMessage.response({
      status,
      nextBeginOffset: next(Number(request.extFields?.["queueOffset"])),
      suggestWhichBrokerId: 0,
      minOffset: 0,
      maxOffset: 10
    })
    return [encode({ ...command, ...answer, extFields: { ...answer.extFields }, body: new Uint8Array(0) })]
  })

const store = Effect.fnUntraced(function* (count: number) {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  for (let n = 0; n < count; n++) yield* client.call(address, sendRequest({ bornTimestamp: n }))
})

/** A consumer behind the proxies that has one message at a time; gives the offsets that it has got. */
const consuming = Effect.gen(function* () {
  const { namesrvAddr } = yield* Proxies
  const seen: Array<number> = []
  const consumer = yield* make(({ queueOffset }: ReceivedMessage) => Effect.sync(() => void seen.push(queueOffset)), {
    namesrvAddr,
    consumeFromWhere: "first",
    consumeThreadMin: 1,
    consumeThreadMax: 1,
    pullThresholdForQueue: 100
  })
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  return { consumer, seen }
})

describe("absurd answers to pulls behind a proxy", () => {
  it.live("A24: always the next offset and no message: peek gives up, and says where", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        // It reads up to the end that the queue had, so that there must be more than it has patience for.
        yield* store(150)
        const { asked } = yield* answering("NO_MATCHED_MSG", (offset) => offset + 1)
        const { exitCode, talk } = yield* cli(["peek", "--topic", "orders", "--namesrv", namesrvAddr])
        assert.notStrictEqual(exitCode, 0)
        assert.include(talk.join("\n"), "100 answers in a row had no message and led on, the last to offset 100")
        assert.strictEqual(asked(), 100)
      })
    )
  )

  for (const [what, status, next] of [
    ["another offset each time", "OFFSET_ILLEGAL", (offset: number) => (offset === 2 ? 1 : 2)],
    ["nothing, at once", "NO_NEW_MSG", (offset: number) => offset],
    ["back to below every queue", "NO_MATCHED_MSG", () => -7]
  ] as const) {
    it.live(`A24: ${what}: a consumer asks ever less often, and goes on when the broker is well again`, () => {
      const log = watchLog()
      return proxied(
        {},
        Effect.gen(function* () {
          yield* store(5)
          const { asked, remove } = yield* answering(status, next)
          const { consumer, seen } = yield* consuming
          yield* Effect.sleep(1_000)
          assert.isAtLeast(asked(), 2)
          // At the speed of a socket it is thousands.
          assert.isAtMost(asked(), 40)
          assert.isAtMost(log.of("Warn", /orders/).length, 10)
          yield* remove
          yield* eventually(
            "the last message is consumed",
            Effect.sync(() => seen.includes(4))
          )
          const { queues } = yield* consumer.state
          assert.isTrue(queues.every(({ committedOffset = 0 }) => committedOffset >= 0))
        })
      ).pipe(log.provide)
    })
  }

  it.live("A25: more messages than were asked for, twice, backwards, and from before: each is consumed once", () =>
    proxied(
      {},
      Effect.gen(function* () {
        yield* store(40)
        const all: Array<Uint8Array> = []
        yield* changing(({ bytes, command }) => {
          if (command.code !== 0) return [bytes]
          const decoded = MessageCodec.decodeAll(command.body)
          all.push(...decoded.messages.map((message) => MessageCodec.encode(message)))
          return [encode({ ...command, body: Buffer.concat([...all.toReversed(), ...all]) })]
        })
        const { seen } = yield* consuming
        yield* eventually(
          "the last message is consumed",
          Effect.sync(() => seen.includes(39))
        )
        yield* Effect.sleep(100)
        assert.deepStrictEqual(
          seen,
          Array.from({ length: 40 }, (_, n) => n)
        )
      })
    )
  )

  it.live("A25: an entry that cannot be read: those before it are consumed, and those behind it once it can be", () =>
    proxied(
      {},
      Effect.gen(function* () {
        yield* store(10)
        const { remove } = yield* changing(({ bytes, command }) => {
          if (command.code !== 0) return [bytes]
          const entries = MessageCodec.decodeAll(command.body).messages.map((message) => {
            const entry = MessageCodec.encode(message)
            if (message.queueOffset === 6) entry.fill(0xff, 4, 8)
            return entry
          })
          return [encode({ ...command, body: Buffer.concat(entries) })]
        })
        const { consumer, seen } = yield* consuming
        yield* eventually(
          "it is told",
          Effect.map(consumer.state, ({ problems }) => problems.some(({ text }) => text.includes("magic")))
        )
        assert.deepStrictEqual(seen, [0, 1, 2, 3, 4, 5])
        yield* remove
        yield* eventually(
          "the last message is consumed",
          Effect.sync(() => seen.length === 10)
        )
        assert.deepStrictEqual(
          seen,
          Array.from({ length: 10 }, (_, n) => n)
        )
      })
    )
  )

  it.live("A28: a time of birth in nanoseconds, or far from any: peek shows the number, and a consumer gets it", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        yield* store(3)
        const times = [1_700_000_000_000_000_000n, -1n, 9_223_372_036_854_775_807n]
        yield* changing(({ bytes, command }) => {
          if (command.code !== 0) return [bytes]
          const entries = MessageCodec.decodeExact(command.body).messages.map((message) =>
            MessageCodec.encode({ ...message, bornTimestamp: times[message.queueOffset] ?? 0 })
          )
          return [encode({ ...command, body: Buffer.concat(entries) })]
        })
        const { exitCode, out } = yield* cli(["peek", "--topic", "orders", "--namesrv", namesrvAddr])
        assert.strictEqual(exitCode, 0)
        assert.deepStrictEqual(
          out.map((line) => line.split("  ")[1]),
          ["1700000000000000000", "1969-12-31T23:59:59.999Z", "9223372036854776000"]
        )
        const { seen } = yield* consuming
        yield* eventually(
          "all are consumed",
          Effect.sync(() => seen.length === 3)
        )
      })
    )
  )
})
