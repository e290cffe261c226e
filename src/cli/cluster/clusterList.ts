import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { NO_BROKER, reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { json } from "../Text.ts"

/** What `cluster list` is asked. */
export interface ClusterListInput extends Connection {
  readonly json: boolean
}

/** `effect-rocketmq cluster list`: the clusters, their brokers and where those listen. */
export const run = (input: ClusterListInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { brokerAddrTable, clusterAddrTable } = yield* admin.examineBrokerClusterInfo
    const clusters = [...clusterAddrTable]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, brokerNames]) => ({
        name,
        brokers: brokerNames
          .toSorted()
          .flatMap((brokerName) =>
            [...(brokerAddrTable.get(brokerName)?.brokerAddrs ?? [])]
              .toSorted(([a], [b]) => a - b)
              .map(([brokerId, address]) => ({ brokerName, brokerId, address }))
          )
      }))
    if (input.json) {
      yield* Console.log(json({ clusters }))
      return
    }
    if (clusters.length === 0) {
      yield* Console.error(NO_BROKER)
      return
    }
    yield* printTable(
      ["CLUSTER", "BROKER", "ROLE", "ADDRESS"],
      clusters.flatMap(({ brokers, name }) =>
        brokers.map(({ address, brokerId, brokerName }) => [
          name,
          brokerName,
          brokerId === 0 ? "master" : `slave ${brokerId}`,
          address
        ])
      )
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
