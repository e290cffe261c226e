import { Clock, Context, Deferred, Effect, Exit, Layer, Random, Scope, type Stream, SubscriptionRef } from "effect"
import * as Millis from "../message/Millis.ts"
import { withDefaults } from "../client/ClientConfig.ts"
import {
  IllegalServiceState,
  InvalidConfig,
  StartError,
  StartInterrupted,
  type StartReason,
  StartTimeout
} from "../client/ClientError.ts"
import { HostInfo } from "../client/ClientId.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import { makeJournal, runStep } from "../client/StartStep.ts"
import type { Message } from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { makeUniqueIds } from "../message/MessageId.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as Namespace from "../message/Namespace.ts"
import type { SendResult } from "../message/SendResult.ts"
import * as ConfigNames from "./ConfigNames.ts"
import type { Extension, Running } from "./RunningProducer.ts"
import * as MessageSends from "./ProducerSends.ts"
import * as ProducerConfig from "./ProducerConfig.ts"
import { awaitReadiness } from "./ProducerStart.ts"
import { type ProducerState, viewOf } from "./ProducerState.ts"
import type { NotARequest, RequestReplyClosed, RequestReplyTimeout } from "./reply/ReplyError.ts"
import * as RequestReply from "./reply/RequestReply.ts"
import * as Send from "./send/SendEngine.ts"
import { SendError } from "./send/SendError.ts"
import * as SharedStart from "../client/SharedStart.ts"
import type { SendOptions } from "./send/SendOptions.ts"
import * as Telemetry from "./telemetry/Telemetry.ts"
import * as TopicPublishInfoTable from "./queue/TopicPublishInfoTable.ts"
import { checkGroup } from "./send/Validators.ts"

/** A producer: what `DefaultMQProducer.make` and the layers give. */
export interface DefaultMQProducerShape extends MessageSends.MessageSends {
  readonly producerGroup: string
  readonly serviceState: Effect.Effect<ServiceState>
  /** The service state now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /**
   * Starts the producer: steps 2.1 to 2.7 of docs/startup.md. Fails with a `StartError` that names the step and the
   * reason, and has then released everything. Callers that come while a start is under way share its outcome; one that
   * comes later is refused, and the running producer stays unharmed. After an interruption or a failure the state is
   * START_FAILED (CREATE_JUST after a duplicate group, as in Java) and a new producer of the same identity can be
   * started; an interruption that comes after the last step shuts the producer down, unless others share the start.
   */
  readonly start: Effect.Effect<void, StartError>
  /**
   * Ends the producer: no send begins, those under way have `drainTimeoutMillis` to end, the brokers are told, and
   * everything it held is released. Sends that are left over end with their own deadline, or at once with `ClientClosed`
   * when nobody else uses the client instance. In any state but RUNNING it does nothing; while a start is under way it
   * waits for that first.
   */
  readonly shutdown: Effect.Effect<void>
  /**
   * Sends a message that nobody acknowledges; succeeds when its bytes have been handed to the socket. Best effort: what
   * the connection took and the broker never read is lost, and nothing tells of it.
   */
  readonly sendOneway: (message: Message, options?: SendOptions) => Effect.Effect<void, SendError>
  /**
   * Sends a message and waits until a consumer has replied to it. Fails with a `SendError` when the message could not be
   * sent, with `RequestReplyTimeout` when no reply came in time (of the request as a whole), and with
   * `RequestReplyClosed` when the producer was shut down meanwhile.
   */
  readonly request: (
    message: Message,
    timeoutMillis: number,
    options?: RequestReply.RequestOptions
  ) => Effect.Effect<MessageExt, SendError | RequestReplyTimeout | RequestReplyClosed>
  /**
   * Replies to a request that was consumed. Succeeds when the requester has taken the reply; fails with a `SendError` when
   * it could not be reached, and with `NotARequest` when the message does not ask for a reply.
   */
  readonly reply: (
    request: MessageExt,
    reply: RequestReply.ReplyInput,
    options?: SendOptions
  ) => Effect.Effect<SendResult, SendError | NotARequest>
  /** The queues of a topic that can be written, for {@link SendOptions.queue}. */
  readonly fetchPublishMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, SendError>
  /** Everything there is to see of the producer now. */
  readonly state: Effect.Effect<ProducerState>
}

/**
 * A RocketMQ producer.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
 *
 * const program = Effect.gen(function* () {
 *   const producer = yield* DefaultMQProducer
 *   const result = yield* producer.send(Message.make({ topic: "orders", body: "hello" }))
 *   yield* Effect.log(`stored as ${result.offsetMsgId}`)
 * })
 *
 * const producer = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr: "127.0.0.1:9876" })
 *
 * Effect.runPromise(program.pipe(Effect.provide(producer.pipe(Layer.provide(MQClientManager.layerTcp)))))
 * ```
 *
 * Source: RocketMQ `DefaultMQProducer`, `DefaultMQProducerImpl`.
 */
export class DefaultMQProducer extends Context.Service<DefaultMQProducer, DefaultMQProducerShape>()(
  "effect-rocketmq/producer/DefaultMQProducer"
) {
  /** A producer in Java's shape: made in CREATE_JUST, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = (
    options: ProducerConfig.ProducerOptions
  ): Effect.Effect<DefaultMQProducerShape, never, MQClientManager> => make(options)

  /** A started producer for as long as the layer's scope is open; closing it is the shutdown. */
  static readonly layer = (
    options: ProducerConfig.ProducerOptions
  ): Layer.Layer<DefaultMQProducer, StartError, MQClientManager> => Layer.effect(DefaultMQProducer, started(options))

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_PRODUCER_GROUP`,
   * `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its own. Everything that cannot be
   * used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = (
    options?: ConfigNames.ConfigOverrides
  ): Layer.Layer<DefaultMQProducer, StartError, MQClientManager> =>
    Layer.effect(
      DefaultMQProducer,
      ConfigNames.fromConfig(options).pipe(
        Effect.mapError(
          (reason) => new StartError({ step: "2.2", name: "check the configuration and the group", reason })
        ),
        Effect.flatMap(started)
      )
    )
}

const started = Effect.fnUntraced(function* (options: ProducerConfig.ProducerOptions) {
  const producer = yield* make(options)
  // Before the start: it does nothing where nothing runs.
  yield* Effect.addFinalizer(() => producer.shutdown)
  yield* producer.start
  return DefaultMQProducer.of(producer)
})

const make = (options: ProducerConfig.ProducerOptions) => Effect.map(makeExtended(options), ({ producer }) => producer)

/** {@link DefaultMQProducer.make}, and what another kind of producer is built with. */
export const makeExtended = Effect.fnUntraced(function* (
  options: ProducerConfig.ProducerOptions,
  extension?: Extension
) {
  const manager = yield* MQClientManager
  const config = ProducerConfig.withoutNamespace(withDefaults(ProducerConfig.defaults, options))
  const { producerGroup } = config
  const subject = `producer ${producerGroup}`
  const stateRef = yield* SubscriptionRef.make<ServiceState>("CREATE_JUST")
  const journal = makeJournal()
  const table = TopicPublishInfoTable.make(yield* firstTurn)
  let stopping: Deferred.Deferred<void> | undefined
  let running: Running | undefined

  const stateNow = () => SubscriptionRef.getUnsafe(stateRef)
  const illegal = (action: string, expected: ServiceState) =>
    new IllegalServiceState({ subject, action, expected, actual: stateNow() })

  const step = <A, R>(id: string, name: string, self: Effect.Effect<A, StartReason | StartError, R>) =>
    runStep(journal, id, name, self)

  const checkConfig = Effect.suspend((): Effect.Effect<void, StartReason> => {
    const group = checkGroup(producerGroup)
    if (group !== undefined) return Effect.fail(group)
    const problems = [...ProducerConfig.problems(config), ...(extension?.problems ?? [])]
    return problems.length === 0 ? Effect.void : Effect.fail(new InvalidConfig({ problems }))
  })

  const acquire = Effect.fnUntraced(function* () {
    yield* step("2.2", "check the configuration and the group", checkConfig)
    const instance = yield* step("2.3", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))
    const more = yield* extension?.attach(instance) ?? Effect.succeed({})
    yield* step(
      "2.3.2",
      "register in the producer table",
      instance.registerProducer({
        producerGroup,
        publishTopicList: table.topics,
        updateTopicPublishInfo: table.update,
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
    const sends = yield* Send.make(config, instance, table, uniqueIds, telemetry.observer)
    const messages = yield* MessageSends.make(config, instance, table, uniqueIds, sends, () =>
      stopping === undefined ? undefined : illegal("recall", "RUNNING")
    )
    const requests = yield* RequestReply.make(config, instance, table, sends)
    yield* telemetry.watch(sends)
    yield* step("2.5", `instance is running, ready: ${config.readiness}`, awaitReadiness(instance, config))
    // The state itself is written when nothing can fail or be interrupted any more.
    yield* step("2.6", "set RUNNING", Effect.void)
    return { instance, sends, messages, requests, telemetry }
  })

  const timeout = Effect.suspend(() => {
    // The deadline has interrupted the step by now, and its own steps before it.
    const interrupted = journal.records.find((record) => record.outcome === "interrupted")
    const { id: during, name } = interrupted ?? { id: "2.1", name: "set START_FAILED" }
    const reason = new StartTimeout({ timeoutMillis: config.startTimeoutMillis, during: name })
    return Effect.fail(new StartError({ step: during, name, reason }))
  })

  // What the steps acquire goes into a scope of this start; closing that is the whole roll-back.
  const run = Effect.fnUntraced(function* (restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) {
    const scope = yield* Scope.make()
    const guard = step(
      "2.1",
      "set START_FAILED",
      Effect.suspend(() =>
        stateNow() === "CREATE_JUST"
          ? SubscriptionRef.set(stateRef, "START_FAILED")
          : Effect.fail(illegal("start", "CREATE_JUST"))
      )
    )
    const exit = yield* Effect.exit(
      restore(
        Effect.andThen(guard, acquire()).pipe(
          Effect.timeoutOrElse({ duration: config.startTimeoutMillis, orElse: () => timeout }),
          Scope.provide(scope)
        )
      )
    )
    if (Exit.isFailure(exit)) {
      yield* Scope.close(scope, exit)
      table.clear()
      const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")
      if (error?.error.reason._tag === "DuplicateProducerGroup") yield* SubscriptionRef.set(stateRef, "CREATE_JUST")
      return yield* Effect.failCause(exit.cause)
    }
    running = { scope, ...exit.value }
    yield* SubscriptionRef.set(stateRef, "RUNNING")
    yield* Effect.annotateLogs(Effect.logDebug(`${subject} is RUNNING`), {
      clientId: running.instance.clientId,
      group: producerGroup
    })
    yield* step("2.7", "heartbeat to all brokers", exit.value.instance.heartbeat.sendHeartbeatToAllBroker).pipe(
      Effect.ignore,
      Effect.forkIn(scope, { startImmediately: true })
    )
    return undefined
  })

  const sharedStart = SharedStart.make<StartError>({
    // Refused here and not by a step: nothing of the first start is touched, its record of steps included.
    refusal: () =>
      stateNow() === "CREATE_JUST"
        ? undefined
        : new StartError({ step: "2.1", name: "set START_FAILED", reason: illegal("start", "CREATE_JUST") }),
    run: (restore) =>
      Effect.withSpan(Effect.asVoid(run(restore)), "rocketmq.start", {
        attributes: { "messaging.system": "rocketmq", "messaging.rocketmq.producer.group": producerGroup }
      }),
    interrupted: () => new StartError({ step: "2", name: "start", reason: new StartInterrupted({ subject }) }),
    undo: Effect.suspend(() => shutdown)
  })

  const close = Effect.fnUntraced(function* ({ instance, messages, requests, scope, sends, telemetry }: Running) {
    const clock = yield* Clock.Clock
    const begin = clock.monotonicTimeNanosUnsafe()
    // For who comes now it is over, although the state is RUNNING for as long as something is held.
    const over = { subject, action: "send", expected: "RUNNING", actual: "SHUTDOWN_ALREADY" } as const
    const bound = config.drainTimeoutMillis
    messages.close()
    const lefts = yield* Effect.all(
      [
        sends.drain(bound, () => new IllegalServiceState(over)),
        requests.drain(bound),
        extension?.drain(bound) ?? Effect.succeed(0)
      ],
      { concurrency: "unbounded" }
    )
    const left = lefts.reduce((sum, one) => sum + one, 0)
    if (left > 0) {
      yield* Effect.annotateLogs(
        Effect.logWarning(
          `${subject} shuts down with ${left} send(s) under way after ${Millis.text(config.drainTimeoutMillis)}`
        ),
        { clientId: instance.clientId, group: producerGroup }
      )
    }
    if (telemetry.trace !== undefined) {
      const spent = Number(clock.monotonicTimeNanosUnsafe() - begin) / 1e6
      yield* telemetry.trace.flush(config.drainTimeoutMillis - spent)
    }
    yield* Scope.close(scope, Exit.void)
    table.clear()
    yield* SubscriptionRef.set(stateRef, "SHUTDOWN_ALREADY")
    yield* Effect.annotateLogs(Effect.logDebug(`${subject} is shut down`), {
      clientId: instance.clientId,
      group: producerGroup
    })
  })

  const shutdown: DefaultMQProducerShape["shutdown"] = Effect.uninterruptible(
    Effect.suspend(() => {
      if (stopping !== undefined) return Deferred.await(stopping)
      const starting = sharedStart.underWay()
      if (starting !== undefined) {
        return Effect.andThen(
          starting,
          Effect.suspend(() => shutdown)
        )
      }
      if (running === undefined || stateNow() !== "RUNNING") return Effect.void
      const mine = Deferred.makeUnsafe<void>()
      stopping = mine
      return Effect.onExit(close(running), () => Deferred.succeed(mine, undefined))
    })
  )

  const refuse = (topic: string) =>
    Effect.fail(
      new SendError({ topic, msgId: undefined, outcome: "not-sent", attempts: [], reason: illegal("send", "RUNNING") })
    )

  const self: DefaultMQProducerShape = {
    producerGroup,
    serviceState: SubscriptionRef.get(stateRef),
    serviceStateChanges: SubscriptionRef.changes(stateRef),
    start: sharedStart.start,
    shutdown,
    ...MessageSends.facade(
      () => running?.messages,
      () => illegal("send", "RUNNING")
    ),
    sendOneway: (message, sendOptions) =>
      Effect.suspend(() => running?.sends.sendOneway(message, sendOptions) ?? refuse(message.topic)),
    fetchPublishMessageQueues: (topic) =>
      Effect.suspend(
        () => running?.sends.fetchPublishMessageQueues(Namespace.unwrap(config.namespace, topic)) ?? refuse(topic)
      ),
    request: (message, timeoutMillis, requestOptions) =>
      Effect.suspend(() => running?.requests.request(message, timeoutMillis, requestOptions) ?? refuse(message.topic)),
    reply: (request, reply, sendOptions) =>
      Effect.suspend(() => running?.requests.reply(request, reply, sendOptions) ?? refuse(request.topic)),
    state: Effect.gen(function* () {
      const serviceState = stateNow()
      const instance =
        serviceState === "RUNNING" ? yield* running?.instance.state ?? Effect.succeed(undefined) : undefined
      const { records } = journal
      return viewOf(
        { producerGroup, serviceState, steps: [...records], topics: [...table.topics()], instance },
        running
      )
    })
  }
  const parts = (topic: string) =>
    Effect.suspend((): Effect.Effect<Running, SendError> =>
      running === undefined ? refuse(topic) : Effect.succeed(running)
    )
  return { producer: self, config, running: parts }
})

/** Where the round robin of a new topic begins: anywhere, so that many producers do not all begin at one queue. */
const firstTurn = Effect.map(Random.Random, (random) => () => Math.floor(random.nextDoubleUnsafe() * 0x10000))
