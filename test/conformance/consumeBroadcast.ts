/** A group that broadcasts: every member gets every message and keeps its own offsets. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import { committedOf, inOwnScope, sendMany, startConsumer, textOf } from "./consumers.ts"
import { createTopic, eventuallyThat, type Methods, startProducer, uniqueName, withManager } from "./support.ts"
import { Target } from "./Target.ts"

export const tests = (test: Methods): void => {
  test.effect(
    "C-53: every member of a group that broadcasts gets every message, and keeps its own offsets in a file",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const { namesrvAddr } = yield* Target
        const root = yield* fs.makeTempDirectoryScoped({ prefix: "offsets-" })
        const directory = `${root}/offsets`
        const topic = yield* createTopic("broadcast", { queues: 2 })
        const producer = yield* startProducer()
        const consumerGroup = uniqueName("broadcast")
        const member = Effect.fnUntraced(function* (identity: string, options: Partial<PushConsumerOptions> = {}) {
          const seen: Array<ReceivedMessage> = []
          const consumer = yield* startConsumer(
            topic,
            (message) => {
              seen.push(message)
              return textOf(message) === "m-3" ? Effect.fail("no") : Effect.void
            },
            {
              consumerGroup,
              messageModel: "BROADCASTING",
              offsetStore: yield* LocalOffsetStore.file({ directory, identity }),
              persistConsumerOffsetInitialDelay: 100,
              persistConsumerOffsetInterval: 200,
              ...options
            }
          )
          return { ...consumer, texts: Effect.sync(() => seen.map(textOf).toSorted()) }
        })
        const first = yield* sendMany(producer, topic, 6)
        const bodies = first.map(({ body }) => body)
        yield* inOwnScope(
          Effect.gen(function* () {
            const members = yield* Effect.forEach(["one", "two"], (identity) => member(identity))
            for (const one of members) {
              yield* one.caughtUp()
              assert.deepStrictEqual(yield* one.texts, bodies)
              const { counters, problems } = yield* one.state
              assert.deepInclude(counters, { succeeded: 5, abandoned: 1, redelivered: 0 })
              assert.deepStrictEqual(problems, [])
            }
            // What a broker knows of them, and what of their offsets.
            const admin = yield* makeAdmin({ namesrvAddr })
            const { connections, messageModel } = yield* admin.examineConsumerConnectionInfo(consumerGroup)
            assert.deepStrictEqual([connections.length, messageModel], [2, "BROADCASTING"])
            assert.strictEqual(yield* committedOf(consumerGroup, topic, 2), 0)

            // A directory that is none any more: no user, not even root, can write there. What is still to be written would
            // make it anew while it is away.
            for (const { state } of members) {
              yield* eventuallyThat(state, ({ queues }) =>
                assert.isTrue(queues.every(({ committedOffset, consumeOffset }) => committedOffset === consumeOffset))
              )
            }
            const [one] = members
            assert.isDefined(one)
            yield* fs.rename(directory, `${root}/aside`)
            yield* fs.writeFileString(directory, "")
            yield* sendMany(producer, topic, 4, "n")
            yield* one.caughtUp()
            yield* eventuallyThat(one.state, ({ problems }) => assert.match(problems[0]?.key ?? "", /^persist /))
            assert.strictEqual((yield* one.texts).length, 10)
            yield* fs.remove(directory)
            yield* fs.rename(`${root}/aside`, directory)
            yield* eventuallyThat(one.healthy, (healthy) => assert.isTrue(healthy))
          })
        )
        yield* sendMany(producer, topic, 2, "o")
        const again = yield* member("one", { consumeFromWhere: "last" })
        yield* again.caughtUp()
        assert.deepStrictEqual(yield* again.texts, ["o-0", "o-1"])
      }).pipe(Effect.provide(NodeServices.layer), withManager)
  )
}
