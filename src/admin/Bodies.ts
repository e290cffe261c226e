import { Effect } from "effect"
import type { PulledMessages } from "../client/PulledMessages.ts"
import { INFLATE_BUDGET_BYTES } from "../client/Inflater.ts"
import type { MessageExt } from "../message/MessageExt.ts"

/** How the bodies of messages are handed out. */
export interface ReadOptions {
  /**
   * - `unpacked`, the default: unpacked, 64 MiB together at most.
   * - `stored`: as they were sent; `unpack` unpacks one. For whoever looks at one message at a time, or at no body at all:
   *   a kilobyte may unpack to thirty-two megabytes.
   */
  readonly bodies?: "unpacked" | "stored" | undefined
}

/** What the unpacked bodies of one call take together at most; a single one may take more. */
export const MAX_UNPACKED_BYTES = INFLATE_BUDGET_BYTES

/**
 * Unpacks a message; one that cannot be unpacked (it is damaged or too large, or LZ4 without its codec) stays as it is
 * stored, with `SysFlag.COMPRESSED` set.
 */
export const unpackOr = (pulled: PulledMessages, message: MessageExt): Effect.Effect<MessageExt> =>
  pulled.unpack(message).pipe(Effect.catch(() => Effect.succeed(message)))

/** Unpacks messages from the first on, as many as go into {@link MAX_UNPACKED_BYTES}, and one at least. */
export const unpackFirst = Effect.fnUntraced(function* <M extends MessageExt>(
  pulled: PulledMessages,
  messages: ReadonlyArray<M>
) {
  const unpacked: Array<M> = []
  let bytes = 0
  for (const message of messages) {
    const { body, sysFlag } = yield* unpackOr(pulled, message)
    bytes += body.length
    if (bytes > MAX_UNPACKED_BYTES && unpacked.length > 0) break
    unpacked.push(body === message.body ? message : { ...message, body, sysFlag })
  }
  return unpacked
})
