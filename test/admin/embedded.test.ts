/** What an administrator can do on the embedded cluster, speaking as 5.5.0 and as 4.9.7. */
import { assert, describe } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { facts, type Release, Target, type TargetBroker } from "../conformance/Target.ts"
import { administration } from "./administration.ts"
import { everyConsumerRequest, everyProducerRequest, everyServerSetting, untried } from "./everyRequest.ts"

const credentials = { accessKey: "admin-key", secretKey: Redacted.make("admin-secret") }
// Brokers ask about half messages soon, so that nobody waits for it.
const config = { transactionTimeOut: 1_000, transactionCheckInterval: 3_000, recallMessageEnable: true }
const brokerNames = ["broker-a", "broker-b"]
/** Brokers and name servers that let in nobody else. */
const acl = { users: [{ accessKey: "admin-key", secretKey: "admin-secret" }], nameServer: true }

const target = (release: Release, guarded = false) =>
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
        credentials: guarded ? credentials : undefined,
        brokers: [broker(0), broker(1)],
        stopSecondBroker: Effect.orDie(cluster.stopBroker("broker-b")),
        startSecondBroker: Effect.orDie(cluster.startBroker("broker-b")),
        requestCodes: Effect.map(cluster.traffic.all, (all) => all.map(({ code }) => code)),
        openConnections: Effect.succeed(0)
      })
    })
  ).pipe(
    Layer.provideMerge(
      EmbeddedCluster.layerTcp({
        brokers: brokerNames.map((name) => ({ name, config })),
        version: facts[release].brokerVersion,
        ...(guarded ? { acl } : {})
      })
    )
  )

administration("administration of the embedded cluster", target("5.5.0"))
administration("administration of the embedded cluster as 4.9.7", target("4.9.7"))

for (const release of ["5.5.0", "4.9.7"] satisfies ReadonlyArray<Release>) {
  // In their order, whatever else is shuffled: the last one looks at what all of them asked. Without access control the same
  // tests come in any order.
  describe("all requests", { shuffle: false }, () => {
    administration(
      `administration of the embedded cluster as ${release}, under access control`,
      target(release, true),
      (test) => {
        test.effect(
          "the requests of producers, consumers and who sets servers up are signed as the servers take them, each of them",
          () =>
            Effect.gen(function* () {
              yield* everyProducerRequest
              yield* everyConsumerRequest
              yield* everyServerSetting
              const { requestCodes = Effect.succeed([]) } = yield* Target
              // All of them together, those of the other tests of this suite included.
              assert.deepStrictEqual(untried(yield* requestCodes, release), [])
            })
        )
      }
    )
  })
}
