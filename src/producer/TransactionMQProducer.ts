import { Context, Effect, Exit, Layer } from "effect"
import { ConfigProblem, type StartError } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import type { Resolution } from "../client/options/OptionTable.ts"
import * as ForeignText from "../message/ForeignText.ts"
import type { Message } from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { decodeOffsetMessageId } from "../message/MessageId.ts"
import type { SendResult } from "../message/SendResult.ts"
import { SysFlag } from "../message/SysFlag.ts"
import type { EncodeOptions, Topic } from "../message/Topic.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import { acceptRead, DefaultMQProducer, type DefaultMQProducerShape, makeExtended } from "./DefaultMQProducer.ts"
import { commitOrRollback, remarkOf } from "./transaction/EndOfTransaction.ts"
import { type LocalTransactionState, ofExit } from "./transaction/LocalTransactionState.ts"
import { type PreparedMessage, withProperties } from "./send/PreparedMessage.ts"
import { InvalidMessage, type SendError } from "./send/SendError.ts"
import type { SendOptions } from "./send/SendOptions.ts"
import { encode } from "./TypedSends.ts"
import { inEndpointNamespace } from "./ProducerOptions.ts"
import * as TransactionConfig from "./TransactionConfig.ts"
import * as TransactionChecks from "./transaction/TransactionChecks.ts"
import { LocalTransactionTimeout, TransactionNotRun } from "./transaction/TransactionError.ts"
import * as Drain from "../client/Drain.ts"

/**
 * The options of a transactional producer. With `topics` the readiness is `registered` unless another one is given: the
 * brokers then know the producer before it has sent anything, so that they can ask about messages of an earlier run.
 */
export interface TransactionProducerOptions<R> extends TransactionConfig.TransactionConfigOptions {
  /**
   * Says what has become of the local transaction of a half message that is still undecided; a broker asks. A failure, a
   * defect and running out of time count as UNKNOW: the broker asks again, 15 times in all unless it is configured
   * otherwise. A half message whose transaction never ran should be answered ROLLBACK_MESSAGE.
   */
  readonly checkLocalTransaction: (message: MessageExt) => Effect.Effect<LocalTransactionState, unknown, R>
}

/** Options of one transaction. */
export interface TransactionOptions<A, E> extends SendOptions {
  /**
   * What the end of the local transaction says; by default `LocalTransactionState.ofExit`. Override it where a typed failure leaves open
   * whether the transaction is done (a connection that was lost during the COMMIT): that is UNKNOW.
   */
  readonly stateOf?: ((exit: Exit.Exit<A, E | LocalTransactionTimeout>) => LocalTransactionState) | undefined
}

/** A local transaction that succeeded, and its message. Source: RocketMQ `TransactionSendResult`. */
export interface TransactionResult<A> {
  /** Of the half message; its `queueOffset` and `offsetMsgId` are not those under which consumers get the message. */
  readonly sendResult: SendResult
  /** What the broker was told; COMMIT_MESSAGE unless `stateOf` says otherwise. */
  readonly localTransactionState: LocalTransactionState
  /** What the local transaction gave. */
  readonly value: A
}

/** What a transactional producer has counted since it was made. */
export interface TransactionCounters {
  /** Transactions begun. */
  readonly begun: number
  /** Transactions that ended with COMMIT_MESSAGE, checks aside. */
  readonly committed: number
  /** Transactions that ended with ROLLBACK_MESSAGE, checks aside. */
  readonly rolledBack: number
  /** Left open, to be decided by a check. */
  readonly unknown: number
  /** END_TRANSACTIONs that could not be handed to the broker; a check decides instead. */
  readonly endsLost: number
  /** Transactions under way. */
  readonly underway: number
  /** What became of the brokers' checks. */
  readonly checks: TransactionChecks.CheckCounters
}

/** A transactional producer: everything that `DefaultMQProducer` has, and transactions. */
export interface TransactionMQProducerShape extends DefaultMQProducerShape {
  /**
   * Sends a message that consumers get if, and only if, a local transaction succeeds: stores it as a half message, runs
   * the transaction, and commits or rolls back by its end. A success commits; a typed failure rolls back and is passed on;
   * after a defect or an interruption the message stays open, and `checkLocalTransaction` decides when the broker asks.
   *
   * The transaction may be a function of the half message's send result, for instance to store its `msgId` with the data
   * so that a check finds it. Delayed messages are refused.
   *
   * Fails with `SendError` when the half message was not acknowledged (the transaction was not run; where the outcome is
   * `unknown`, the broker may ask), with `TransactionNotRun` when it was not stored durably, and with
   * `LocalTransactionTimeout` when the transaction took too long.
   *
   * Source: RocketMQ `TransactionMQProducer.sendMessageInTransaction`.
   */
  readonly transaction: <A, E, R>(
    message: Message,
    local: Effect.Effect<A, E, R> | ((half: SendResult) => Effect.Effect<A, E, R>),
    options?: TransactionOptions<A, E>
  ) => Effect.Effect<TransactionResult<A>, SendError | TransactionNotRun | LocalTransactionTimeout | E, R>
  /** {@link transaction} of a value of a typed topic. One that does not fit it fails with a `SendError`; nothing is run. */
  readonly transactionTo: <V, RD, RE, A, E, R>(
    topic: Topic<V, RD, RE>,
    value: V,
    local: Effect.Effect<A, E, R> | ((half: SendResult) => Effect.Effect<A, E, R>),
    options?: TransactionOptions<A, E> & EncodeOptions
  ) => Effect.Effect<TransactionResult<A>, SendError | TransactionNotRun | LocalTransactionTimeout | E, R | RE>
  /** What it has counted. */
  readonly transactions: Effect.Effect<TransactionCounters>
}

/**
 * A producer with transactions.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Message, TransactionMQProducer } from "effect-rocketmq"
 *
 * const placeOrder = (id: string, insert: Effect.Effect<void, Error>) =>
 *   Effect.gen(function* () {
 *     const producer = yield* TransactionMQProducer
 *     yield* producer.transaction(Message.make({ topic: "orders", body: id, keys: id }), insert)
 *   })
 *
 * const Producer = TransactionMQProducer.layer({
 *   producerGroup: "orders-pg",
 *   namesrvAddr: "127.0.0.1:9876",
 *   topics: ["orders"],
 *   checkLocalTransaction: (message) => Effect.succeed("UNKNOW")
 * })
 * ```
 *
 * Source: RocketMQ `TransactionMQProducer`.
 */
export class TransactionMQProducer extends Context.Service<TransactionMQProducer, TransactionMQProducerShape>()(
  "effect-rocketmq/producer/TransactionMQProducer"
) {
  /** A producer in Java's shape, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = <R = never>(
    options: TransactionProducerOptions<R>
  ): Effect.Effect<TransactionMQProducerShape, never, MQClientManager | R> =>
    Effect.suspend(() => make(TransactionConfig.resolve(options), options.checkLocalTransaction))

  /** A started producer for as long as the layer's scope is open; closing it is the shutdown. */
  static readonly layer = <R = never>(
    options: TransactionProducerOptions<R>
  ): Layer.Layer<TransactionMQProducer, StartError, MQClientManager | R> =>
    Layer.effect(TransactionMQProducer, started(options))

  /**
   * {@link layer}, and the same producer as `DefaultMQProducer`: for code that only sends. Two of these must not be merged,
   * nor one with a `DefaultMQProducer.layer`: a layer that is merged later takes the place of the other's producer.
   */
  static readonly layerWithProducer = <R = never>(
    options: TransactionProducerOptions<R>
  ): Layer.Layer<TransactionMQProducer | DefaultMQProducer, StartError, MQClientManager | R> =>
    Layer.effectContext(Effect.map(started(options), both))

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md, as `DefaultMQProducer.layerConfig`
   * reads them; the check is code and comes by itself.
   */
  static readonly layerConfig = <R = never>(
    checkLocalTransaction: TransactionProducerOptions<R>["checkLocalTransaction"],
    options?: TransactionConfig.Overrides
  ): Layer.Layer<TransactionMQProducer, StartError, MQClientManager | R> =>
    Layer.effect(TransactionMQProducer, startedConfig(checkLocalTransaction, options))

  /** {@link layerConfig}, and the same producer as `DefaultMQProducer`: see {@link layerWithProducer}. */
  static readonly layerConfigWithProducer = <R = never>(
    checkLocalTransaction: TransactionProducerOptions<R>["checkLocalTransaction"],
    options?: TransactionConfig.Overrides
  ): Layer.Layer<TransactionMQProducer | DefaultMQProducer, StartError, MQClientManager | R> =>
    Layer.effectContext(Effect.map(startedConfig(checkLocalTransaction, options), both))
}

const started = <R>(options: TransactionProducerOptions<R>) =>
  Effect.suspend(() => startedFrom(TransactionConfig.resolve(options), options.checkLocalTransaction))

const startedFrom = Effect.fnUntraced(function* <R>(
  resolution: Resolution<TransactionConfig.TransactionConfig>,
  checkLocalTransaction: TransactionProducerOptions<R>["checkLocalTransaction"]
) {
  const producer = yield* make(resolution, checkLocalTransaction)
  // Before the start: it does nothing where nothing runs.
  yield* Effect.addFinalizer(() => producer.shutdown)
  yield* producer.start
  return TransactionMQProducer.of(producer)
})

const startedConfig = <R>(
  checkLocalTransaction: TransactionProducerOptions<R>["checkLocalTransaction"],
  options: TransactionConfig.Overrides | undefined
) =>
  Effect.flatMap(TransactionConfig.reader.readConfig(options), (resolution) =>
    Effect.andThen(acceptRead(resolution), startedFrom(resolution, checkLocalTransaction))
  )

/** One producer as both services. */
const both = (producer: TransactionMQProducerShape): Context.Context<TransactionMQProducer | DefaultMQProducer> =>
  Context.add(Context.make(TransactionMQProducer, producer), DefaultMQProducer, producer)

const delayProperties = [
  MessageConst.DELAY_TIME_LEVEL,
  MessageConst.TIMER_DELAY_SEC,
  MessageConst.TIMER_DELAY_MS,
  MessageConst.TIMER_DELIVER_MS
]

/** A message made ready as a half message. */
const asHalf =
  (producerGroup: string) =>
  (prepared: PreparedMessage): PreparedMessage | InvalidMessage => {
    const properties = MessageProperties.decode(prepared.properties)
    if (delayProperties.some((name) => properties[name] !== undefined)) {
      const problem = "is not possible for a message of a transaction; leave it out"
      return new InvalidMessage({ topic: prepared.topic, field: "delay", problem })
    }
    const half = withProperties(prepared, {
      [MessageConst.TRANSACTION_PREPARED]: "true",
      [MessageConst.PRODUCER_GROUP]: producerGroup
    })
    return "sysFlag" in half ? { ...half, sysFlag: half.sysFlag | SysFlag.TRANSACTION_PREPARED } : half
  }

/** Whoever writes no types could leave the check out. */
const withCheck = <C>({ config, problems }: Resolution<C>, check: unknown): Resolution<C> =>
  typeof check === "function"
    ? { config, problems }
    : {
        config,
        problems: [...problems, new ConfigProblem({ path: "checkLocalTransaction", problem: "must be a function" })]
      }

const make = Effect.fnUntraced(function* <R>(
  given: Resolution<TransactionConfig.TransactionConfig>,
  checkLocalTransaction: TransactionProducerOptions<R>["checkLocalTransaction"]
) {
  const resolution = yield* inEndpointNamespace(given)
  const context = yield* Effect.context<R>()
  const { transactionTimeoutMillis } = resolution.config
  // A check names the group as users do, whichever way it was given.
  const checks = TransactionChecks.make(resolution.config, (message) =>
    Effect.provideContext(checkLocalTransaction(message), context)
  )
  const pending = Drain.make()
  const counters = { begun: 0, committed: 0, rolledBack: 0, unknown: 0, endsLost: 0 }

  const { config, producer, running } = yield* makeExtended(withCheck(resolution, checkLocalTransaction), {
    attach: checks.attach,
    drain: (timeoutMillis) =>
      Effect.map(
        Effect.all([pending.drain(timeoutMillis), checks.drain(timeoutMillis)], { concurrency: "unbounded" }),
        ([transactions, asked]) => transactions + asked
      )
  })
  const ready = asHalf(config.producerGroup)

  /** Tells the broker; it asks when this gets lost. */
  const end = (
    instance: MQClientInstanceShape,
    half: SendResult,
    state: LocalTransactionState,
    remark: string | undefined
  ): Effect.Effect<void> => {
    const { brokerName, topic } = half.queue
    const lost = (problem: string) => {
      counters.endsLost++
      return Effect.logWarning(
        `the end (${state}) of transaction ${half.msgId} did not reach broker ${brokerName}, which will ask: ${problem}`
      )
    }
    const address = instance.routes.findBrokerAddressInPublish(brokerName)
    const place = decodeOffsetMessageId(half.offsetMsgId)
    if (address === undefined) return lost("its master is not known")
    // Rounded, it would be the place of another message.
    if (place === undefined || place.offset > BigInt(Number.MAX_SAFE_INTEGER)) {
      return lost(`its message id "${ForeignText.clean(half.offsetMsgId)}" cannot be read`)
    }
    return instance.api
      .endTransactionOneway(
        address,
        {
          topic,
          producerGroup: config.producerGroup,
          tranStateTableOffset: half.queueOffset,
          commitLogOffset: Number(place.offset),
          commitOrRollback: commitOrRollback[state],
          fromTransactionCheck: false,
          msgId: half.msgId,
          transactionId: half.transactionId ?? half.msgId,
          brokerName
        },
        remark,
        config.sendMsgTimeout
      )
      .pipe(Effect.catch((error) => lost(error.message)))
  }

  const count = (state: LocalTransactionState) => {
    if (state === "COMMIT_MESSAGE") counters.committed++
    else if (state === "ROLLBACK_MESSAGE") counters.rolledBack++
    else counters.unknown++
  }

  const bounded = <A, E, R2>(topic: string, msgId: string, local: Effect.Effect<A, E, R2>) =>
    transactionTimeoutMillis === undefined
      ? local
      : Effect.timeoutOrElse(local, {
          duration: transactionTimeoutMillis,
          orElse: () =>
            Effect.fail(new LocalTransactionTimeout({ topic, msgId, timeoutMillis: transactionTimeoutMillis }))
        })

  const transaction: TransactionMQProducerShape["transaction"] = <A, E, R2>(
    message: Message,
    local: Effect.Effect<A, E, R2> | ((half: SendResult) => Effect.Effect<A, E, R2>),
    transactionOptions?: TransactionOptions<A, E>
  ) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        counters.begun++
        const parts = yield* running(message.topic)
        const sendResult = yield* restore(parts.engine.sendAs(message, ready, transactionOptions))
        const { msgId, status } = sendResult
        const { topic } = sendResult.queue
        if (status !== "SEND_OK") {
          count("ROLLBACK_MESSAGE")
          yield* end(parts.instance, sendResult, "ROLLBACK_MESSAGE", undefined)
          return yield* new TransactionNotRun({ topic, msgId, status })
        }
        const exit = yield* Effect.exit(
          restore(
            bounded(
              topic,
              msgId,
              Effect.suspend(() => (Effect.isEffect(local) ? local : local(sendResult)))
            )
          )
        )
        const localTransactionState = (transactionOptions?.stateOf ?? ofExit)(exit)
        count(localTransactionState)
        const remark = Exit.isFailure(exit)
          ? remarkOf("executeLocalTransactionBranch exception: ", exit.cause)
          : undefined
        yield* end(parts.instance, sendResult, localTransactionState, remark)
        return Exit.isSuccess(exit)
          ? { sendResult, localTransactionState, value: exit.value }
          : yield* Effect.failCause(exit.cause)
      }).pipe(pending.track)
    )

  const self: TransactionMQProducerShape = {
    ...producer,
    transaction,
    transactionTo: (topic, value, local, transactionOptions) =>
      Effect.flatMap(encode(topic, value, transactionOptions), (message) =>
        transaction(message, local, transactionOptions)
      ),
    transactions: Effect.sync(() => ({ ...counters, underway: pending.count(), checks: { ...checks.counters } }))
  }
  return self
})
