/**
 * An embedded cluster as a process of its own: `node peer.ts <brokers>`. It says where it listens, answers `look` with what
 * it holds, and ends with the process that started it. What it stored long ago it forgets.
 */
import { Effect } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { PeerLook } from "./Peers.ts"

const TOPIC = "endurance"
const KEPT = 1_000

const brokers = Number(process.argv[2] ?? "2")

/** Counts what was stored and lets go of all but the newest. */
const trim = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  for (const { store } of cluster.brokers) {
    for (let queueId = 0; queueId < 4; queueId++) {
      store.trim(TOPIC, queueId, store.offsets(TOPIC, queueId).max - KEPT)
    }
  }
})

const look = Effect.gen(function* () {
  const cluster = yield* EmbeddedCluster
  const found: PeerLook = {
    clients: (yield* cluster.clients).length,
    sockets: process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length,
    stored: cluster.brokers.reduce((sum, { store }) => sum + store.stats().puts, 0)
  }
  return found
})

const main = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster
  yield* Effect.forkChild(Effect.forever(Effect.andThen(trim, Effect.sleep(500))))
  const services = yield* Effect.context<EmbeddedCluster>()
  process.on("message", () => {
    process.send?.(Effect.runSyncWith(services)(look))
  })
  process.on("disconnect", () => process.exit(0))
  process.send?.({ namesrvAddr })
  return yield* Effect.never
})

void Effect.runPromise(
  Effect.provide(main, EmbeddedCluster.layerTcp({ brokers, topics: { [TOPIC]: {} }, recordTraffic: false }))
)
