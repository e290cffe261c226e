import { Effect, Layer, Stream } from "effect"
import {
  DefaultMQProducer,
  type DefaultMQProducerShape,
  Message,
  type Message as MessageModel,
  MQClientManager
} from "effect-rocketmq"
import { DefaultMQProducer as PromiseProducer } from "effect-rocketmq/promise"
import { measure, type Meter, type Phase, type Run } from "./Meter.ts"
import { task } from "./Task.ts"

/** This package in the forms in which users send many messages, as they are written and not tuned. */

const options = task()

const producerOptions = {
  producerGroup: "bench-pg",
  namesrvAddr: options.address,
  sendMsgTimeout: 10_000,
  compressMsgBodyOverHowmuch: Infinity
}

const messageOf = ({ bodySize }: Phase): MessageModel.Message =>
  Message.make({ topic: options.topic, body: new Uint8Array(bodySize).fill(120) })

/** Messages until the phase is over, or until so many. */
function* messages(phase: Phase, meter: Meter, most: number): Generator<MessageModel.Message> {
  const message = messageOf(phase)
  for (let count = 0; count < most && meter.begin(1) >= 0; count++) yield message
}

/** Messages of one `Effect.forEach`, which makes a list of them first. */
const SLICE = 10_000

type Form = (producer: DefaultMQProducerShape) => Run

/** What the phase's program came to, told to the meter. */
const told = (meter: Meter, program: Effect.Effect<unknown, unknown>) =>
  Effect.runPromise(Effect.match(program, { onSuccess: () => {}, onFailure: (error) => meter.fail(error) }))

const loop: Form = (producer) => (phase, meter) => {
  const message = messageOf(phase)
  const fiber = Effect.gen(function* () {
    while (meter.begin(1) >= 0) {
      yield* producer.send(message)
      meter.messages++
    }
  })
  return told(
    meter,
    Effect.all(
      Array.from({ length: phase.inFlight }, () => fiber),
      { concurrency: "unbounded", discard: true }
    )
  )
}

const forEach: Form = (producer) => (phase, meter) => {
  let more = true
  const slice = Effect.suspend(() => {
    const some = [...messages(phase, meter, SLICE)]
    more = some.length === SLICE
    return Effect.map(
      Effect.forEach(some, (message) => producer.send(message), { concurrency: phase.inFlight }),
      (results) => {
        meter.messages += results.length
      }
    )
  })
  return told(meter, Effect.whileLoop({ while: () => more, body: () => slice, step: () => {} }))
}

const sendAll: Form = (producer) => (phase, meter) =>
  told(
    meter,
    producer.sendAll(Stream.fromIterable(messages(phase, meter, Infinity)), { concurrency: phase.inFlight }).pipe(
      Stream.runForEachArray((results) =>
        Effect.sync(() => {
          meter.messages += results.length
        })
      )
    )
  )

/** It has 64 under way, whatever the mode says. */
const sink: Form = (producer) => (phase, meter) =>
  told(
    meter,
    Stream.run(Stream.fromIterable(messages(phase, meter, Infinity)), producer.sink).pipe(
      Effect.map((count) => {
        meter.messages += count
      })
    )
  )

const forms: Readonly<Record<"loop" | "forEach" | "sendAll" | "sink", Form>> = { loop, forEach, sendAll, sink }

const runPromises = async (): Promise<void> => {
  await using producer = await PromiseProducer.start(producerOptions)
  await producer.send(messageOf(options))
  await measure(options, 1, async (phase, meter) => {
    const message = messageOf(phase)
    const sender = async () => {
      while (meter.begin(1) >= 0) {
        try {
          await producer.send(message)
          meter.messages++
        } catch (error) {
          meter.fail(error)
        }
      }
    }
    await Promise.all(Array.from({ length: phase.inFlight }, sender))
  })
}

const runEffects = (form: Form) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer.make(producerOptions)
    yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
    yield* producer.send(messageOf(options))
    yield* Effect.promise(() => measure(options, 1, form(producer)))
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(MQClientManager.layerTcp)), Effect.runPromise)

const { form = "loop" } = options
await (form === "promise" ? runPromises() : runEffects(forms[form]))
