/** A group that an administrator sets to another place while its members run. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { MQAdmin, type MQAdminShape } from "../../src/admin/MQAdmin.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { committedOf, noting, ownedOnce, sendMany, startConsumer, textOf } from "./consumers.ts"
import {
  createTopic,
  eventually,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** Does something as an administrator of the target. */
const administering = <A, E, R = never>(act: (admin: MQAdminShape) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Target, ({ credentials, namesrvAddr }) =>
    Effect.flatMap(MQAdmin, act).pipe(
      Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: uniqueName("admin"), credentials }), { local: true })
    )
  )

const set = (admin: MQAdminShape, group: string, queue: MessageQueue.MessageQueue) =>
  admin.updateConsumeOffset(group, queue, queue.queueId + 1)

export const tests = (test: Methods): void => {
  test.effect("the first offsets of a group, set all at once by two clients, are all kept", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("first-offsets", { queues: 4 })
      const queues = Array.from({ length: 4 }, (_, id) => MessageQueue.make(topic, brokers[0].name, id))
      const groups = Array.from({ length: 100 }, (_, n) => uniqueName(`first-${n}`))
      yield* administering((one) =>
        administering((other) =>
          Effect.gen(function* () {
            // Brokers of 5.x take offsets of groups that they know.
            for (const groupName of groups) yield* one.createSubscriptionGroup({ groupName })
            yield* Effect.forEach(
              groups,
              (group) =>
                Effect.forEach(queues, (queue) => set(queue.queueId % 2 === 0 ? one : other, group, queue), {
                  concurrency: 4
                }),
              { concurrency: 8 }
            )
          })
        )
      )
      const kept = yield* Effect.forEach(groups, (group) => committedOf(group, topic, 4), { concurrency: 8 })
      assert.deepStrictEqual(
        kept,
        groups.map(() => 10)
      )
    }).pipe(withManager)
  )

  test.effect("a group is reset to a time while its members run: what was stored since is consumed again", () =>
    Effect.gen(function* () {
      const { release } = yield* Target
      const topic = yield* createTopic("reset", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumerGroup = uniqueName("reset")
      const soon = { consumerGroup, persistConsumerOffsetInterval: 500, persistConsumerOffsetInitialDelay: 500 }
      const members = [yield* startConsumer(topic, noting(seen), soon), yield* startConsumer(topic, noting(seen), soon)]
      yield* ownedOnce(members, topic, [1, 1])
      yield* sendMany(producer, topic, 10, "old")
      yield* Effect.sleep(50)
      const time = Date.now()
      yield* Effect.sleep(50)
      const asked = yield* sendMany(producer, topic, 6, "again")
      for (const member of members) yield* member.caughtUp()
      const written = (count: number) =>
        eventuallyThat(committedOf(consumerGroup, topic, 1), (committed) => assert.strictEqual(committed, count))
      yield* written(16)
      assert.strictEqual(seen.length, 16)

      const queues = yield* eventually(
        administering((admin) => admin.resetOffsetByTimestamp({ group: consumerGroup, topic, to: time }))
      )
      const sum = queues.reduce((all, { offset }) => all + Number(offset), 0)
      // Brokers before 5.0 take the message that is nearest in time, which may be the last one before it.
      if (release === "5.5.0") assert.strictEqual(sum, 10)
      else assert.isTrue(sum >= 10 - queues.length && sum <= 10, `${sum}`)
      const from = new Map(queues.map(({ offset, queue }) => [MessageQueue.key(queue), Number(offset)]))
      const expected = seen
        .slice(0, 16)
        .filter((message) => message.queueOffset >= (from.get(MessageQueue.key(message)) ?? Infinity))
      assert.includeMembers(
        expected.map(textOf),
        asked.map(({ body }) => body)
      )
      // A pull that a broker of 5.x holds sees the reset when it ends, which the next message brings about; one of 4.x tells the
      // members when it has answered, so that they may have that message before and after.
      const next = yield* sendMany(producer, topic, 4, "next")
      yield* eventuallyThat(
        Effect.sync(() => [...new Set(seen.slice(16).map(textOf))].toSorted()),
        (texts) => assert.deepStrictEqual(texts, [...expected.map(textOf), ...next.map(({ body }) => body)].toSorted())
      )
      yield* written(20)
      yield* ownedOnce(members, topic, [1, 1])
    }).pipe(withManager)
  )
}
