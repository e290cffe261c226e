import { Effect, type Exit } from "effect"
import * as Message from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import type { SendResult } from "../message/SendResult.ts"
import { type LocalTransactionState, ofExit } from "../producer/transaction/LocalTransactionState.ts"
import type { Topic } from "../message/Topic.ts"
import type { TypedSendOptions } from "../producer/TypedSends.ts"
import type { SendOptions } from "../producer/send/SendOptions.ts"
import {
  type TransactionCounters,
  TransactionMQProducer as Service,
  type TransactionMQProducerShape,
  type TransactionResult
} from "../producer/TransactionMQProducer.ts"
import type { TransactionSettings } from "../producer/TransactionSettings.ts"
import { calls, type DefaultMQProducer } from "./DefaultMQProducer.ts"
import { type PlainOptions, redact } from "./Options.ts"
import type { CallOptions, Run } from "./Run.ts"
import { start } from "./Start.ts"

/** The options of a transactional producer for code without Effect. */
export interface PlainTransactionOptions extends PlainOptions, TransactionSettings {
  /**
   * Says what has become of the local transaction of a half message that is still undecided; a broker asks. A rejection
   * and running out of time count as UNKNOW: the broker asks again.
   */
  readonly checkLocalTransaction: (message: MessageExt, signal: AbortSignal) => Promise<LocalTransactionState>
  /**
   * What a local transaction that threw says. By default UNKNOW, as in Java: nobody knows how far it came, and the check
   * decides. Say ROLLBACK_MESSAGE for errors that mean that nothing was done.
   */
  readonly stateOf?: ((error: unknown) => LocalTransactionState) | undefined
}

/** A transactional producer for code without Effect: everything that `DefaultMQProducer` has, and transactions. */
export interface TransactionMQProducer extends DefaultMQProducer {
  /**
   * Sends a message that consumers get if, and only if, a local transaction succeeds: stores it as a half message, calls
   * `local`, and commits when that has ended well. What `local` throws the promise is rejected with; the message is then
   * what `stateOf` says. Also rejected with a `SendError`, `TransactionNotRun` or `LocalTransactionTimeout`. An abort
   * leaves the message to the check.
   */
  readonly transaction: <A>(
    message: Message.MessageInput,
    local: (half: SendResult, signal: AbortSignal) => A | Promise<A>,
    options?: SendOptions & CallOptions
  ) => Promise<TransactionResult<A>>
  /** {@link transaction} of a value of a typed topic. One that does not fit it is rejected with a `SendError`. */
  readonly transactionTo: <V, RD, A>(
    topic: Topic<V, RD>,
    value: V,
    local: (half: SendResult, signal: AbortSignal) => A | Promise<A>,
    options?: TypedSendOptions & CallOptions
  ) => Promise<TransactionResult<A>>
  /** What it has counted. */
  readonly transactions: () => Promise<TransactionCounters>
}

/** What a local transaction threw. */
class Thrown {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/** A local transaction as an effect that fails with what it threw. */
const localOf =
  <A>(local: (half: SendResult, signal: AbortSignal) => A | Promise<A>) =>
  (half: SendResult) =>
    Effect.tryPromise({ try: async (signal) => local(half, signal), catch: (error) => new Thrown(error) })

/** What the end of a local transaction says, where that is an error which it threw. */
const stateOfThrown =
  (stateOf: NonNullable<PlainTransactionOptions["stateOf"]>) =>
  <A, E>(exit: Exit.Exit<A, E>): LocalTransactionState => {
    const reasons = exit._tag === "Failure" ? exit.cause.reasons : []
    const thrown = reasons.find((reason) => reason._tag === "Fail" && reason.error instanceof Thrown)
    return thrown?._tag === "Fail" && thrown.error instanceof Thrown ? stateOf(thrown.error.error) : ofExit(exit)
  }

const unwrap = (error: unknown) => (error instanceof Thrown ? error.error : error)

/** The transactions of a producer as promises. */
const transactions = (
  producer: TransactionMQProducerShape,
  run: Run,
  given: NonNullable<PlainTransactionOptions["stateOf"]>
): Pick<TransactionMQProducer, "transaction" | "transactionTo"> => {
  const stateOf = stateOfThrown(given)
  return {
    transaction: (message, local, options) =>
      run(
        Effect.mapError(producer.transaction(Message.make(message), localOf(local), { ...options, stateOf }), unwrap),
        options?.signal
      ),
    transactionTo: (topic, value, local, options) =>
      run(
        Effect.mapError(producer.transactionTo(topic, value, localOf(local), { ...options, stateOf }), unwrap),
        options?.signal
      )
  }
}

/** The transactional producer for code without Effect. */
export const TransactionMQProducer = {
  /** A started producer. Rejected with a `StartError` when it cannot start, and has released everything then. */
  start: async (options: PlainTransactionOptions, { signal }: CallOptions = {}): Promise<TransactionMQProducer> => {
    const { checkLocalTransaction, stateOf = () => "UNKNOW", ...rest } = options
    const layer = Service.layer({
      ...redact(rest),
      checkLocalTransaction: (message) =>
        Effect.tryPromise({
          try: (aborted) => checkLocalTransaction(message, aborted),
          catch: (error) => error
        })
    })
    const started = await start(Service, layer, options.services, signal)
    const { run, service: producer } = started
    return {
      ...calls(started),
      ...transactions(producer, run, stateOf),
      transactions: () => run(producer.transactions, undefined)
    }
  }
}
