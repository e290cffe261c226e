import { Context, Effect } from "effect"
import * as Dns from "node:dns/promises"
import { isIP } from "node:net"
import * as Address from "../transport/Address.ts"

/** How long a look-up may take, in milliseconds. */
const TIMEOUT_MILLIS = 3_000
/** How many addresses of one name count; those beyond are left out. */
const MAX_ADDRESSES = 64

/**
 * Looks a host name up and gives all its addresses; fails where it has none. The default asks the system, as a dial does;
 * provide another for tests, or for names that only you know.
 */
export const HostLookup: Context.Reference<(host: string) => Effect.Effect<ReadonlyArray<string>, unknown>> =
  Context.Reference<(host: string) => Effect.Effect<ReadonlyArray<string>, unknown>>(
    "effect-rocketmq/client/HostLookup",
    {
      defaultValue: () => (host) =>
        Effect.map(
          Effect.tryPromise(() => Dns.lookup(host, { all: true })),
          (found) => found.map(({ address }) => address)
        )
    }
  )

/**
 * Each address that `host:port` stands for, without repetition: a name with several records is several servers. The
 * address as it is where the host is no name, or where the look-up fails or takes over 3 s: a dial then says why.
 */
export const everyAddress = Effect.fnUntraced(function* (address: string) {
  const parsed = Address.parse(address)
  if ("_tag" in parsed || isIP(parsed.host) !== 0) return [address]
  const lookup = yield* HostLookup
  const found = yield* lookup(parsed.host).pipe(
    Effect.timeout(TIMEOUT_MILLIS),
    Effect.orElseSucceed((): ReadonlyArray<string> => [])
  )
  const hosts = [...new Set(found)].slice(0, MAX_ADDRESSES)
  return hosts.length === 0 ? [address] : hosts.map((host) => Address.format({ host, port: parsed.port }))
})
