/** A member of a group that starts, reads what is sent then, and ends, again and again: of each kind in turn. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Deferred, Effect, FileSystem, Layer } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { type CyclesOptions, repeated } from "./cycles.ts"
import { kinds, member } from "./Kinds.ts"
import type { Peers } from "./Peers.ts"
import type { Outcome } from "./Report.ts"

const TOPIC = "endurance"

/** Messages that each member has to get. */
const EACH = 4

const prepare = Effect.fnUntraced(function* ({ namesrvAddr }: Peers) {
  const fs = yield* FileSystem.FileSystem
  const services = yield* Effect.context<NodeServices.NodeServices>()
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "cycles-" })
  return (index: number) =>
    Effect.gen(function* () {
      const kind = kinds[index % kinds.length] ?? "concurrently"
      const producer = yield* DefaultMQProducer.make({ producerGroup: "cycles", namesrvAddr })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      const bodies = Array.from({ length: EACH }, (_, n) => `cycle-${index}-${n}`)
      const wanted = new Set(bodies)
      const done = yield* Deferred.make<void>()
      const offsetStore =
        kind === "broadcasting" && index % 2 === 0
          ? yield* LocalOffsetStore.file({ directory, identity: "same" })
          : undefined
      yield* member(
        kind,
        {
          consumerGroup: `cycle-${kind}`,
          subscriptions: [Subscription.all(TOPIC)],
          namesrvAddr,
          // What others have sent meanwhile is read as well; who has no offsets would read it again in each life.
          consumeFromWhere: kind === "broadcasting" ? "last" : "first",
          offsetStore,
          enableTrace: index % 10 === 0
        },
        ({ body }) =>
          Effect.suspend(() => {
            wanted.delete(new TextDecoder().decode(body))
            return wanted.size === 0 ? Deferred.succeed(done, undefined) : Effect.void
          })
      )
      yield* Effect.forEach(bodies, (body) => producer.send(Message.make({ topic: TOPIC, body, keys: body })), {
        discard: true
      })
      yield* Deferred.await(done)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(MQClientManager.layerTcp)), Effect.provide(services))
})

/** Runs it. */
export const run = (options: CyclesOptions): Promise<Outcome> =>
  repeated((peers) => Effect.provide(prepare(peers), NodeServices.layer), options)
