import { Effect } from "effect"
import type { ConsumeResult } from "../consumer/ConsumeResult.ts"
import * as Effects from "../consumer/MessageListener.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import type { Topic, TopicDecodeError } from "../message/Topic.ts"
import type { PlainHandler } from "./DefaultMQPushConsumer.ts"
import { run } from "./Run.ts"

/** Options of {@link decoded}. */
export interface DecodedOptions {
  /** What a message means whose body the topic's schema cannot read; by default a dead letter: it will not get better. */
  readonly onDecodeError?: ((error: TopicDecodeError, message: ReceivedMessage) => ConsumeResult) | undefined
}

/** A handler of a typed topic's values, for `DefaultMQPushConsumer.start`; it is rejected with what the function throws. */
export const decoded = <A, RE>(
  topic: Topic<A, never, RE>,
  handler: (
    value: A,
    message: ReceivedMessage,
    signal: AbortSignal
  ) => ConsumeResult | void | Promise<ConsumeResult | void>,
  options: DecodedOptions = {}
): PlainHandler => {
  const handle = Effects.decoded(
    topic,
    (value, message) => Effect.promise(async (signal) => handler(value, message, signal)),
    options
  )
  return (message, signal) => run(handle(message), signal)
}
