/** Sends numbered messages in every way there is, and writes down what became of each. */
import { Context, Effect, Exit, Fiber, Random } from "effect"
import type { ApiError } from "../../src/client/ClientError.ts"
import * as Message from "../../src/message/Message.ts"
import type { SendResult } from "../../src/message/SendResult.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { RetryDecision } from "../../src/producer/ProducerConfig.ts"
import * as RetryPolicy from "../../src/producer/send/RetryPolicy.ts"
import type { SendError } from "../../src/producer/send/SendError.ts"
import { bodyOf, doubt, type Doubts, type Ledger, noDoubts } from "./Ledger.ts"

/** Where the attempts of the send of this fiber that came to nothing are written down. */
const Attempts: Context.Reference<{ doubts: Doubts } | undefined> = Context.Reference(
  "effect-rocketmq/test/endurance/Attempts",
  { defaultValue: (): { doubts: Doubts } | undefined => undefined }
)

/**
 * The client's own table of retries, which also tells the sender of each attempt whose outcome is unknown. So the ledger
 * knows how many copies an acknowledged message may have, which its result alone does not say.
 */
export const retryPolicy = (error: ApiError): RetryDecision => {
  const slot = Fiber.getCurrent()?.getRef(Attempts)
  if (slot !== undefined && RetryPolicy.meaningOf(error).outcome === "unknown") doubt(slot.doubts, error._tag)
  return RetryPolicy.meaningOf(error).decision
}

/** How the messages of some senders leave. */
export interface Lane {
  readonly producer: DefaultMQProducerShape
  /**
   * `one`: each by itself, every fourth with an ordering key. `batch`: 1 to 20 together. `shared`: by a producer with
   * `autoBatch`. `queued`: by `sendQueued`. `fickle`: each by itself, and the sender gives up on some.
   */
  readonly kind: "one" | "batch" | "shared" | "queued" | "fickle"
  readonly senders: number
}

/** A load that runs. */
export interface LoadOptions {
  readonly ledger: Ledger
  readonly topic: string
  readonly lanes: ReadonlyArray<Lane>
  /** Whether to send another one; asked before each. */
  readonly more: () => boolean
  /** Milliseconds that a sender rests after a send; 0 for not at all. */
  readonly restMillis: () => number
  /** Is told of every acknowledgement. */
  readonly onAcknowledged?: ((result: SendResult) => void) | undefined
}

const messageOf = (topic: string, n: number) =>
  Message.make({
    topic,
    body: bodyOf(n),
    keys: `k${n}`,
    properties: { n: String(n) },
    ...(n % 8 < 4 ? { tags: `t${n % 4}` } : {})
  })

/** The doubts of a send of which one sees only the number of its attempts: all of them but the last. */
const others = ({ attempts }: SendResult): Doubts => {
  const doubts = noDoubts()
  if (attempts > 1) doubt(doubts, "another member of a batch", attempts - 1)
  return doubts
}

/** Who failed rests a little; otherwise most messages would be sent while there is nobody to take them. */
const afterFailure = Effect.sleep(20)

/** Sends until `more` says no, and ends when every send has ended. */
export const run = (options: LoadOptions): Effect.Effect<void> => {
  const { ledger, topic } = options

  const acknowledged = (n: number, result: SendResult, doubts: Doubts) => {
    const { attempts, msgId, queue, queueOffset } = result
    ledger.acknowledged(
      n,
      { broker: queue.brokerName, queueId: queue.queueId, offset: queueOffset, msgId, attempts },
      doubts
    )
    options.onAcknowledged?.(result)
  }

  /** What a failed send leaves in doubt is what its error says, whatever else was seen of it. */
  const failed = (n: number, error: SendError): Effect.Effect<void> => {
    const doubts = noDoubts()
    for (const { cause, outcome } of error.attempts) if (outcome === "unknown") doubt(doubts, cause._tag)
    if (error.outcome === "unknown" && doubts.count === 0) {
      ledger.violation(`message ${n} has an unknown outcome, and no attempt that says so: ${error.message}`)
    }
    ledger.ended(n, error.outcome === "not-sent" ? "notSent" : error.outcome, doubts)
    return afterFailure
  }

  const settle = (n: number, doubts: (result: SendResult) => Doubts) => ({
    onSuccess: (result: SendResult) => Effect.sync(() => acknowledged(n, result, doubts(result))),
    onFailure: (error: SendError) => Effect.suspend(() => failed(n, error))
  })

  const sender = (lane: Lane, slot: { doubts: Doubts }): Effect.Effect<void> => {
    const { producer } = lane
    const begin = () => {
      slot.doubts = noDoubts()
      return ledger.next()
    }
    const own = () => slot.doubts
    switch (lane.kind) {
      case "one":
        return Effect.suspend(() => {
          const n = begin()
          const key = n % 4 === 0 ? { orderingKey: `key-${n % 97}` } : undefined
          return Effect.matchEffect(producer.send(messageOf(topic, n), key), settle(n, own))
        })
      case "shared":
        return Effect.suspend(() => {
          const n = begin()
          return Effect.matchEffect(producer.send(messageOf(topic, n)), settle(n, others))
        })
      case "queued":
        return Effect.suspend(() => {
          const n = begin()
          return producer
            .sendQueued(messageOf(topic, n), { orderingKey: `key-${n % 31}` })
            .pipe(Effect.flatten, Effect.matchEffect(settle(n, others)))
        })
      case "batch":
        return Effect.gen(function* () {
          slot.doubts = noDoubts()
          const count = yield* Random.nextIntBetween(1, 20)
          const numbers: Array<number> = []
          while (numbers.length < count && (numbers.length === 0 || options.more())) numbers.push(ledger.next())
          const exit = yield* Effect.exit(producer.sendBatch(numbers.map((n) => untagged(topic, n))))
          if (Exit.isSuccess(exit)) {
            for (const [index, n] of numbers.entries()) {
              const result = exit.value.results[index]
              if (result === undefined) ledger.violation(`message ${n} has no result in its batch`)
              else acknowledged(n, result, { ...slot.doubts })
            }
            return
          }
          const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          for (const n of numbers) {
            if (error === undefined) ledger.violation(`the batch with message ${n} died: ${String(exit.cause)}`)
            else failed(n, error)
          }
          yield* afterFailure
        })
      default:
        return Effect.gen(function* () {
          const n = begin()
          const patience = yield* Random.nextIntBetween(0, 20)
          const sent = yield* Effect.exit(
            Effect.timeoutOption(producer.send(messageOf(topic, n)), patience === 0 ? 1 : patience === 1 ? 5 : 60_000)
          )
          if (Exit.isFailure(sent)) {
            const error = sent.cause.reasons.find((reason) => reason._tag === "Fail")?.error
            if (error === undefined) ledger.violation(`the send of message ${n} died: ${String(sent.cause)}`)
            else yield* failed(n, error)
          } else if (sent.value._tag === "Some") acknowledged(n, sent.value.value, slot.doubts)
          else {
            doubt(slot.doubts, "the sender gave up")
            ledger.ended(n, "givenUp", slot.doubts)
          }
        })
    }
  }

  const loop = (lane: Lane) => {
    const slot = { doubts: noDoubts() }
    const step = sender(lane, slot)
    return Effect.whileLoop({
      while: options.more,
      body: () =>
        Effect.flatMap(step, () => {
          const rest = options.restMillis()
          return rest > 0 ? Effect.sleep(rest) : Effect.void
        }),
      step: () => undefined
    }).pipe(Effect.provideService(Attempts, slot))
  }

  return Effect.forEach(
    options.lanes.flatMap((lane) => Array.from({ length: lane.senders }, () => lane)),
    loop,
    { concurrency: "unbounded", discard: true }
  )
}

/** A member of a batch: all of one have the same tag, here none. */
const untagged = (topic: string, n: number) =>
  Message.make({ topic, body: bodyOf(n), keys: `k${n}`, properties: { n: String(n) } })
