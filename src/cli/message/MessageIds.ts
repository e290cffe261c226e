import { Effect } from "effect"
import type { AdminError } from "../../admin/AdminError.ts"

/** An id as it was typed, and as RocketMQ writes ids, which somebody may have copied in small letters. */
const spellings = (id: string): ReadonlyArray<string> => [
  ...new Set([id, ...(/^[0-9A-Fa-f]{32,}$/.test(id) ? [id.toUpperCase()] : [])])
]

/** Looks for a message by its id in each way to write it, and fails as the first look did when none is found. */
export const inAnyCase = <A, R>(
  id: string,
  find: (id: string) => Effect.Effect<A, AdminError, R>
): Effect.Effect<A, AdminError, R> =>
  spellings(id)
    .map(find)
    .reduce((first, next) =>
      first.pipe(Effect.catch((error) => (error.reason._tag === "MessageNotFound" ? next : Effect.fail(error))))
    )
