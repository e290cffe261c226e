import { DateTime, Duration, Effect, Equal, Option, Stream } from "effect"
import { ConfigProblem, InvalidConfig } from "../../client/ClientError.ts"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import * as RouteQueues from "../../client/RouteQueues.ts"
import { show } from "../../client/options/Option.ts"
import type { Resolution } from "../../client/options/OptionTable.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { ConsumerKind } from "../ConsumerKind.ts"
import * as ConsumerLife from "../ConsumerLife.ts"
import { problemOf } from "../ConsumerOptions.ts"
import * as StartOffset from "../offset/StartOffset.ts"
import type { OwnedQueue } from "../run/RunOptions.ts"
import * as Subscription from "../subscription/Subscription.ts"
import { CommitFailed, CommitProblem, SeekRefused, SubscriptionConflict } from "./LitePullError.ts"
import * as Options from "./LitePullOptions.ts"
import type { DefaultLitePullConsumerShape, SeekTo } from "./LitePullShape.ts"
import * as PollBuffer from "./PollBuffer.ts"

const NOT_OWNED = "This consumer does not own the queue."
const NOT_LOCATED = "It is not known yet where the queue begins."
const NO_OFFSET = "It is no offset: give a whole number from 0 on."

const isOffset = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const isQueues = (
  given: ReadonlyMap<MessageQueue.MessageQueue, number> | ReadonlyArray<MessageQueue.MessageQueue>
): given is ReadonlyArray<MessageQueue.MessageQueue> => Array.isArray(given)

const millisOf = (timestamp: DateTime.DateTime.Input): number | undefined => {
  const at = DateTime.make(timestamp)
  return Option.isSome(at) && at.value.epochMilliseconds >= 0 ? at.value.epochMilliseconds : undefined
}

const textOf = (to: SeekTo): string =>
  typeof to === "object" ? `the time ${show(millisOf(to.timestamp) ?? to.timestamp)}` : `offset ${to}`

const invalid = (path: string, problem: string) =>
  new InvalidConfig({ problems: [new ConfigProblem({ path, problem })] })

/**
 * Makes a lite pull consumer in CREATE_JUST. It acquires nothing.
 *
 * Source: RocketMQ `DefaultLitePullConsumerImpl`, `AssignedMessageQueue`, `RebalanceLitePullImpl`.
 */
export const make = Effect.fnUntraced(function* (
  resolution: Resolution<Options.LitePullConfig>
): Effect.fn.Return<DefaultLitePullConsumerShape, never, MQClientManager> {
  const { config } = resolution
  let mode: "subscribe" | "assign" | undefined = config.subscriptions === undefined ? undefined : "subscribe"
  let assigned: ReadonlyArray<MessageQueue.MessageQueue> = []
  /** By topic, the filters of assigned queues. */
  const filters = new Map<string, Subscription.Subscription>()
  /** When a poll begins the next write, by the monotonic clock. */
  let commitDueAt = Number.NEGATIVE_INFINITY

  const kind: ConsumerKind<PollBuffer.PollBuffer> = {
    batchSize: 1,
    consumption: PollBuffer.make,
    directly: undefined,
    active: {
      assigned: () => (mode === "assign" ? assigned : undefined),
      suspendMillis: config.brokerSuspendMaxTimeMillis,
      timeoutMillis: config.consumerTimeoutMillisWhenSuspend,
      properties: Options.propertiesOf(config)
    }
  }
  const { consumer, local, parts, replace, running } = yield* ConsumerLife.make(Options.forConsumer(resolution), kind)
  const { consumerGroup: group } = consumer

  const localQueue = (queue: MessageQueue.MessageQueue): MessageQueue.MessageQueue => ({
    ...queue,
    topic: local(queue.topic)
  })

  /** Does something in a mode, which is the consumer's from then on unless that fails. */
  const inMode = <E>(wanted: "subscribe" | "assign", action: string, self: Effect.Effect<void, E>) =>
    Effect.suspend((): Effect.Effect<void, E | SubscriptionConflict> => {
      if (mode !== undefined && mode !== wanted) return Effect.fail(new SubscriptionConflict({ group, mode, action }))
      const before = mode
      mode = wanted
      return Effect.onError(self, () =>
        Effect.sync(() => {
          mode = before
        })
      )
    })

  const read = (action: string) =>
    replace(action, () =>
      [...new Set(assigned.map(({ topic }) => topic))].map((topic) => filters.get(topic) ?? Subscription.all(topic))
    )

  const assign = Effect.fnUntraced(function* (given: ReadonlyArray<MessageQueue.MessageQueue>) {
    const problem =
      given.length === 0
        ? "must name at least one queue"
        : given.flatMap(({ brokerName, queueId, topic }) => {
            if (!isOffset(queueId) || brokerName === "") return [`has no queue ${queueId} of broker "${brokerName}"`]
            return problemOf(Subscription.all(topic)) ?? []
          })[0]
    if (problem !== undefined) yield* invalid("assign", problem)
    const before = assigned
    assigned = [...new Map(given.map(localQueue).map((queue) => [MessageQueue.key(queue), queue])).values()]
    yield* Effect.onError(read("assign"), () =>
      Effect.sync(() => {
        assigned = before
      })
    )
  })

  const setFilter = Effect.fnUntraced(function* (given: Subscription.Subscription) {
    const problem = problemOf(given)
    if (problem !== undefined) yield* invalid("setSubExpressionForAssign", problem)
    const topic = local(given.topic)
    filters.set(topic, { ...given, topic })
    yield* read("setSubExpressionForAssign")
  })

  const refuse = (
    queue: MessageQueue.MessageQueue,
    to: SeekTo,
    problem: SeekRefused["problem"],
    range: { readonly minOffset?: number; readonly maxOffset?: number } = {}
  ) => new SeekRefused({ group, queue: MessageQueue.key(queue), to: textOf(to), problem, ...range })

  const seek = Effect.fnUntraced(function* (given: MessageQueue.MessageQueue, to: SeekTo) {
    const { instance, run } = yield* parts("seek")
    const queue = localQueue(given)
    const key = MessageQueue.key(queue)
    if (!run.owned().some((one) => one.name === key)) yield* refuse(queue, to, "not-assigned")
    const millis = typeof to === "object" ? millisOf(to.timestamp) : undefined
    if (typeof to === "number" ? !isOffset(to) : typeof to === "object" && millis === undefined) {
      yield* refuse(queue, to, "unusable")
    }
    const find = Effect.gen(function* () {
      if (millis !== undefined) return yield* StartOffset.offsetAt(instance, queue, millis)
      const minOffset = to === "end" ? 0 : yield* StartOffset.minOffset(instance, queue)
      if (typeof to !== "number" && to !== "end") return minOffset
      const maxOffset = yield* StartOffset.maxOffset(instance, queue)
      if (typeof to !== "number") return maxOffset
      if (to < minOffset || to > maxOffset) return yield* refuse(queue, to, "out-of-range", { minOffset, maxOffset })
      return to
    })
    const isOwned = yield* run.seek(queue, yield* find)
    if (!isOwned) yield* refuse(queue, to, "not-assigned")
  })

  /** Notes a commit of one of the queues that are held; gives it, or why it cannot be committed. */
  const markOne = (held: ReadonlyArray<OwnedQueue>, given: MessageQueue.MessageQueue, offset: number | undefined) => {
    const key = MessageQueue.key(localQueue(given))
    // Of a queue that was given up and taken again, the generation that is owned.
    const queue = held.find(({ name }) => name === key)
    const problem = (reason: string) => new CommitProblem({ queue: key, offset: offset ?? -1, reason })
    if (offset !== undefined && !isOffset(offset)) return problem(NO_OFFSET)
    if (queue === undefined) return problem(NOT_OWNED)
    if (queue.consumeOffset === undefined) return problem(NOT_LOCATED)
    queue.mark(offset)
    return queue
  }

  const commit: DefaultLitePullConsumerShape["commit"] = Effect.fnUntraced(function* (
    offsets,
    { persist = true } = {}
  ) {
    const { run } = yield* parts("commit", "closing")
    const held = run.held()
    if (offsets === undefined) run.mark()
    const named =
      offsets === undefined ? [] : isQueues(offsets) ? offsets.map((queue) => [queue] as const) : [...offsets]
    const noted = offsets === undefined ? held : named.map(([queue, offset]) => markOne(held, queue, offset))
    const queues = noted.flatMap((one) => (one instanceof CommitProblem ? [] : [one]))
    const writes = persist ? yield* run.commit(queues) : []
    const failed = [
      ...noted.filter((one) => one instanceof CommitProblem),
      ...writes.flatMap(({ queue, reason }) =>
        reason === undefined
          ? []
          : [new CommitProblem({ queue: queue.name, offset: queue.committableOffset ?? -1, reason })]
      )
    ]
    if (failed.length > 0) yield* new CommitFailed({ group, queues: failed })
  })

  const poll: DefaultLitePullConsumerShape["poll"] = ({ max = config.pullBatchSize, timeout } = {}) =>
    Effect.flatMap(parts("poll"), ({ consumption, now, run }) => {
      const millis =
        timeout === undefined ? config.pollTimeoutMillis : Duration.toMillis(Duration.fromInputUnsafe(timeout))
      const taken = consumption.poll(Math.max(1, Math.floor(max) || 1), millis)
      if (!config.autoCommit) return taken
      run.mark()
      if (now() < commitDueAt) return taken
      commitDueAt = now() + config.autoCommitIntervalMillis
      return Effect.andThen(run.persist, taken)
    })

  const queues: DefaultLitePullConsumerShape["queues"] = Effect.fnUntraced(function* (topic) {
    const { instance } = yield* parts("look the queues of a topic up")
    const route = yield* instance.routes.updateTopicRouteInfoFromNameServer(local(topic), undefined)
    return RouteQueues.readable(route.topic, route.data).toSorted(MessageQueue.compare)
  })

  return {
    consumerGroup: group,
    serviceState: consumer.serviceState,
    serviceStateChanges: consumer.serviceStateChanges,
    start: consumer.start,
    shutdown: consumer.shutdown,
    state: consumer.state,
    stateChanges: consumer.stateChanges,
    assignment: consumer.assignment,
    assignments: consumer.assignments,
    healthy: consumer.healthy,
    failed: consumer.failed,
    lastDrain: consumer.lastDrain,
    subscribe: (...subscriptions) =>
      inMode(
        "subscribe",
        "subscribe",
        Effect.forEach(subscriptions, (one) => consumer.subscribe(one), { discard: true })
      ),
    unsubscribe: (topic) =>
      Effect.suspend(() => {
        if (mode !== "assign") return consumer.unsubscribe(topic)
        const name = local(topic)
        assigned = assigned.filter((queue) => queue.topic !== name)
        return read("unsubscribe")
      }),
    assign: (given) => inMode("assign", "assign", assign([...given])),
    setSubExpressionForAssign: (given) => inMode("assign", "setSubExpressionForAssign", setFilter(given)),
    poll,
    seek,
    pause: consumer.pause,
    resume: consumer.unpause,
    commit,
    committed: (queue) => Effect.flatMap(parts("read an offset"), ({ store }) => store.load(group, localQueue(queue))),
    position: (queue) =>
      Effect.sync(() => {
        const key = MessageQueue.key(localQueue(queue))
        return running()
          ?.run.owned()
          .find(({ name }) => name === key)?.consumeOffset
      }),
    queues,
    offsetForTimestamp: Effect.fnUntraced(function* (given, timestamp) {
      const { instance } = yield* parts("read an offset")
      const queue = localQueue(given)
      const millis = millisOf(timestamp)
      if (millis === undefined) return yield* refuse(queue, { timestamp }, "unusable")
      return yield* StartOffset.offsetAt(instance, queue, millis)
    }),
    topicMessageQueueChanges: (topic) =>
      Stream.tick(config.topicMetadataCheckIntervalMillis).pipe(
        Stream.mapEffect(() =>
          queues(topic).pipe(
            Effect.asSome,
            Effect.catch((error) =>
              error._tag === "IllegalServiceState" ? Effect.fail(error) : Effect.succeed(Option.none())
            )
          )
        ),
        Stream.flatMap((found) => Stream.fromIterable(Option.toArray(found))),
        Stream.changesWith((a, b) => Equal.equals(a.map(MessageQueue.key), b.map(MessageQueue.key)))
      )
  }
})
