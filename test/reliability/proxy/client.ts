import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import { FaultProxy } from "../../../src/testing/index.ts"
import { emptyBody, isResponse, type RemotingCommand, type Request } from "../../../src/protocol/RemotingCommand.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { failureOf, text } from "../../support/rig.ts"
import { elapsed, eventually, makeProducer, Proxies } from "./rig.ts"

/** The state of a producer's client instance. */
export const state = (producer: DefaultMQProducerShape) =>
  Effect.map(producer.state, ({ instance }) => {
    if (instance === undefined) throw new Error("the producer is not running")
    return instance
  })

/** Sends until one is acknowledged, and says how many it took. */
export const acknowledged = (producer: DefaultMQProducerShape, topic = "orders") =>
  Effect.gen(function* () {
    let tries = 0
    yield* eventually(
      "a send is acknowledged",
      Effect.map(Effect.exit(producer.send(text(topic))), (exit) => {
        tries++
        return exit._tag === "Success"
      })
    )
    return tries
  })

/** Whether the client has an open connection to the address. */
export const openTo = (producer: DefaultMQProducerShape, address: string) =>
  Effect.map(state(producer), ({ sockets }) =>
    sockets.some((socket) => socket.address === address && socket.state === "open")
  )

/** Whether a frame is a message on its way to a broker. */
export const isSend = (command: RemotingCommand | undefined): boolean =>
  command !== undefined && !isResponse(command) && command.code === RequestCode.SEND_MESSAGE_V2

/** Whether a frame is a request of a code, about topic `orders` if it names a topic. */
export const isOf =
  (code: number) =>
  (command: RemotingCommand): boolean =>
    command.code === code && (command.extFields?.["topic"] ?? "orders") === "orders"

/** A frame that could be read. */
export type Passing = FaultProxy.PassingFrame & { readonly command: RemotingCommand }

/**
 * Notes the requests of a kind on their way up, and replaces their answers on their way down. Gives the toxics, one for
 * each direction, for one connection at a time.
 */
export const answersOf = (
  isAsked: (command: RemotingCommand) => boolean,
  change: (answer: Passing, request: RemotingCommand) => ReadonlyArray<Uint8Array>
) => {
  const asked: Array<RemotingCommand> = []
  const pending = new Map<number, RemotingCommand>()
  const upstream = FaultProxy.frames(({ bytes, command }) => {
    if (command !== undefined && !isResponse(command) && isAsked(command)) {
      asked.push(command)
      pending.set(command.opaque, command)
    }
    return [bytes]
  })
  const downstream = FaultProxy.frames((frame) => {
    const { bytes, command } = frame
    const request = command === undefined || !isResponse(command) ? undefined : pending.get(command.opaque)
    if (command === undefined || request === undefined) return [bytes]
    pending.delete(command.opaque)
    return change({ ...frame, command }, request)
  })
  return {
    /** The requests that went up. */
    asked,
    install: (proxy: FaultProxy.FaultProxy) =>
      Effect.gen(function* () {
        const up = yield* proxy.add(upstream, "upstream")
        const down = yield* proxy.add(downstream, "downstream")
        return { remove: Effect.andThen(up.remove, down.remove) }
      })
  }
}

/** Behind the first frame of a broker, which answers a heartbeat, come these requests, as if the broker had sent them. */
export const flooding = (requests: ReadonlyArray<Request>) =>
  Effect.gen(function* () {
    const { broker } = yield* Proxies
    let sent = false
    yield* broker("broker-a").add(
      FaultProxy.frames(({ bytes: whole, command }) => {
        if (sent || command === undefined) return [whole]
        sent = true
        const frames = requests.map((request, n) =>
          encode({
            code: request.code,
            extFields: { ...request.extFields },
            body: request.body ?? emptyBody,
            remark: undefined,
            flag: 0,
            language: "JAVA",
            version: 513,
            serializeType: "JSON",
            opaque: 1_000_000 + n
          })
        )
        return [whole, ...frames]
      }),
      "downstream"
    )
  })

/** So many requests. */
export const many = (count: number, make: (n: number) => Request): ReadonlyArray<Request> =>
  Array.from({ length: count }, (_, n) => make(n))

/** {@link answersOf} of sends. */
export const answersOfSends = (change: (answer: Passing) => ReadonlyArray<Uint8Array>) => {
  const { asked, install } = answersOf(isSend, change)
  return { sends: asked, install }
}

/** Everything that clients send through the proxies. */
export const overheard = Effect.gen(function* () {
  const { all } = yield* Proxies
  const heard: Array<Uint8Array> = []
  const ear = FaultProxy.corrupt((chunk) => {
    heard.push(Uint8Array.from(chunk))
    return chunk
  })
  for (const proxy of all()) yield* proxy.add(ear, "upstream")
  return () => Buffer.concat(heard)
})

/** What each name server was found to be by a start that fails. */
export const refusedStart = (producer: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const starting = yield* makeProducer({ producer: { readiness: "nameServer", ...producer } })
    const { exit, millis } = yield* elapsed(starting.start)
    assert.isBelow(millis, 20_000)
    const { reason } = failureOf(exit)
    if (reason._tag !== "NameServerUnavailable") throw new Error(reason.message)
    return reason.tries
  })
