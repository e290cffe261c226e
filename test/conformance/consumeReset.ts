/** A group that an administrator sets to another place while its members run. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { MQAdmin, type MQAdminShape } from "../../src/admin/MQAdmin.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
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
const administering = <A, E>(act: (admin: MQAdminShape) => Effect.Effect<A, E>) =>
  Effect.flatMap(Target, ({ credentials, namesrvAddr }) =>
    Effect.flatMap(MQAdmin, act).pipe(
      Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: uniqueName("admin"), credentials }), { local: true })
    )
  )

export const tests = (test: Methods): void => {
  test.effect("a group is reset to a time while its members run: what was stored since is consumed again", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("reset", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumerGroup = uniqueName("reset")
      const members = [
        yield* startConsumer(topic, noting(seen), { consumerGroup, persistConsumerOffsetInterval: 500 }),
        yield* startConsumer(topic, noting(seen), { consumerGroup, persistConsumerOffsetInterval: 500 })
      ]
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
      assert.strictEqual(
        queues.reduce((sum, { offset }) => sum + Number(offset), 0),
        10
      )
      // A pull that a broker of 5.x holds sees the reset when it ends, which the next message brings about.
      const next = yield* sendMany(producer, topic, 4, "next")
      yield* eventuallyThat(
        Effect.sync(() => seen.slice(16).map(textOf).toSorted()),
        (texts) => assert.deepStrictEqual(texts, [...asked, ...next].map(({ body }) => body).toSorted())
      )
      yield* written(20)
      yield* ownedOnce(members, topic, [1, 1])
    }).pipe(withManager)
  )
}
