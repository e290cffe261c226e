import { type Cause, Context, Effect, Exit, Fiber, References, Scope } from "effect"
import * as Waiters from "../queue/Waiters.ts"

/** What the workers do. `A` is a job: a message, or several of one queue. */
export interface WorkersOptions<A, E, R> {
  /** How many workers there are; see {@link Workers.setConcurrency}. */
  readonly concurrency: number
  /** Takes the next job; undefined while there is none. */
  readonly next: () => A | undefined
  /** The user's handler. It runs in a worker's fiber, with the context that is given. */
  readonly handler: (job: A) => Effect.Effect<unknown, E, R>
  /** Called when a handler has succeeded, and what it acquired for the job is released. `since` is when it began. */
  readonly done: (job: A, since: number) => void
  /** Called when a handler has failed, died or was interrupted, by itself or by {@link Workers.interrupt}. */
  readonly failed: (job: A, cause: Cause.Cause<E>, since: number) => void
  /** The services that handlers need, but for a `Scope`, of which each job that asks gets its own. */
  readonly context: Context.Context<Exclude<R, Scope.Scope>>
  /** What log lines of a job's handler say of the job. */
  readonly annotations: (job: A) => Readonly<Record<string, unknown>>
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** A fixed number of fibers that run handlers, one job after the other. */
export interface Workers<A> {
  /** Says that there may be a job: called whenever `next` may give one again. */
  readonly wake: () => void
  /** Changes the number of workers. One that is too many ends when its handler has. */
  readonly setConcurrency: (concurrency: number) => void
  /** How many workers there are to be. */
  readonly concurrency: () => number
  /** How many handlers run. */
  readonly running: () => number
  /** The jobs whose handlers run, each with the time since when, by the monotonic clock. */
  readonly jobs: () => ReadonlyArray<{ readonly job: A; readonly since: number }>
  /** Interrupts the handlers whose job matches and says how many. Each gets `failed`; a new worker takes the place. */
  readonly interrupt: (which: (job: A, since: number) => boolean) => number
  /** Waits until no handler runs whose job matches. */
  readonly awaitIdle: (which: (job: A) => boolean) => Effect.Effect<void>
}

interface Worker<A> {
  fiber: Fiber.Fiber<void> | undefined
  job: A | undefined
  since: number
  /** Whether the handler has ended, and what it acquired is being released. */
  releasing: boolean
  retired: boolean
  /** Whether its handler was interrupted. */
  interrupted: boolean
  /** The context of its fiber without a job. */
  base: Context.Context<never> | undefined
  /** For the first job that asks for a `Scope`. */
  readonly scope: Scope.Closeable
}

/** Jobs begun in one go before sockets and timers get their turn. */
const BUDGET = 1_024

/** Milliseconds that handlers may take to end when the workers do; one that cannot be interrupted is left to itself then. */
const LAST_MILLIS = 1_000

/**
 * Starts the workers in the current scope; closing it interrupts them, within a bound, and `failed` is not called for those.
 *
 * What makes it cheap, without a fiber, a permit or a timer for a message:
 * - `resume` of a callback runs the waiting fiber on the caller's stack until it suspends. A handler that does not suspend
 *   gives control back only when there is no job left, one that does gives it back at once, and the next worker is woken.
 * - `whileLoop` calls `body` and `step` as plain functions, and one `catchCause` stands around the loop, not around each
 *   handler: success pays nothing, a failure leaves the loop and enters it again.
 *
 * What that gives away: a fiber that a handler forks with `forkChild` belongs to the worker, which outlives the handler; a
 * worker that used up its budget of operations rests one turn with its job in hand, and others overtake it.
 */
export const make = Effect.fnUntraced(function* <A, E, R>(options: WorkersOptions<A, E, R>) {
  const { annotations, context, done, failed, handler, next, now } = options
  const shared = Context.get(context, References.CurrentLogAnnotations)
  const isPlain = Object.keys(shared).length === 0
  const workers = new Set<Worker<A>>()
  const waiters = Waiters.make()
  let target = options.concurrency
  let parked: Array<{ readonly worker: Worker<A>; readonly resume: (effect: Effect.Effect<void>) => void }> = []
  let begun = 0
  let closed = false
  let waking = false
  let again: NodeJS.Immediate | undefined
  // From the first job on that has acquired something: until then none pays for a scope.
  let scoped = false

  const run = Effect.runForkWith(context)

  const wake = () => {
    if (waking || closed) return
    waking = true
    begun = 0
    try {
      for (let left = parked.length; left > 0; left--) {
        const before = parked.length
        parked.pop()?.resume(Exit.void)
        // It took nothing and is parked again: there is nothing for the others either.
        if (parked.length >= before || begun >= BUDGET) break
      }
    } finally {
      waking = false
    }
    if (begun >= BUDGET && parked.length > 0) {
      again ??= setImmediate(() => {
        again = undefined
        wake()
      })
    }
  }

  const handled = (job: A): Effect.Effect<unknown, E, R | Exclude<R, Scope.Scope>> => {
    try {
      return scoped ? Effect.scoped(handler(job)) : handler(job)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  /**
   * The handler, with the job in its log lines. The fiber's context is replaced, not put back afterwards: it is the worker's
   * own, and the next job replaces it again. That is a tenth of what `annotateLogs` costs where there are many services.
   */
  const call = (worker: Worker<A>, job: A) =>
    Effect.withFiber<unknown, E, R | Exclude<R, Scope.Scope>>((fiber) => {
      worker.base ??= fiber.context
      fiber.setContext(
        Context.add(
          worker.base,
          References.CurrentLogAnnotations,
          isPlain ? annotations(job) : { ...shared, ...annotations(job) }
        )
      )
      return handled(job)
    })

  const finish = (worker: Worker<A>) => {
    const { job } = worker
    if (job === undefined) return
    worker.job = undefined
    done(job, worker.since)
    // Whoever waits for idle handlers goes on at once, and has to find what the last of them did.
    waiters.ask()
  }

  const settle = (worker: Worker<A>, cause: Cause.Cause<E>) => {
    const { job } = worker
    if (job === undefined) return
    worker.job = undefined
    failed(job, cause, worker.since)
    waiters.ask()
  }

  const isUsed = ({ scope }: Worker<A>) => scope.state._tag === "Open"

  const release = (worker: Worker<A>, exit: Exit.Exit<unknown, unknown>) => {
    scoped = true
    return Scope.close(worker.scope, exit)
  }

  const spawn = () => {
    const worker: Worker<A> = {
      fiber: undefined,
      job: undefined,
      since: 0,
      releasing: false,
      retired: false,
      interrupted: false,
      base: undefined,
      scope: Scope.makeUnsafe()
    }
    const park = Effect.callback<void>((resume) => {
      parked.push({ worker, resume })
      // Interrupted, it is not to be woken in another's place.
      return Effect.sync(() => {
        parked = parked.filter((one) => one.worker !== worker)
      })
    })
    const loop = Effect.whileLoop<unknown, E, R | Exclude<R, Scope.Scope>>({
      while: () => !worker.retired,
      body: () => {
        if (worker.releasing) return release(worker, Exit.void)
        const job = next()
        if (job === undefined) return park
        begun++
        worker.job = job
        worker.since = now()
        return call(worker, job)
      },
      step: () => {
        if (worker.job === undefined) return
        if (worker.releasing) {
          worker.releasing = false
          finish(worker)
        } else if (isUsed(worker)) {
          // Finished only when what it acquired is released: the next turn does that.
          worker.releasing = true
        } else {
          finish(worker)
        }
        retireSurplus(worker)
      }
    })
    workers.add(worker)
    worker.fiber = Effect.runForkWith(context)(
      Effect.provideService(
        Effect.whileLoop({
          while: () => !worker.retired,
          body: () =>
            Effect.catchCause(loop, (cause) =>
              Effect.map(isUsed(worker) ? release(worker, Exit.failCause(cause)) : Effect.void, () => {
                worker.releasing = false
                settle(worker, cause)
                retireSurplus(worker)
              })
            ),
          step: () => undefined
        }),
        Scope.Scope,
        worker.scope
      ) as Effect.Effect<void, never, Exclude<R, Scope.Scope>>
    )
    worker.fiber.addObserver((exit) => {
      workers.delete(worker)
      if (isUsed(worker)) run(release(worker, exit))
      if (closed) return
      if (Exit.isFailure(exit)) settle(worker, exit.cause)
      if (workers.size < target) spawn()
    })
  }

  /** Lets a worker end, once its job has. */
  const retire = (worker: Worker<A>) => {
    worker.retired = true
    workers.delete(worker)
  }

  /** Lets a worker end that is one too many; what the end of its job made ready is another's. */
  const retireSurplus = (worker: Worker<A>) => {
    if (workers.size <= target) return
    retire(worker)
    wake()
  }

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      if (again !== undefined) clearImmediate(again)
      const fibers = [...workers].flatMap(({ fiber, interrupted, job }) => {
        fiber?.interruptUnsafe()
        // One whose handler was interrupted before has had its time.
        return fiber === undefined || (interrupted && job !== undefined) ? [] : [fiber]
      })
      return Effect.timeoutOption(Fiber.awaitAll(fibers), LAST_MILLIS)
    })
  )
  for (let count = 0; count < target; count++) spawn()

  const jobs: Workers<A>["jobs"] = () =>
    [...workers].flatMap(({ job, since }) => (job === undefined ? [] : [{ job, since }]))

  const self: Workers<A> = {
    wake,
    concurrency: () => target,
    setConcurrency: (concurrency) => {
      target = concurrency
      while (workers.size < target) spawn()
      // Those that wait end now, the others when their handlers have.
      const waiting = [...parked]
      for (const { resume, worker } of waiting) {
        if (workers.size <= target) break
        parked = parked.filter((one) => one.worker !== worker)
        retire(worker)
        resume(Exit.void)
      }
    },
    running: () => {
      let count = 0
      for (const { job } of workers) if (job !== undefined) count++
      return count
    },
    jobs,
    interrupt: (which) => {
      const hit = [...workers].filter(({ job, since }) => job !== undefined && which(job, since))
      for (const worker of hit) {
        worker.interrupted = true
        worker.fiber?.interruptUnsafe()
      }
      return hit.length
    },
    awaitIdle: (which) => waiters.until(() => !jobs().some(({ job }) => which(job)))
  }
  return self
})
