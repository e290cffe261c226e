import { Console, Effect } from "effect"
import type { ClientConnection } from "../../admin/Clients.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { printTable } from "../Output.ts"
import { json, table } from "../Text.ts"

/** What `group clients` is asked. */
export interface GroupClientsInput extends Connection {
  readonly group: string
  readonly json: boolean
}

const clientJson = ({ brokers, clientAddr, clientId, language, version }: ClientConnection) => ({
  clientId,
  clientAddr,
  language,
  version,
  brokers
})

/** `effect-rocketmq group clients`: who is online as a producer or a consumer of a group. */
export const run = (input: GroupClientsInput) =>
  Effect.gen(function* () {
    const { group } = input
    const admin = yield* MQAdmin
    const producers = yield* admin.examineProducerConnectionInfo(group)
    const consumers = yield* admin.examineConsumerConnectionInfo(group)
    if (producers.length === 0 && consumers.connections.length === 0) yield* knownGroup(group)
    if (input.json) {
      yield* Console.log(
        json({
          group,
          producers: producers.map(clientJson),
          consumers: consumers.connections.map(clientJson),
          consumeType: consumers.consumeType ?? null,
          messageModel: consumers.messageModel ?? null,
          consumeFromWhere: consumers.consumeFromWhere ?? null,
          subscriptions: consumers.subscriptions.map(({ expressionType, subString, topic }) => ({
            topic,
            subString,
            expressionType
          }))
        })
      )
      return
    }
    const rows = [
      ...producers.map((client) => ["producer", client] as const),
      ...consumers.connections.map((client) => ["consumer", client] as const)
    ].map(([role, { brokers, clientAddr, clientId, language }]) => [
      role,
      clientId,
      clientAddr,
      language,
      brokers.join(", ")
    ])
    if (rows.length === 0) {
      yield* Console.error(`nobody of group ${group} is online`)
      return
    }
    yield* printTable(["ROLE", "CLIENT", "ADDRESS", "LANGUAGE", "BROKERS"], rows)
    for (const { expressionType, subString, topic } of consumers.subscriptions) {
      for (const line of table([[`subscribes ${topic} ${expressionType} ${subString}`]])) yield* Console.log(line)
    }
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
