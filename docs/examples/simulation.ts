// A service under simulation: an order service with an outbox, run under twenty seeds while brokers, name servers and the
// network fail; then the same service with a mistake, which the simulation finds and shows how to run again.
import { Console, Effect, Random } from "effect"
import { DefaultMQProducer, Message, MQClientManager, type SendError, type StartError } from "effect-rocketmq"
import { EmbeddedCluster, Simulation } from "effect-rocketmq/testing"

/** What the service does about a send of which it is open whether it was stored. */
type OnUnknown = "same-event" | "new-event"

// The service. Orders are written into an outbox, and a relay announces each of them until a broker has stored it.
// Consumers know an event by its key: as long as the key stays the same, a second copy does no harm.
const makeOrderService = (producer: Pick<typeof DefaultMQProducer.Service, "send">, onUnknown: OnUnknown) => {
  const outbox: Array<{ readonly order: string; event: string }> = []
  const relay = (row: (typeof outbox)[number]): Effect.Effect<void> =>
    producer.send(Message.make({ topic: "orders", body: row.order, keys: row.event })).pipe(
      Effect.asVoid,
      Effect.catch((error) =>
        Effect.gen(function* () {
          if (error.outcome === "unknown" && onUnknown === "new-event") row.event = yield* newEvent
          yield* Effect.sleep("1 second")
          yield* relay(row)
        })
      )
    )
  return {
    place: Effect.fnUntraced(function* (order: string) {
      const row = { order, event: yield* newEvent }
      outbox.push(row)
      yield* relay(row)
    })
  }
}

// From the Random service and not from node:crypto, so that the seed decides it.
const newEvent = Effect.map(Random.nextIntBetween(0, 2 ** 40), (number) => `event-${number.toString(36)}`)

// What is simulated: the service with its producer, some orders, and what has to hold in the end.
const scenario = (onUnknown: OnUnknown): Simulation.Scenario<StartError | SendError> => ({
  cluster: { brokers: 2, nameServers: 2, topics: { orders: {} } },
  program: (world) =>
    Effect.gen(function* () {
      const { messages, namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* DefaultMQProducer.make({ producerGroup: "orders-pg", namesrvAddr, readiness: "lazy" })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)

      // The ledger sees every send and holds its outcome against what the brokers have in the end.
      const service = makeOrderService(world.ledger.watch(producer, { timeoutMillis: 3_000 }), onUnknown)
      const orders = Array.from({ length: 20 }, (_, n) => `order-${n}`)
      const placeSomeTime = (order: string) =>
        Effect.andThen(Effect.flatMap(Random.nextIntBetween(0, 20_000), Effect.sleep), service.place(order))
      yield* Effect.forEach(orders, placeSomeTime, { concurrency: "unbounded", discard: true })

      // The service's own promise: every order is announced, and under one key.
      const stored = Map.groupBy(yield* messages("orders"), ({ body }) => new TextDecoder().decode(body))
      for (const order of orders) {
        const events = new Set(stored.get(order)?.flatMap(({ keys }) => keys))
        if (events.size === 0) yield* world.violation("announced", `nobody heard of ${order}`)
        if (events.size > 1) yield* world.violation("once", `${order} was announced as ${events.size} events`)
      }
    }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer))
})

const program = Effect.gen(function* () {
  const held = yield* Simulation.check(scenario("same-event"), { seeds: 20 })
  yield* Console.log(
    `${held.seeds} seeds held: ${held.faults} faults in ${Math.round(held.virtualMillis / 1_000)} virtual seconds, ` +
      `${held.counts.acknowledged} sends acknowledged, ${held.counts.unknown} open, ` +
      `${held.counts.duplicated} messages stored more than once`
  )

  // Treating an open outcome as "not sent": the order may be stored already, and becomes a second event.
  const found = yield* Effect.flip(Simulation.check(scenario("new-event"), { seeds: 1_000 }))
  yield* Console.log(`\nThe mistake is found:\n${found.message}`)

  const again = yield* Simulation.runSeed(scenario("new-event"), found.seed, { keep: found.keep })
  yield* Console.log(`\nRun again: ${again.violations.map(({ detail }) => detail).join(", ")}`)
})

await Effect.runPromise(program)
