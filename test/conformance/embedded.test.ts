/** The conformance suite on the embedded cluster: over TCP, over memory, and speaking as an older release. */
import { Effect, Layer } from "effect"
import { EmbeddedCluster, MemoryWire } from "../../src/testing/index.ts"
import { conformance } from "./suite.ts"
import { facts, type Release, Target, type TargetBroker } from "./Target.ts"

// Brokers ask about half messages soon, so that nobody waits for it.
const config = { transactionTimeOut: 1_000, transactionCheckInterval: 3_000, recallMessageEnable: true }
const OPTIONS = {
  brokers: [
    { name: "broker-a", config: { ...config, enablePropertyFilter: true } },
    { name: "broker-b", config }
  ]
}

const target = <E, R>(release: Release, openConnections: Effect.Effect<number, E, R>) =>
  Layer.effect(
    Target,
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const context = yield* Effect.context<R>()
      const broker = (index: number): TargetBroker => {
        const found = cluster.brokers[index]
        if (found === undefined) throw new Error(`the embedded cluster has no broker ${index}`)
        return { name: found.name, address: found.address }
      }
      const second = broker(1)
      return Target.of({
        kind: "embedded",
        release,
        facts: facts[release],
        namesrvAddr: cluster.namesrvAddr,
        clusterName: cluster.clusterName,
        brokers: [broker(0), second],
        stopSecondBroker: Effect.orDie(cluster.stopBroker(second.name)),
        startSecondBroker: Effect.orDie(cluster.startBroker(second.name)),
        openConnections: Effect.orDie(Effect.provideContext(openConnections, context))
      })
    })
  )

const memory = (release: Release) =>
  target(
    release,
    Effect.flatMap(MemoryWire.MemoryNetwork, (network) => network.connections())
  ).pipe(Layer.provideMerge(EmbeddedCluster.layerMemory({ ...OPTIONS, version: facts[release].brokerVersion })))

const tcp = (release: Release) =>
  target(
    release,
    Effect.sync(() => process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length)
  ).pipe(Layer.provideMerge(EmbeddedCluster.layerTcp({ ...OPTIONS, version: facts[release].brokerVersion })))

conformance("embedded cluster over TCP", tcp("5.5.0"))
conformance("embedded cluster in memory", memory("5.5.0"))
conformance("embedded cluster in memory as 4.9.7", memory("4.9.7"))
