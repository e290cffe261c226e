/** The conformance target made of real RocketMQ, started by the rig. */
import { Effect, Layer } from "effect"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import { admin, guardedBy } from "../rocketmq/accessControl.ts"
import type { RigError } from "../rocketmq/RigError.ts"
import { RocketMQ } from "../rocketmq/RocketMQServer.ts"
import { facts, type Release, Target } from "./Target.ts"

/** Two masters and a name server of a release, on TCP; with access control if asked. Fails when they cannot be started. */
export const rocketmqTarget = (release: Release, isGuarded = false): Layer.Layer<Target | Wire, RigError> =>
  Layer.effect(
    Target,
    Effect.gen(function* () {
      const cluster = yield* RocketMQ
      const [first, second] = cluster.brokers
      if (first === undefined || second === undefined) return yield* Effect.die("the rig did not start two brokers")
      return Target.of({
        kind: "rocketmq",
        release,
        facts: facts[release],
        namesrvAddr: cluster.namesrvAddr,
        clusterName: cluster.clusterName,
        credentials: isGuarded ? admin : undefined,
        brokers: [first, second],
        stopSecondBroker: second.kill,
        startSecondBroker: Effect.orDie(second.start),
        openConnections: Effect.sync(
          () => process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length
        )
      })
    })
  ).pipe(
    Layer.provide(
      RocketMQ.layer({
        version: release,
        files: isGuarded ? (guardedBy[release].files ?? {}) : {},
        brokers: [{ name: "broker-a", properties: { enablePropertyFilter: "true" } }, { name: "broker-b" }],
        // Brokers ask about half messages soon, and write soon which ones are decided.
        brokerProperties: {
          transactionTimeOut: "1000",
          transactionCheckInterval: "3000",
          transactionOpBatchInterval: "100",
          recallMessageEnable: "true",
          ...(isGuarded ? guardedBy[release].brokerProperties : {})
        }
      })
    ),
    Layer.provideMerge(TcpWire.layer)
  )
