import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { printDone } from "../Output.ts"
import { count, json } from "../Text.ts"

/** What `cluster writable` and `cluster unwritable` are asked. */
export interface ClusterWritableInput extends Connection {
  /** The broker's name. */
  readonly broker: string
  readonly writable: boolean
  /** Whether it is meant; asked only of what takes a broker away from producers. */
  readonly yes: boolean
  readonly json: boolean
}

/** `effect-rocketmq cluster writable` and `unwritable`: whether producers are sent to a broker. */
export const run = (input: ClusterWritableInput) =>
  Effect.gen(function* () {
    const { broker, writable } = input
    if (!writable && !input.yes) {
      return yield* new UsageError({
        problem: `Every topic of broker ${broker} would lose its write permission at every name server: producers leave it, consumers read what is there.`,
        remedy: "Pass --yes if that is meant."
      })
    }
    const admin = yield* MQAdmin
    const nameServers = yield* writable ? admin.addWritePermOfBroker(broker) : admin.wipeWritePermOfBroker(broker)
    if (input.json) return yield* Console.log(json({ broker, writable, nameServers }))
    for (const { nameServer, topicCount } of nameServers) {
      yield* printDone(
        `${nameServer}: ${count(topicCount, "topic")} of broker ${broker} ${writable ? "writable again" : "no more writable"}`
      )
    }
    return undefined
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
