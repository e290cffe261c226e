import { Effect, Queue } from "effect"

/**
 * One pull to do, put there by the consumer that it belongs to.
 *
 * Source: RocketMQ `PullRequest`.
 */
export interface PullRequest {
  readonly consumerGroup: string
  /** Starts the pull; it must not wait for messages to be consumed. */
  readonly run: Effect.Effect<void>
}

/** The loop that carries out the pulls of an instance's consumers. Source: RocketMQ `PullMessageService`. */
export interface PullMessageService {
  /** Queues a pull for now (Java `executePullRequestImmediately`). */
  readonly executePullRequestImmediately: (request: PullRequest) => Effect.Effect<void>
  /** How many pulls wait. */
  readonly size: Effect.Effect<number>
}

/**
 * Starts the loop in the current scope. A pull that fails is logged and does not stop the loop.
 */
export const start = Effect.gen(function* () {
  const requests = yield* Queue.unbounded<PullRequest>()
  yield* Queue.take(requests).pipe(
    Effect.flatMap((request) =>
      Effect.catchCause(request.run, (cause) =>
        Effect.annotateLogs(Effect.logWarning(`a pull of group ${request.consumerGroup} failed`, cause), {
          group: request.consumerGroup
        })
      )
    ),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )
  const self: PullMessageService = {
    executePullRequestImmediately: (request) => Effect.asVoid(Queue.offer(requests, request)),
    size: Queue.size(requests)
  }
  return self
})
