import { Effect, type Exit, Result } from "effect"
import * as Compression from "../protocol/Compression.ts"
import { makeInFlightLimit } from "../transport/InFlightLimit.ts"

/**
 * Unpacks the bodies that one client instance receives. Brokers relay bodies unread, and a kilobyte may unpack to
 * thirty-two megabytes, so that whoever may publish would decide how much memory a reader takes. Hence three rules:
 *
 * 1. Whoever receives a body asks first whether anybody wants it, and unpacks it when it is to be shown.
 * 2. What is being unpacked, or is unpacked and not handed over, has one budget for the whole instance. A body that finds
 *    no room waits in line; a body larger than the budget passes alone.
 * 3. What may become long is unpacked off the main thread ({@link Compression.INLINE_OUTPUT_BYTES}).
 */
export interface Inflater {
  /**
   * Unpacks a body by its `sysFlag` and hands it over, which ends its hold on the budget: so do hand it over, and wait for
   * nothing that takes long. A body that is not packed is handed over at once, whatever is in line.
   *
   * Interruption leaves the line at once; a body that is being unpacked is waited for, which takes a fraction of a second.
   */
  readonly inflate: <A, E, R>(
    body: Uint8Array,
    sysFlag: number,
    handOver: (body: Uint8Array) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | InflateError, R>
  /** Bytes of the budget that are held now. */
  readonly held: () => number
  /** Bodies that wait for room. */
  readonly waiting: () => number
}

/** Why a body cannot be unpacked. */
export type InflateError = Compression.CompressionError | Compression.CompressionUnavailable

/** Bytes of bodies that one client instance unpacks, or has unpacked and not handed over, at a time: 64 MiB. */
export const INFLATE_BUDGET_BYTES = 64 * 1024 * 1024

/** How much longer than packed a body is expected to be: a text rarely shrinks to less than a tenth. */
const EXPECTED_RATIO = 16

/** A body's part of the budget, or of the line for it: at first what it may become, later what it is. */
interface Hold {
  size: number
  admitted: boolean
  resume: (() => void) | undefined
}

/**
 * Makes the inflater of one instance.
 *
 * A body takes room for what it may become before it is unpacked. Nobody knows that, so most take what a body is expected
 * to become, and the few that become longer begin again with room for the longest that is allowed. No body waits for room
 * while it holds some, so that no two can wait for each other.
 */
export const make = (maxBytes: number = INFLATE_BUDGET_BYTES): Inflater => {
  const limit = makeInFlightLimit<Hold>({
    maxRequests: Infinity,
    maxBytes,
    unwritten: () => 0,
    admit: (hold) => {
      hold.admitted = true
      hold.resume?.()
    }
  })

  const admitted = (hold: Hold): Effect.Effect<void> =>
    Effect.callback((resume) => {
      if (limit.enter(hold)) {
        hold.admitted = true
        return resume(Effect.void)
      }
      hold.resume = () => resume(Effect.void)
      return Effect.sync(() => {
        hold.resume = undefined
      })
    })

  const release = (hold: Hold): void => {
    if (hold.admitted) return limit.leave(hold)
    limit.forget(hold)
    // The next in line may fit where this one did not.
    limit.admitWaiting()
  }

  /** Unpacks to `most` bytes at most, and hands over. */
  const attempt = <A, E, R>(
    body: Uint8Array,
    sysFlag: number,
    most: number,
    handOver: (body: Uint8Array) => Effect.Effect<A, E, R>
  ): Effect.Effect<Result.Result<Exit.Exit<A, E>, InflateError>, never, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const hold: Hold = { size: most, admitted: false, resume: undefined }
        return restore(admitted(hold)).pipe(
          Effect.andThen(Effect.result(Compression.decompressEffect(body, sysFlag, { maxOutputLength: most }))),
          Effect.flatMap((unpacked): Effect.Effect<Result.Result<Exit.Exit<A, E>, InflateError>, never, R> => {
            if (Result.isFailure(unpacked)) return Effect.succeed(Result.fail(unpacked.failure))
            limit.resize(hold, unpacked.success.length)
            return Effect.map(Effect.exit(restore(handOver(unpacked.success))), Result.succeed)
          }),
          Effect.ensuring(Effect.sync(() => release(hold)))
        )
      })
    )

  return {
    inflate: <A, E, R>(body: Uint8Array, sysFlag: number, handOver: (body: Uint8Array) => Effect.Effect<A, E, R>) => {
      if (Compression.compressionOf(sysFlag) === undefined || body.length === 0) return handOver(body)
      const longest = Compression.DEFAULT_MAX_OUTPUT_LENGTH
      const expected = Math.min(longest, Math.max(Compression.INLINE_OUTPUT_BYTES, body.length * EXPECTED_RATIO))
      const upTo = (most: number): Effect.Effect<A, E | InflateError, R> =>
        Effect.flatMap(attempt(body, sysFlag, most, handOver), (outcome): Effect.Effect<A, E | InflateError, R> => {
          if (Result.isSuccess(outcome)) return outcome.success
          const { failure } = outcome
          const longer = failure._tag === "CompressionError" && failure.kind === "too-large" && most < longest
          return longer ? upTo(longest) : Effect.fail(failure)
        })
      return upTo(expected)
    },
    held: limit.bytes,
    waiting: () => limit.waiting().size
  }
}
