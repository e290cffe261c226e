import { Clock, Console, Effect } from "effect"
import { localAddress } from "../../client/ClientId.ts"
import { EmbeddedCluster } from "../../embedded/EmbeddedCluster.ts"
import { networkInterfaces } from "node:os"
import { reporting, UsageError } from "../Failure.ts"
import { isLoopback, isUnspecified } from "../../client/HostKind.ts"
import { palette, Screen } from "../Screen.ts"
import { duration, json, table } from "../Text.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** What `dev` is asked. */
export interface DevInput {
  readonly host: string
  /** The name server's port; 9876 with brokers from 10911 up when absent. */
  readonly port: number | undefined
  readonly brokers: number
  readonly json: boolean
}

/** The ports of RocketMQ's own configuration. */
const NAMESRV_PORT = 9_876
const BROKER_PORT = 10_911

// How this program is called: in a checkout it is not on the path.
const PROGRAM = import.meta.url.endsWith(".ts") ? "npm run --silent cli --" : "effect-rocketmq"

const start = ({ brokers, host, port }: DevInput) =>
  EmbeddedCluster.layer({
    brokers,
    // Brokers of a cluster with a port of its own take free ones, so that two clusters fit on a machine.
    listen: { host, namesrvPort: port ?? NAMESRV_PORT, brokerPort: port === undefined ? BROKER_PORT : 0 },
    recordTraffic: false
  })

const announce = Effect.fnUntraced(function* (input: DevInput, millis: number) {
  const cluster = yield* EmbeddedCluster
  const screen = yield* Screen
  const { namesrvAddr } = cluster
  if (!isLoopback(input.host)) {
    yield* Console.error(
      `${palette(screen.stderr).warn("warning:")} ${input.host} is not a loopback address: whoever can reach it can read and write, there is no access control`
    )
  }
  if (input.json) {
    yield* Console.log(
      json({
        namesrvAddr,
        clusterName: cluster.clusterName,
        nameServers: cluster.nameServers.map(({ address, name }) => ({ name, address })),
        brokers: cluster.brokers.map(({ address, id, name, vipAddress }) => ({
          name,
          id,
          address,
          vipAddress: vipAddress ?? null
        }))
      })
    )
    return
  }
  const colors = palette(screen.stdout)
  yield* Console.log(`${colors.good("ready")} in ${duration(millis)}: RocketMQ in this process, kept in memory only`)
  yield* Console.log("")
  const rows = table([
    ...cluster.nameServers.map(({ address }) => ["name server", address, "", ""]),
    ...cluster.brokers.map(({ address, name, vipAddress }) => [
      name,
      address,
      cluster.clusterName,
      // Clients with vipChannelEnabled send nowhere else.
      vipAddress === undefined ? "no VIP channel: its port is taken" : `VIP channel ${vipAddress}`
    ])
  ])
  for (const row of rows) yield* Console.log(`  ${row}`)
  yield* Console.log("")
  yield* Console.log(colors.dim("Topics are created by the first send. In another terminal:"))
  yield* Console.log(`  export NAMESRV_ADDR="${namesrvAddr}"`)
  yield* Console.log(`  ${PROGRAM} send --topic orders --body hello`)
  yield* Console.log(`  ${PROGRAM} peek --topic orders`)
  yield* Console.log(colors.dim("Ctrl-C ends it."))
})

/** `effect-rocketmq dev`: an embedded cluster on TCP until a signal comes. */
export const run = (input: DevInput) =>
  Effect.gen(function* () {
    if (isUnspecified(input.host)) {
      const own = localAddress(networkInterfaces())
      return yield* new UsageError({
        problem: `--host ${input.host} is no address that clients can connect to, and brokers announce the address they listen on.`,
        remedy: `Pass one address of this machine, such as --host ${own}.`
      })
    }
    const clock = yield* Clock.Clock
    const now = monotonicMillis(clock)
    const begin = now()
    return yield* Effect.suspend(() => announce(input, now() - begin)).pipe(
      Effect.andThen(Effect.never),
      Effect.provide(start(input))
    )
  }).pipe(reporting())
