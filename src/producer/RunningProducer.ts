import { Effect, Random, type Scope, Stream } from "effect"
import type { StartError, StartReason } from "../client/ClientError.ts"
import { HostInfo } from "../client/ClientId.ts"
import type { MQProducerInner } from "../client/ClientMembers.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import { checkGroup } from "../client/Names.ts"
import { awaitReadiness } from "../client/Readiness.ts"
import { accept, type Checked, type Resolution } from "../client/options/OptionTable.ts"
import type { LifeContext, ServiceLife } from "../client/ServiceLife.ts"
import { makeUniqueIds } from "../message/MessageId.ts"
import { RESERVED_PRODUCER_GROUPS } from "../message/MixAll.ts"
import { borrowOf } from "../client/TopicRoute.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"
import * as ProducerSends from "./ProducerSends.ts"
import type { TopicPublishInfoTable } from "./queue/TopicPublishInfo.ts"
import * as ReplyExchange from "./reply/ReplyExchange.ts"
import * as SendEngine from "./send/SendEngine.ts"
import * as Telemetry from "./telemetry/Telemetry.ts"

/** What a producer holds while it runs. */
export interface RunningProducer extends ProducerSends.SendParts {
  readonly instance: MQClientInstanceShape
  readonly telemetry: Telemetry.Telemetry
}

/** What a kind of producer adds to the plain one. */
export interface ProducerExtension {
  /** What the client instance gets to know of it besides; held until the producer has ended. */
  readonly attach: (instance: MQClientInstanceShape) => Effect.Effect<Partial<MQProducerInner>, never, Scope.Scope>
  /** Waits for its own work under way, for so many milliseconds at most; gives how much is left. */
  readonly drain: (timeoutMillis: number) => Effect.Effect<number>
}

/** What a producer is made of before it has acquired anything. */
export interface ProducerParts {
  readonly resolution: Resolution<ProducerConfig>
  readonly manager: MQClientManager["Service"]
  readonly table: TopicPublishInfoTable
  readonly extension: ProducerExtension | undefined
}

/** Checks all options and the group's name: the first problem of the name, or every problem of the options at once. */
const check = ({ resolution }: ProducerParts) =>
  Effect.suspend((): Effect.Effect<Checked<ProducerConfig>, StartReason> => {
    const { config, problems } = resolution
    const isNoName = problems.some(({ path }) => path === "producerGroup")
    const group = isNoName ? undefined : checkGroup(config.producerGroup, RESERVED_PRODUCER_GROUPS)
    return group === undefined ? accept(resolution) : Effect.fail(group)
  })

/** The topics that a start waits for: those it was told, else the template topic, which stands in for any. */
const topicsOf = ({ createTopicKey, topics }: ProducerConfig) => (topics.length === 0 ? [createTopicKey] : topics)

/** Steps 2.2 to 2.6 of docs/startup.md; what they acquire is held by the scope. */
export const acquire = Effect.fnUntraced(function* (
  parts: ProducerParts,
  life: LifeContext
): Effect.fn.Return<RunningProducer, StartError, Scope.Scope> {
  const { extension, manager, table } = parts
  const { step } = life
  const config = yield* step("2.2", "check the configuration and the group", check(parts))
  const { producerGroup } = config
  const instance = yield* step("2.3", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))
  const more = yield* extension?.attach(instance) ?? Effect.succeed({})
  yield* step(
    "2.3.2",
    "register in the producer table",
    instance.registerProducer({
      producerGroup,
      publishTopicList: table.topics,
      updateTopicPublishInfo: (route) => {
        table.update(route)
        life.notifyUnsafe()
      },
      ...more
    })
  )
  yield* step(
    "2.4",
    "put the template topic into topicPublishInfoTable",
    // The topics to be resolved too: a route that arrives for a topic which is not in the table is not kept.
    Effect.sync(() => {
      for (const topic of [config.createTopicKey, ...config.topics]) table.getOrPut(topic)
    })
  )
  const uniqueIds = makeUniqueIds({ ...(yield* HostInfo), random: yield* Random.nextIntBetween(0, 0xffff_ffff) })
  const telemetry = yield* Telemetry.make(config, instance, table, uniqueIds)
  const engine = yield* SendEngine.make(config, instance, table, uniqueIds, telemetry.observer)
  const sends = yield* ProducerSends.make(config, instance, table, uniqueIds, engine, life)
  const requests = yield* ReplyExchange.make(config, instance, table, engine)
  yield* telemetry.watch(engine)
  yield* step(
    "2.5",
    `instance is running, ready: ${config.readiness}`,
    awaitReadiness(instance, {
      level: config.readiness,
      topics: topicsOf(config),
      borrow: borrowOf(config)
    })
  )
  yield* step("2.6", "everything is held", Effect.void)
  return { instance, engine, sends, requests, telemetry }
})

/**
 * An element now and after each change that a producer's state shows: of its service state and steps, and of the client
 * instance under it. A slow reader gets one for several; none is lost. It ends with the last, when the life is over.
 */
export const changesOf = (life: ServiceLife<RunningProducer>): Stream.Stream<void> => {
  const ofInstance = Stream.switchMap(life.serviceStateChanges, (state): Stream.Stream<unknown> =>
    state === "RUNNING" ? (life.parts()?.instance.changes ?? Stream.empty) : Stream.empty
  )
  return Stream.merge(
    life.changes,
    Stream.map(ofInstance, () => undefined),
    { haltStrategy: "left" }
  ).pipe(Stream.buffer({ capacity: 1, strategy: "sliding" }))
}
