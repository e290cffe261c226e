import { Effect } from "effect"
import type { Heartbeat } from "../../client/Heartbeat.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Outgoing } from "./Outgoing.ts"

/** What a broker of a release understands. */
const forVersion = (outgoing: Outgoing, version: number): Outgoing =>
  outgoing.legacyProperties === undefined || version >= MQVersion.V5_0_0
    ? outgoing
    : { ...outgoing, properties: outgoing.legacyProperties }

/**
 * A send as the broker at an address understands it. One that has not told its release yet is asked by a heartbeat, for so
 * many milliseconds at most, and taken for one of 5.x when it does not answer.
 */
export const forBroker = (
  heartbeat: Heartbeat,
  outgoing: Outgoing,
  address: string,
  limitMillis: number
): Effect.Effect<Outgoing> =>
  Effect.suspend(() => {
    const known = () => {
      const version = heartbeat.table.get(address)?.version
      return version === undefined ? undefined : forVersion(outgoing, version)
    }
    const ready = known()
    if (ready !== undefined) return Effect.succeed(ready)
    const asked = Effect.ignore(Effect.timeoutOption(heartbeat.sendHeartbeat(address), limitMillis))
    return Effect.map(asked, () => known() ?? outgoing)
  })
