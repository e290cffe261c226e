import { Effect } from "effect"
import { makeInFlightLimit } from "../../transport/InFlightLimit.ts"

/** A send's place among those in flight, or in the line for one. */
export interface SendPlace {
  readonly size: number
  admitted: boolean
  resume: (() => void) | undefined
}

/**
 * Bounds the sends of one producer that are in flight, by count and by bytes of their bodies. Who finds no place waits in
 * line; a send that is interrupted frees its place, or leaves the line, at once.
 *
 * Source: RocketMQ `DefaultMQProducer.backPressureForAsyncSendNum`, `backPressureForAsyncSendSize`.
 */
export interface SendLimit {
  /** Takes the place, or stands in line for it. */
  readonly take: (place: SendPlace) => void
  /** Waits until the place is there. */
  readonly wait: (place: SendPlace) => Effect.Effect<void>
  /** Gives the place back, or leaves the line. */
  readonly release: (place: SendPlace) => void
  readonly count: () => number
  readonly bytes: () => number
  readonly waiting: () => number
}

/** Makes a limit. A send larger than `maxBytes` passes when it is alone. */
export const make = (options: { readonly maxSends: number; readonly maxBytes: number }): SendLimit => {
  const limit = makeInFlightLimit<SendPlace>({
    maxRequests: options.maxSends,
    maxBytes: options.maxBytes,
    unwritten: () => 0,
    admit: (place) => {
      place.admitted = true
      place.resume?.()
    }
  })
  return {
    take: (place) => {
      place.admitted = limit.enter(place)
    },
    wait: (place) =>
      Effect.callback<void>((resume) => {
        if (place.admitted) return resume(Effect.void)
        place.resume = () => resume(Effect.void)
        return Effect.sync(() => {
          place.resume = undefined
        })
      }),
    release: (place) => {
      if (place.admitted) return limit.leave(place)
      limit.forget(place)
      // The next in line may fit where this one did not.
      limit.admitWaiting()
    },
    count: limit.count,
    bytes: limit.bytes,
    waiting: () => limit.waiting().size
  }
}
