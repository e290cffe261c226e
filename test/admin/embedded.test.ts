/** What an administrator can do on the embedded cluster, speaking as 5.5.0 and as 4.9.7. */
import { Effect, Layer } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { facts, type Release, Target, type TargetBroker } from "../conformance/Target.ts"
import { administration } from "./administration.ts"

const target = (release: Release) =>
  Layer.effect(
    Target,
    Effect.map(EmbeddedCluster, (cluster) => {
      const broker = (index: number): TargetBroker => {
        const found = cluster.brokers[index]
        if (found === undefined) throw new Error(`the embedded cluster has no broker ${index}`)
        return { name: found.name, address: found.address }
      }
      return Target.of({
        kind: "embedded",
        release,
        facts: facts[release],
        namesrvAddr: cluster.namesrvAddr,
        clusterName: cluster.clusterName,
        brokers: [broker(0), broker(1)],
        stopSecondBroker: Effect.orDie(cluster.stopBroker("broker-b")),
        startSecondBroker: Effect.orDie(cluster.startBroker("broker-b")),
        openConnections: Effect.succeed(0)
      })
    })
  ).pipe(Layer.provideMerge(EmbeddedCluster.layerTcp({ brokers: 2, version: facts[release].brokerVersion })))

administration("administration of the embedded cluster", target("5.5.0"))
administration("administration of the embedded cluster as 4.9.7", target("4.9.7"))
