/** What the rows on the cluster of two brokers share. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Message from "../../../src/message/Message.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import type { SendOptions } from "../../../src/producer/send/SendOptions.ts"
import { eventuallyThat } from "../../conformance/support.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { request } from "../RawRemoting.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import type { ServerNode } from "../ServerNode.ts"
import type { services } from "../support.ts"

/** How a part of the suite registers its tests. */
export type Methods = Vitest.MethodsNonLive<Layer.Success<ReturnType<typeof services>>>

/** Longer than any test: nothing is polled. */
export const NEVER_MILLIS = 3_600_000

/** The names of the brokers. */
export const [A, B] = ["broker-a", "broker-b"]

/** A broker by its name. */
export const brokerNamed = (name: string) =>
  Effect.map(RocketMQ, ({ brokers }): ServerNode => {
    const broker = brokers.find((node) => node.name === name)
    assert.isDefined(broker)
    return broker
  })

/** Sends a small message. */
export const send = (producer: DefaultMQProducerShape, topic: string, options?: SendOptions) =>
  producer.send(Message.make({ topic, body: "x" }), options)

/** Connects to every broker of a topic and learns its route. */
export const warm = Effect.fnUntraced(function* (producer: DefaultMQProducerShape, topic: string) {
  for (const queue of yield* producer.fetchPublishMessageQueues(topic)) yield* send(producer, topic, { queue })
})

/** The client's end of its connection to an address. */
export const socketTo = (producer: DefaultMQProducerShape, address: string) =>
  Effect.map(producer.state, ({ instance }) => instance?.sockets.find((socket) => socket.address === address))

/** Waits until so many requests are under way on the connection to an address: written, and not answered. */
export const untilInFlight = (producer: DefaultMQProducerShape, address: string, count: number) =>
  eventuallyThat(socketTo(producer, address), (socket) => assert.isAtLeast(socket?.inFlight ?? 0, count))

/** Stops a server in its tracks for as long as the effect runs. */
export const paused = <T, E, R>(server: ServerNode, self: Effect.Effect<T, E, R>) =>
  Effect.acquireUseRelease(
    server.pause,
    () => self,
    () => server.resume
  )

/** Kills a server for as long as the effect runs. */
export const killed = <T, E, R>(server: ServerNode, self: Effect.Effect<T, E, R>) =>
  Effect.acquireUseRelease(
    server.kill,
    () => self,
    () => Effect.orDie(server.start)
  )

/** Sets a setting of a broker: `name=value`. */
export const setBrokerConfig = (address: string, setting: string) =>
  eventuallyThat(
    request(address, { code: RequestCode.UPDATE_BROKER_CONFIG, body: Buffer.from(`${setting}\n`) }),
    (answer) => assert.strictEqual(answer?.code, 0, answer?.remark)
  )

/** Sets what may be done with a broker, which tells the name servers at once. */
export const setBrokerPermission = (address: string, perm: number) =>
  setBrokerConfig(address, `brokerPermission=${perm}`)
