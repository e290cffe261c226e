import type { Duration } from "effect"
import { Effect } from "effect"
import type { ServiceState } from "../client/ServiceState.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import { SimpleConsumer as Service } from "../consumer/simple/SimpleConsumer.ts"
import type { SimpleConsumerOptions } from "../consumer/simple/SimpleOptions.ts"
import type {
  ExtendOutcome,
  PopAckOutcome,
  PoppedMessage as Popped,
  ReceiveOptions,
  SimpleConsumerShape,
  SimpleConsumerState
} from "../consumer/simple/SimpleShape.ts"
import type { Subscription } from "../consumer/subscription/Subscription.ts"
import { type PlainParts, redact } from "./Options.ts"
import type { CallOptions, Run } from "./Run.ts"
import { lifeCalls, start, type Started } from "./Start.ts"

/** The options of a simple consumer for code without Effect: those of the other face, with plain secrets. */
export interface PlainSimpleConsumerOptions extends Omit<SimpleConsumerOptions, "credentials" | "tls">, PlainParts {}

/** A message that was received: hidden from the other members for a while, and to be acknowledged. */
export interface PoppedMessage {
  /** The message. Its `attempt` says how often the group got it. */
  readonly message: ReceivedMessage
  /** Until when it is hidden, by this machine's clock in milliseconds since the epoch. */
  readonly expiresAt: () => Promise<number>
  /** Says that it is consumed; tried again until its time is over. Rejected with `SettleError` where trying does not help. */
  readonly ack: (options?: CallOptions) => Promise<PopAckOutcome>
  /** Hides it for so long from now on, 1 second to 12 hours; tried again as an acknowledgement is. */
  readonly extend: (invisible: Duration.Input, options?: CallOptions) => Promise<ExtendOutcome>
  /**
   * Runs its handler, extends its time whenever two thirds of it are over, and acknowledges it when the handler has succeeded.
   * Rejected with what the handler throws; the message then comes again. The handler's signal is aborted with the call's.
   */
  readonly process: (
    handler: (message: ReceivedMessage, signal: AbortSignal) => Promise<unknown>,
    options?: CallOptions
  ) => Promise<PopAckOutcome>
}

/** A started simple consumer; `await using` shuts it down. */
export interface SimpleConsumer extends AsyncDisposable {
  /** Its group, without the namespace. */
  readonly consumerGroup: string
  /** RUNNING, and SHUTDOWN_ALREADY after the shutdown. */
  readonly serviceState: () => Promise<ServiceState>
  /** Everything there is to see of the consumer now. */
  readonly state: () => Promise<SimpleConsumerState>
  /** {@link state} now and after each change of a problem or the service state; it ends with the consumer. */
  readonly stateChanges: () => AsyncIterable<SimpleConsumerState>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: () => Promise<boolean>
  /** Subscribes to topics, or to topics with other filters, from the next `receive` on. */
  readonly subscribe: (...subscriptions: ReadonlyArray<Subscription>) => Promise<void>
  /** Ends the subscription to a topic. */
  readonly unsubscribe: (topic: string, options?: CallOptions) => Promise<void>
  /** The next messages; none when the time is over. Rejected with `ReceiveError`. */
  readonly receive: (options?: ReceiveOptions & CallOptions) => Promise<ReadonlyArray<PoppedMessage>>
  /** Ends calls that wait, gives acknowledgements their time, and releases everything. Never rejected; may be repeated. */
  readonly shutdown: () => Promise<void>
}

const plainMessage = (run: Run, { ack, expiresAt, extend, message, process }: Popped): PoppedMessage => ({
  message,
  expiresAt: () => run(expiresAt, undefined),
  ack: (options) => run(ack, options?.signal),
  extend: (invisible, options) => run(extend(invisible), options?.signal),
  process: (handler, options) =>
    run(
      process(Effect.tryPromise({ try: async (signal) => handler(message, signal), catch: (thrown) => thrown })),
      options?.signal
    )
})

const calls = (started: Started<SimpleConsumerShape>): SimpleConsumer => {
  const { run, service: consumer } = started
  return {
    ...lifeCalls(started),
    consumerGroup: consumer.consumerGroup,
    healthy: () => run(consumer.healthy, undefined),
    subscribe: (...subscriptions) => run(consumer.subscribe(...subscriptions), undefined),
    unsubscribe: (topic, options) => run(consumer.unsubscribe(topic), options?.signal),
    receive: (options) =>
      run(
        Effect.map(consumer.receive(options), (all) => all.map((popped) => plainMessage(run, popped))),
        options?.signal
      )
  }
}

/**
 * The simple consumer for code without Effect.
 *
 * @example
 * ```ts
 * import { SimpleConsumer, Subscription } from "effect-rocketmq/promise"
 *
 * await using consumer = await SimpleConsumer.start({
 *   consumerGroup: "thumbnails",
 *   subscriptions: [Subscription.all("images")],
 *   namesrvAddr: "127.0.0.1:9876"
 * })
 * for (const popped of await consumer.receive({ max: 8, invisible: "30 seconds" })) {
 *   process.stdout.write(`${popped.message.keys.join(" ")}\n`)
 *   await popped.ack()
 * }
 * ```
 */
export const SimpleConsumer = {
  /** A started consumer. Rejected with a `StartError` when it cannot start, and has released everything then. */
  start: async (options: PlainSimpleConsumerOptions, call: CallOptions = {}): Promise<SimpleConsumer> =>
    calls(await start(Service, Service.layer(redact(options)), options.services, call.signal)),
  /** A started consumer with what is not given read from the environment; the names are in docs/configuration.md. */
  startConfig: async (
    options: Partial<PlainSimpleConsumerOptions> = {},
    call: CallOptions = {}
  ): Promise<SimpleConsumer> =>
    calls(await start(Service, Service.layerConfig(redact(options)), options.services, call.signal))
}
