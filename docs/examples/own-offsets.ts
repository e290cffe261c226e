// A group that keeps its offsets in the database of its results: what a handler does and that it was done are one transaction, so
// each message has its effect exactly once, whenever the process dies. `node own-offsets.ts [<file of the database>]`.
import { Console, Effect, Layer } from "effect"
import { DatabaseSync } from "node:sqlite"
import {
  DefaultMQProducer,
  DefaultMQPushConsumer,
  Message,
  type MessageQueue,
  MQClientManager,
  type OffsetStore,
  OffsetStoreError,
  type ReceivedMessage,
  Subscription
} from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const schema = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE IF NOT EXISTS bills (order_text TEXT NOT NULL);
  -- Up to where each queue is finished.
  CREATE TABLE IF NOT EXISTS offsets (
    grp TEXT, topic TEXT, broker TEXT, queue INTEGER, next INTEGER NOT NULL, PRIMARY KEY (grp, topic, broker, queue)
  );
  -- What is done beyond that: handlers of one queue end in any order.
  CREATE TABLE IF NOT EXISTS done (
    grp TEXT, topic TEXT, broker TEXT, queue INTEGER, at INTEGER, PRIMARY KEY (grp, topic, broker, queue, at)
  ) WITHOUT ROWID;
`

const sameQueue = "grp = ? AND topic = ? AND broker = ? AND queue = ?"

/** Opens the tables of a group: where its offsets are kept, and how something is done once for a message. */
export const openTables = (db: DatabaseSync, group: string) => {
  db.exec(schema)
  const next = db.prepare(`SELECT next FROM offsets WHERE ${sameQueue}`)
  const reach = db.prepare(
    "INSERT INTO offsets VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)"
  )
  const note = db.prepare("INSERT INTO done VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
  const forget = db.prepare(`DELETE FROM done WHERE ${sameQueue} AND at < ?`)

  const place = ({ brokerName, queueId, topic }: MessageQueue.MessageQueue) =>
    [group, topic, brokerName, queueId] as const

  const nextOf = (queue: MessageQueue.MessageQueue): number | undefined => {
    const found = next.get(...place(queue))?.["next"]
    return found === undefined ? undefined : Number(found)
  }

  const transaction = <A>(work: () => A): A => {
    db.exec("BEGIN IMMEDIATE")
    try {
      const result = work()
      db.exec("COMMIT")
      return result
    } catch (error) {
      db.exec("ROLLBACK")
      throw error
    }
  }

  const attempt = <A>(operation: "load" | "persist", queue: MessageQueue.MessageQueue, work: () => A) =>
    Effect.try({
      try: work,
      catch: (cause) =>
        new OffsetStoreError({
          operation,
          group,
          queue: `${queue.topic}@${queue.brokerName}@${queue.queueId}`,
          detail: String(cause),
          cause
        })
    })

  const offsetStore: OffsetStore = {
    load: (_group, queue) => attempt("load", queue, () => nextOf(queue)),
    persist: (_group, { offset, queue }) =>
      attempt("persist", queue, () =>
        transaction(() => {
          reach.run(...place(queue), offset)
          forget.run(...place(queue), offset)
        })
      )
  }

  /** Does the work and notes that it was done, or neither; false when it had been done before. */
  const once = ({ queue, queueOffset }: ReceivedMessage, work: () => void) =>
    Effect.try(() =>
      transaction(() => {
        if (queueOffset < (nextOf(queue) ?? 0)) return false
        if (note.run(...place(queue), queueOffset).changes === 0) return false
        work()
        return true
      })
    )

  return { offsetStore, once }
}

/** A member of the group `billing`, which writes a bill for each order. */
export const billing = (db: DatabaseSync, namesrvAddr: string) => {
  const { offsetStore, once } = openTables(db, "billing")
  const bill = db.prepare("INSERT INTO bills VALUES (?)")
  return DefaultMQPushConsumer.layer(
    {
      consumerGroup: "billing",
      subscriptions: [Subscription.all("orders")],
      consumeFromWhere: "first",
      offsetStore,
      namesrvAddr
    },
    // The transaction is the last thing that a handler does: what fails after it would come again under another offset.
    (message) => Effect.asVoid(once(message, () => bill.run(new TextDecoder().decode(message.body))))
  )
}

const program = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster
  const db = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(process.argv[2] ?? ":memory:")),
    (open) => Effect.sync(() => open.close())
  )
  const producer = yield* DefaultMQProducer
  for (const start of ["first", "second"]) {
    for (const order of ["a", "b", "c"]) {
      yield* producer.send(Message.make({ topic: "orders", body: `${start} ${order}` }))
    }
    const consumed = yield* Effect.gen(function* () {
      const consumer = yield* DefaultMQPushConsumer
      yield* consumer.caughtUp()
      return (yield* consumer.state).counters.succeeded
    }).pipe(Effect.provide(billing(db, namesrvAddr)))
    yield* Console.log(`${start} start: ${consumed} consumed`)
  }
  for (const row of db.prepare("SELECT topic, queue, next FROM offsets WHERE next > 0").all()) {
    yield* Console.log(JSON.stringify(row))
  }
  yield* Console.log(`${db.prepare("SELECT * FROM bills").all().length} bills`)
})

const Services = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }))
).pipe(
  Layer.provideMerge(MQClientManager.layerTcp),
  Layer.provideMerge(EmbeddedCluster.layerTcp({ topics: { orders: {} } }))
)

if (process.argv[1] === import.meta.filename) {
  await Effect.runPromise(program.pipe(Effect.provide(Services), Effect.scoped))
}
