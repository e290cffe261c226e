import { Effect } from "effect"
import { AddressTranslator } from "../../../src/client/AddressTranslator.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import type { Handler, MessageListener } from "../../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { isResponse } from "../../../src/protocol/RemotingCommand.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { eventually, proxied, type ProxiedOptions, type ProxiedServices, Proxies, startProducer } from "./rig.ts"

/** The group of all members. */
export const GROUP = "billing"
/** The body of a message as text. */
export const textOf = ({ body }: ReceivedMessage) => new TextDecoder().decode(body)

/** What handlers got: texts, in their order. */
export type Seen = Array<string>

/** A member of the group, behind the proxies, that notices a dead connection soon; it leaves with the scope. */
export const join = Effect.fnUntraced(function* (
  name: string,
  seen: Seen,
  handler: Handler<string, never> | MessageListener<string, never> = () => Effect.void,
  options: Partial<PushConsumerOptions> = {}
) {
  const { namesrvAddr } = yield* Proxies
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup: GROUP,
      subscriptions: [Subscription.all("orders")],
      namesrvAddr,
      instanceName: name,
      consumeFromWhere: "first",
      startTimeoutMillis: 20_000,
      heartbeatBrokerInterval: 300,
      mqClientApiTimeout: 500,
      pollNameServerInterval: 500,
      persistConsumerOffsetInterval: 200,
      persistConsumerOffsetInitialDelay: 200,
      reconsumePolicy: { delay: () => "1 second" },
      remoting: { reconnectBackoffMillis: { initial: 5, max: 40 } },
      ...options
    },
    typeof handler === "function"
      ? (message) => {
          seen.push(textOf(message))
          return handler(message)
        }
      : handler
  )
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return consumer
})

/** Sends texts to the topic, one after the other. */
export const send = (producer: DefaultMQProducerShape, texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (body) => producer.send(Message.make({ topic: "orders", body })), { discard: true })

/** Numbers as texts. */
export const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `${from + n}`)

/** Waits until each of the texts was delivered. */
export const hasAll = (seen: Seen, texts: ReadonlyArray<string>) =>
  eventually(
    `all of ${texts.length} are delivered`,
    Effect.sync(() => texts.every((text) => seen.includes(text)))
  )

/** Waits until a member has no problem. */
export const isWell = (consumer: DefaultMQPushConsumerShape) => eventually("it is well", consumer.healthy)

/** Runs a test with a producer behind the proxies. */
export const row = <E>(
  given: ProxiedOptions,
  body: (producer: DefaultMQProducerShape) => Effect.Effect<void, E, ProxiedServices>
) =>
  proxied(
    given,
    Effect.flatMap(
      startProducer({ producer: { topics: ["orders"], sendMsgTimeout: 15_000, ...given.producer }, ...given }),
      body
    )
  )

/** Lets no request of a code through; the others pass. */
export const without = (...codes: ReadonlyArray<number>) =>
  FaultProxy.frames(({ bytes, command }) =>
    command !== undefined && !isResponse(command) && codes.includes(command.code) ? [] : [bytes]
  )

/**
 * Proxies in front of the brokers for one member alone, so that what happens to it happens to nobody else. It is a client
 * instance by itself, and leaves with the scope.
 */
export const apart = Effect.gen(function* () {
  const { brokers } = yield* EmbeddedCluster
  const own = new Map<string, FaultProxy.FaultProxy>()
  for (const { address } of brokers) own.set(address, yield* FaultProxy.make({ target: address }))
  return {
    proxies: [...own.values()],
    join: (...args: Parameters<typeof join>) =>
      Effect.provideService(join(...args), AddressTranslator, {
        translate: ({ address }) => Effect.sync(() => own.get(address)?.address ?? address)
      })
  }
})

/** How many queues of the topic each of the members has. */
export const shares = (...members: ReadonlyArray<DefaultMQPushConsumerShape>) =>
  Effect.forEach(members, ({ assignment }) =>
    Effect.map(assignment, (queues) => queues.filter(({ topic }) => topic === "orders").length)
  )

/** Waits until the members have so many queues of the topic. */
export const haveShares = (counts: ReadonlyArray<number>, ...members: ReadonlyArray<DefaultMQPushConsumerShape>) =>
  eventually(
    `shares of ${counts.join(" and ")}`,
    Effect.map(shares(...members), (all) => all.every((count, index) => count === counts[index]))
  )
