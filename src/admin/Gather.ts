import { Effect } from "effect"
import type { DecodeAnswer } from "../client/MQClientApi.ts"
import type { BrokerAddress } from "./AdminContext.ts"
import { TooMuchAnswered } from "./AdminError.ts"

/** How many brokers are asked at once. */
export const BROKERS_AT_ONCE = 8

/** Bytes that the answers of all brokers to one call may have together: each is a frame of up to 16 MiB. */
export const MAX_GATHERED_BYTES = 256 * 1024 * 1024

/** Reads an answer, and counts its body among what the call gathers. */
export type Counted = <A>(decode: DecodeAnswer<A>) => DecodeAnswer<A>

/**
 * Asks brokers side by side and gives their answers in the brokers' order. Fails with `TooMuchAnswered` when the bodies that
 * went through `counted` are larger than `limit` bytes together: brokers decide how much they answer, and how many there are.
 */
export const gather = <A, E>(
  subject: string,
  brokers: ReadonlyArray<BrokerAddress>,
  ask: (broker: BrokerAddress, counted: Counted) => Effect.Effect<A, E>,
  limit: number = MAX_GATHERED_BYTES
): Effect.Effect<ReadonlyArray<A>, E | TooMuchAnswered> => gatherEach(subject, brokers, ask, { limit })

/** {@link gather} for whatever else is asked one by one, members of a group for instance. */
export const gatherEach = <T, A, E>(
  subject: string,
  asked: ReadonlyArray<T>,
  ask: (one: T, counted: Counted) => Effect.Effect<A, E>,
  {
    concurrency = BROKERS_AT_ONCE,
    limit = MAX_GATHERED_BYTES
  }: { readonly concurrency?: number; readonly limit?: number }
): Effect.Effect<ReadonlyArray<A>, E | TooMuchAnswered> =>
  Effect.suspend(() => {
    let bytes = 0
    let answered = 0
    const counted: Counted = (decode) => (answer) => {
      bytes += answer.body.length
      return decode(answer)
    }
    return Effect.forEach(
      asked,
      (one) =>
        Effect.flatMap(ask(one, counted), (answer) => {
          answered += 1
          return bytes > limit
            ? Effect.fail(new TooMuchAnswered({ subject, bytes, limit, answered, brokers: asked.length }))
            : Effect.succeed(answer)
        }),
      { concurrency }
    )
  })
