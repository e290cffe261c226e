import { Cause, Clock, Context, Deferred, Effect, Exit, Fiber, Scope, Stream, SubscriptionRef } from "effect"
import * as Millis from "../message/Millis.ts"
import * as Changes from "./Changes.ts"
import { IllegalServiceState, StartError, StartInterrupted, type StartReason, StartTimeout } from "./ClientError.ts"
import type { ServiceState } from "./ServiceState.ts"
import * as SharedStart from "./SharedStart.ts"
import { makeJournal, runStep, type StepRecord } from "./StartStep.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** Runs one step of a start under its number and name: see `runStep`. */
export type RunStep = <A, R>(
  id: string,
  name: string,
  self: Effect.Effect<A, StartReason | StartError, R>
) => Effect.Effect<A, StartError, R>

/** What the steps of a start can ask of the life that they belong to. */
export interface LifeContext extends Pick<
  ServiceLife<unknown>,
  "illegal" | "refusal" | "notify" | "notifyUnsafe" | "serviceStateNow"
> {
  readonly step: RunStep
}

/** What a service does in its life: `A` is what it holds while it runs. */
export interface LifeOptions<A, R> {
  /** Who lives: `producer orders-pg`; stands in errors and log lines. */
  readonly subject: string
  /** The number of this start in docs/startup.md: `2`; its first step is then `2.1`. */
  readonly number: string
  /**
   * The steps of the start, but for the first. What they acquire goes into the scope of this start; closing that is the
   * whole roll-back, and the last part of the shutdown.
   */
  readonly acquire: (life: LifeContext) => Effect.Effect<A, StartError, R | Scope.Scope>
  /** Milliseconds that the start may take in all; when absent, it may take as long as it likes. */
  readonly startTimeoutMillis?: number | undefined
  /** Whether the state is CREATE_JUST again after a start that failed so; when absent, it never is. */
  readonly isStartableAfter?: ((reason: StartReason) => boolean) | undefined
  /** A step that follows when the state is RUNNING, in the background; nobody is told of its failure. */
  readonly afterRunning?: ((parts: A, life: LifeContext) => Effect.Effect<unknown, StartError>) | undefined
  /**
   * The begin of the shutdown: lets no work begin, and gives what is to be waited for. All of it runs at once; each ends
   * within so many milliseconds and gives how much work is left.
   */
  readonly drains?: ((parts: A, timeoutMillis: number) => ReadonlyArray<Effect.Effect<number>>) | undefined
  /** Milliseconds that the drains may take; 0 when absent. */
  readonly drainTimeoutMillis?: number | undefined
  /** What is drained, for the log line about what was left: `send(s)`. */
  readonly work?: string | undefined
  /** What is to be done between the drains and the release, within the milliseconds that the drains have left. */
  readonly flush?: ((parts: A, timeoutMillis: number) => Effect.Effect<void>) | undefined
  /** Called when everything has been released, by a shutdown or by the roll-back of a start. */
  readonly released?: (() => void) | undefined
  /** What its log lines are annotated with. */
  readonly annotations?: ((parts: A) => Readonly<Record<string, unknown>>) | undefined
  /** The attributes of the span `rocketmq.start`; when absent, there is none beside those of the steps. */
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
}

/** The life of a producer, a consumer, an administrator or a client instance, from CREATE_JUST to SHUTDOWN_ALREADY. */
export interface ServiceLife<A, R = never> {
  /**
   * Starts it and gives what it holds. Fails with a `StartError` that names the step, and has then released everything.
   * Callers that come while a start is under way share its outcome; one that comes later is refused.
   */
  readonly start: Effect.Effect<A, StartError, R>
  /** {@link start} for as long as the scope is open; closing that is the {@link shutdown}. */
  readonly startScoped: Effect.Effect<A, StartError, R | Scope.Scope>
  /**
   * Drains and releases. In any state but RUNNING it does nothing, but while a start or another shutdown is under way it
   * waits for that. It cannot be interrupted, but where a fiber that itself belongs to the life asks for it.
   */
  readonly shutdown: Effect.Effect<void>
  readonly serviceState: Effect.Effect<ServiceState>
  /** {@link serviceState} at this moment. */
  readonly serviceStateNow: () => ServiceState
  /** {@link serviceState} now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /** What it holds: only while it runs and no shutdown has begun. */
  readonly running: () => A | undefined
  /** {@link running}, and while and after it shuts down: what has been released by then can still be asked for its counts. */
  readonly parts: () => A | undefined
  /** Why it cannot do something in the state it is in; from the begin of a shutdown on, that is SHUTDOWN_ALREADY. */
  readonly illegal: (action: string) => IllegalServiceState
  /** {@link illegal}, or undefined while it runs and no shutdown has begun. */
  readonly refusal: (action: string) => IllegalServiceState | undefined
  /** The steps of the last start, in the order in which they ended. */
  readonly steps: () => ReadonlyArray<StepRecord>
  /**
   * An element now and after each change: of the state, of a step, and whatever {@link notify} tells of. A slow reader gets
   * one for several; none is lost. It ends with the element after which nothing changes any more.
   */
  readonly changes: Stream.Stream<void>
  /** Tells those who watch {@link changes} of a change in what it holds. */
  readonly notify: Effect.Effect<void>
  /** {@link notify} from where no effect runs. */
  readonly notifyUnsafe: () => void
}

/** Where a life is. `Stopping` and `Ended` keep the parts for {@link ServiceLife.parts}; only the scope holds anything. */
type Phase<A> =
  | { readonly _tag: "CreateJust" }
  | { readonly _tag: "Starting" }
  | { readonly _tag: "Running"; readonly parts: A; readonly scope: Scope.Closeable }
  | { readonly _tag: "Stopping"; readonly parts: A; readonly done: Deferred.Deferred<void> }
  | { readonly _tag: "Ended"; readonly parts: A }
  | { readonly _tag: "Failed" }

/**
 * The lives whose scope a fiber belongs to, each by a token. A life that ends waits for those fibers: one of them must not
 * wait for that end in turn, where nothing can interrupt it.
 */
const Inside = Context.Reference<ReadonlyArray<object>>("effect-rocketmq/client/ServiceLife/Inside", {
  defaultValue: (): ReadonlyArray<object> => []
})

/** What Java calls each phase. While something is held the state is RUNNING. */
const stateOf = {
  CreateJust: "CREATE_JUST",
  Starting: "START_FAILED",
  Running: "RUNNING",
  Stopping: "RUNNING",
  Ended: "SHUTDOWN_ALREADY",
  Failed: "START_FAILED"
} as const satisfies Record<Phase<unknown>["_tag"], ServiceState>

/**
 * Makes a life in CREATE_JUST; nothing is acquired.
 *
 * A start sets START_FAILED first and RUNNING last, when nothing can fail or be interrupted any more, so that whatever
 * ends it in between leaves the truth behind.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.start`, `DefaultMQPushConsumerImpl.start`, `MQClientInstance.start`.
 */
export const make = Effect.fnUntraced(function* <A, R = never>(
  options: LifeOptions<A, R>
): Effect.fn.Return<ServiceLife<A, Exclude<R, Scope.Scope>>> {
  const { drainTimeoutMillis = 0, number, startTimeoutMillis, subject, work = "call(s)" } = options
  const guardStep = { id: `${number}.1`, name: "set START_FAILED" }
  const phase = yield* SubscriptionRef.make<Phase<A>>({ _tag: "CreateJust" })
  const { signals, tell: notifyUnsafe } = Changes.make()
  const notify = Effect.sync(notifyUnsafe)
  const journal = makeJournal()

  const now = () => SubscriptionRef.getUnsafe(phase)

  /** Reads, decides and writes in one step. Gives the phase that it found; without a next one that stays. */
  const move = (next: (found: Phase<A>) => Phase<A> | undefined): Effect.Effect<Phase<A>> =>
    Effect.tap(
      SubscriptionRef.modify(phase, (found): readonly [Phase<A>, Phase<A>] => [found, next(found) ?? found]),
      () => notify
    )

  const illegalIn = ({ _tag }: Phase<A>, action: string, expected: ServiceState) =>
    new IllegalServiceState({
      subject,
      action,
      expected,
      actual: _tag === "Stopping" ? "SHUTDOWN_ALREADY" : stateOf[_tag]
    })

  const illegal = (action: string) => illegalIn(now(), action, "RUNNING")

  const context: LifeContext = {
    step: (id, name, self) => Effect.ensuring(runStep(journal, id, name, self), notify),
    illegal,
    refusal: (action) => (now()._tag === "Running" ? undefined : illegal(action)),
    notify,
    notifyUnsafe,
    serviceStateNow: () => stateOf[now()._tag]
  }

  /** A part of the user's or of ours that dies must not keep the rest from being released. */
  const contained = <B>(what: string, fallback: B, self: Effect.Effect<B>): Effect.Effect<B> =>
    Effect.catchCause(self, (cause) =>
      Effect.as(Effect.logError(`${subject}: ${what} failed, the shutdown goes on: ${Cause.pretty(cause)}`), fallback)
    )

  const release = (scope: Scope.Closeable, exit: Exit.Exit<unknown, unknown>) =>
    Effect.andThen(
      contained("a release", undefined, Scope.close(scope, exit)),
      Effect.sync(() => options.released?.())
    )

  const guard = context.step(
    guardStep.id,
    guardStep.name,
    Effect.flatMap(
      move(({ _tag }) => (_tag === "CreateJust" ? { _tag: "Starting" } : undefined)),
      (found) => (found._tag === "CreateJust" ? Effect.void : Effect.fail(illegalIn(found, "start", "CREATE_JUST")))
    )
  )

  const timeout = (timeoutMillis: number) =>
    Effect.suspend(() => {
      const { records } = journal
      // The deadline has interrupted the step by now, and its own steps before it.
      const interrupted = records.find(({ outcome }) => outcome === "interrupted")
      const { id, name } = interrupted ?? records.at(-1) ?? guardStep
      const reason = new StartTimeout({ timeoutMillis, during: name })
      return Effect.fail(new StartError({ step: id, name, reason }))
    })

  const bounded = <B, R2>(self: Effect.Effect<B, StartError, R2>): Effect.Effect<B, StartError, R2> =>
    startTimeoutMillis === undefined
      ? self
      : Effect.timeoutOrElse(self, { duration: startTimeoutMillis, orElse: () => timeout(startTimeoutMillis) })

  const run = Effect.fnUntraced(function* (
    restore: SharedStart.Restore
  ): Effect.fn.Return<A, StartError, Exclude<R, Scope.Scope>> {
    journal.records.length = 0
    const scope = yield* Scope.make()
    const inside = Effect.provideService(Inside, [...(yield* Inside), phase])
    const acquired = Scope.provide(bounded(Effect.andThen(guard, options.acquire(context))), scope)
    const exit = yield* Effect.exit(restore(inside(acquired)))
    if (Exit.isFailure(exit)) {
      yield* release(scope, exit)
      const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
      const again = failure !== undefined && options.isStartableAfter?.(failure.error.reason) === true
      yield* move(({ _tag }) => (_tag === "Starting" ? { _tag: again ? "CreateJust" : "Failed" } : undefined))
      return yield* Effect.failCause(exit.cause)
    }
    const parts = exit.value
    yield* move(() => ({ _tag: "Running", parts, scope }))
    yield* Effect.annotateLogs(Effect.logDebug(`${subject} is RUNNING`), options.annotations?.(parts) ?? {})
    if (options.afterRunning !== undefined) {
      const after = inside(Effect.ignore(options.afterRunning(parts, context)))
      yield* Effect.forkIn(after, scope, { startImmediately: true })
    }
    return parts
  })

  const { spanAttributes } = options
  const shared = SharedStart.make<A, StartError, Exclude<R, Scope.Scope>>({
    // Refused here and not by a step: nothing of the first start is touched, its record of steps included.
    refusal: () => {
      const found = now()
      if (found._tag === "CreateJust") return undefined
      const { id, name } = guardStep
      return new StartError({ step: id, name, reason: illegalIn(found, "start", "CREATE_JUST") })
    },
    run: (restore) =>
      spanAttributes === undefined
        ? run(restore)
        : Effect.withSpan(run(restore), "rocketmq.start", { attributes: { ...spanAttributes } }),
    interrupted: () => new StartError({ step: number, name: "start", reason: new StartInterrupted({ subject }) }),
    undo: Effect.suspend(() => end)
  })

  const drain = Effect.fnUntraced(function* (parts: A) {
    const clock = yield* Clock.Clock
    const millis = monotonicMillis(clock)
    const begin = millis()
    const lefts = yield* Effect.all(
      (options.drains?.(parts, drainTimeoutMillis) ?? []).map((one) => contained("a drain", 0, one)),
      { concurrency: "unbounded" }
    )
    const left = lefts.reduce((sum, one) => sum + one, 0)
    if (left > 0) {
      yield* Effect.logWarning(
        `${subject} shuts down with ${left} ${work} under way after ${Millis.text(drainTimeoutMillis)}`
      )
    }
    if (options.flush !== undefined) {
      yield* options.flush(parts, drainTimeoutMillis - (millis() - begin))
    }
  })

  const close = (parts: A, scope: Scope.Closeable, done: Deferred.Deferred<void>) =>
    contained(
      "a drain",
      undefined,
      Effect.suspend(() => drain(parts))
    ).pipe(
      Effect.andThen(release(scope, Exit.void)),
      Effect.ensuring(move(() => ({ _tag: "Ended", parts }))),
      Effect.ensuring(Deferred.succeed(done, undefined)),
      Effect.andThen(Effect.logDebug(`${subject} is shut down`)),
      Effect.annotateLogs(options.annotations?.(parts) ?? {})
    )

  const end: Effect.Effect<void> = Effect.uninterruptible(
    Effect.suspend(() => {
      const starting = shared.underWay()
      if (starting !== undefined) {
        return Effect.andThen(
          starting,
          Effect.suspend(() => end)
        )
      }
      const done = Deferred.makeUnsafe<void>()
      return Effect.flatMap(
        move((found) => (found._tag === "Running" ? { _tag: "Stopping", parts: found.parts, done } : undefined)),
        (found) => {
          if (found._tag === "Running") return close(found.parts, found.scope, done)
          return found._tag === "Stopping" ? Deferred.await(found.done) : Effect.void
        }
      )
    })
  )

  /** Whoever is inside has a fiber of nobody's do it, and waits until that ends what it is inside of, itself included. */
  const shutdown = Effect.flatMap(Inside, (lives) =>
    lives.includes(phase)
      ? Effect.flatMap(Effect.forkDetach(end, { startImmediately: true }), (fiber) =>
          Effect.asVoid(Effect.exit(Effect.interruptible(Fiber.join(fiber))))
        )
      : end
  )

  const self: ServiceLife<A, Exclude<R, Scope.Scope>> = {
    start: shared.start,
    // Before the start: it does nothing where nothing runs.
    startScoped: Effect.andThen(
      Effect.addFinalizer(() => shutdown),
      shared.start
    ),
    shutdown,
    serviceState: Effect.sync(context.serviceStateNow),
    serviceStateNow: context.serviceStateNow,
    serviceStateChanges: SubscriptionRef.changes(phase).pipe(
      Stream.map(({ _tag }) => stateOf[_tag]),
      Stream.changes
    ),
    running: () => {
      const found = now()
      return found._tag === "Running" ? found.parts : undefined
    },
    parts: () => {
      const found = now()
      // Asked at every send of a producer: what runs is found first.
      return found._tag === "Running" || found._tag === "Stopping" || found._tag === "Ended" ? found.parts : undefined
    },
    illegal,
    refusal: context.refusal,
    steps: () => [...journal.records],
    changes: Stream.takeUntil(signals, () => ["Ended", "Failed"].includes(now()._tag)),
    notify,
    notifyUnsafe
  }
  return self
})
