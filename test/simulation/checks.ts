import { Clock, Effect } from "effect"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import type { World } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { INTERVAL, IN_FLIGHT, TIMEOUT } from "./workload.ts"

/** What must hold of a producer while faults come and go, and once they are over. */

/** Looks at a producer ten times a second: nothing in it may pass its cap. */
export const bounded = (world: World, { state }: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    const { instance } = yield* state
    for (const socket of instance?.sockets ?? []) {
      if (socket.inFlight > IN_FLIGHT) {
        yield* world.violation("bounded", `${socket.inFlight} requests to ${socket.address}, at most ${IN_FLIGHT}`)
      }
    }
    yield* Effect.sleep(100)
  }).pipe(Effect.forever({ disableYield: true }))

/** Milliseconds in which everything comes round: an interval, a request's 3 s, and the longest back-off. */
const ONE_ROUND = INTERVAL + 3_000 + 3_000

/** Waits as long as a client may take to notice that everything works again. */
export const comeRound = Effect.sleep(ONE_ROUND)

const keys = (queues: ReadonlyArray<MessageQueue.MessageQueue>) => queues.map(MessageQueue.key).toSorted().join()

/** One round after the faults every timer has run again, every master knows the producer, and every route is true. */
export const converged = (world: World, producer: DefaultMQProducerShape, topics: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const now = yield* Clock.currentTimeMillis
    const { instance } = yield* producer.state
    const group = producer.producerGroup
    for (const { lastEnd, name, number, periodMillis } of instance?.timers ?? []) {
      // Timer 1 is switched off where the addresses are given.
      if (number === 1 || periodMillis > ONE_ROUND) continue
      if (lastEnd === undefined || now - lastEnd > ONE_ROUND) {
        yield* world.violation("timers", `timer ${number} (${name}) of ${group} last ended at ${lastEnd}, it is ${now}`)
      }
    }
    for (const topic of topics) {
      const known = yield* Effect.exit(producer.fetchPublishMessageQueues(topic))
      if (known._tag === "Failure") {
        yield* world.violation("routes", `${group} has no route of ${topic}: ${String(known.cause)}`)
        continue
      }
      const expected = cluster.brokers.flatMap(({ name }) => [0, 1].map((id) => MessageQueue.make(topic, name, id)))
      if (keys(known.value) !== keys(expected)) {
        yield* world.violation("routes", `${group} knows ${keys(known.value)} of ${topic}, not ${keys(expected)}`)
      }
    }
    const known = new Set((yield* cluster.clients).filter((client) => client.group === group).map((c) => c.broker))
    for (const { name } of cluster.brokers) {
      if (!known.has(name)) yield* world.violation("heartbeat", `${name} does not know ${group}`)
    }
  })

/** On a healthy cluster a burst beyond every cap goes through at once: whoever waits is woken when there is room. */
export const prompt = (world: World, { producerGroup, send }: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    const begin = yield* Clock.currentTimeMillis
    const messages = Array.from({ length: 24 }, (_, n) =>
      Message.make({ topic: "plain", body: `prompt-${producerGroup}-${n}` })
    )
    yield* Effect.forEach(messages, (message) => world.ledger.record(message, send(message)), {
      concurrency: "unbounded",
      discard: true
    })
    const took = (yield* Clock.currentTimeMillis) - begin
    if (took > 50) yield* world.violation("prompt", `a burst of ${producerGroup} took ${took} ms on a healthy cluster`)
  })

/** On a healthy cluster sends go round: every queue gets as many, and every one of them is acknowledged at once. */
export const fair = (world: World, { send }: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    const counts = new Map<string, number>()
    for (let n = 0; n < 12; n++) {
      const message = Message.make({ topic: "plain", body: `fair-${n}` })
      const result = yield* world.ledger.record(message, send(message), { timeoutMillis: TIMEOUT })
      const key = MessageQueue.key(result.queue)
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    const numbers = [...counts.values()]
    if (counts.size !== 4 || Math.max(...numbers) - Math.min(...numbers) > 1) {
      yield* world.violation("fairness", `12 sends to 4 queues: ${JSON.stringify([...counts])}`)
    }
  })
