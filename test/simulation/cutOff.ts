import { Effect, Random } from "effect"
import { type Group, type Members, QUEUE_CAP } from "./members.ts"

/** A member whose process goes on while its network is gone, for longer than a broker keeps its locks. */

/** Of so many seeds one has it. */
const RARE = 4

/** Milliseconds: a broker gives a lock to another member after 60 s. */
const LASTS = 90_000

/**
 * Milliseconds that handlers in order take meanwhile. The last that begins in the 30 s in which a lock is believed ends before
 * a broker's 60 s are over; one that begins behind it does not.
 */
const SLOW = 22_000

/** Milliseconds after which its pulls, which have failed again and again, are tried once more: the pause grows to 30 s and a quarter. */
const PULLED_AGAIN = 38_000

/** Milliseconds in which what is sent comes to the member. */
const FULL_WITHIN = 5_000

/** Cuts a member off, now and then, after `send` has given it something to do; whether it did. */
export const now = Effect.fnUntraced(function* (members: Members, group: Group, send: Effect.Effect<void>) {
  if ((yield* Random.nextIntBetween(0, RARE)) > 0) return false
  const [member] = [...members].filter((one) => one.group.name === group.name)
  if (member === undefined) return false
  member.pace.millis = SLOW
  yield* send
  for (let waited = 0; waited < FULL_WITHIN; waited += 100) {
    if ((yield* member.consumer.state).queues.some(({ cached }) => cached === QUEUE_CAP)) break
    yield* Effect.sleep(100)
  }
  yield* member.wire.cut
  yield* Effect.sleep(LASTS)
  member.pace.millis = undefined
  yield* member.wire.mend
  yield* Effect.sleep(PULLED_AGAIN)
  return true
})
