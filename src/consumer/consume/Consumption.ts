import { Cause, type Context, Duration, Effect, type Exit, type Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as ConsumeResult from "../ConsumeResult.ts"
import type { Batch, BatchResult, MessageListener, OrderlyResult } from "../MessageListener.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import { ReadyList } from "../queue/ReadyList.ts"
import { SerialList } from "../queue/SerialList.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import * as ConsumeOrderly from "./ConsumeOrderly.ts"
import * as RateLimit from "./RateLimit.ts"
import * as Settle from "./Settle.ts"
import type { Received } from "./Settle.ts"
import * as Workers from "./Workers.ts"

/** Messages that one call of a handler gets: one, or several of one queue. */
interface Job {
  readonly received: ReadonlyArray<Received>
  /** What the handler said of each, where it said anything. */
  results: ReadonlyArray<OrderlyResult> | undefined
  /** What its failure means, where somebody has asked that already. */
  failureResult: OrderlyResult | undefined
}

/** What hands messages out: all of it but for what is particular to a kind of consumer. */
export interface ConsumptionTools extends Settle.SettleOptions {
  /** The group, for log lines of handlers. */
  readonly group: string
  readonly observer: Pick<ConsumerObserver, "process" | "delivery" | "handedOut" | "delivered" | "processed">
  /** How many handlers run at once. */
  readonly concurrency: number
  /** Tries after the first until a message that is consumed in order becomes a dead letter; below 0 there is no limit. */
  readonly maxReconsumeTimes: number
  /** Milliseconds that a queue rests before a message of it is tried again that is consumed in order. */
  readonly suspendMillis: number
  /** Milliseconds that a handler may take; then its message comes again. */
  readonly consumeTimeoutMillis: number
  /** Messages whose handlers begin in a second at most; undefined for no limit. */
  readonly ratePerSecond: number | undefined
  /** Whether the user has paused a queue or its topic. */
  readonly isPaused: (queue: MessageQueue) => boolean
  /** Tells of a handler that failed in a way that its type does not name. */
  readonly tell: (kind: "defect" | "timeout" | "interrupted", cause: Cause.Cause<unknown>, received: Received) => void
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** How handlers are run. */
export interface ConsumptionOptions<E, R> extends ConsumptionTools {
  readonly listener: MessageListener<E, R>
  readonly context: Context.Context<Exclude<R, Scope.Scope>>
}

/** Runs handlers over what was pulled, and says of each message what became of it. */
export interface Consumption {
  /** A queue was taken, from which messages may come. Undefined where nobody wants to know. */
  readonly taken?: (queue: ProcessQueue<ReceivedMessage>) => void
  /** Hands messages of an answer over; they wait for a free worker. */
  readonly offer: (queue: ProcessQueue<ReceivedMessage>, messages: ReadonlyArray<Received>) => void
  /** Forgets what waits of a queue that is given up. Handlers that run go on. */
  readonly drop: (queue: ProcessQueue<ReceivedMessage>) => number
  /** The queue is locked, or locked again: its messages may be handled. */
  readonly unlocked?: (queue: ProcessQueue<ReceivedMessage>) => void
  /** What the user has paused has changed. Undefined where what is cached is handed out all the same. */
  readonly paused?: () => void
  /** Lets no handler begin, or lets them begin again. */
  readonly suspend: (suspended: boolean) => void
  /** Waits until no handler of the queue runs; of none when absent. */
  readonly awaitIdle: (queue?: ProcessQueue<ReceivedMessage>) => Effect.Effect<void>
  /** Interrupts the handlers of the queue, or all; says how many. Their messages come again; nobody is told of a failure. */
  readonly interrupt: (queue?: ProcessQueue<ReceivedMessage>) => number
  readonly setConcurrency: (concurrency: number) => void
  readonly concurrency: () => number
  readonly running: () => number
  /** What the handlers that run have in hand, each with the time since when, by the monotonic clock. */
  readonly jobs: () => ReadonlyArray<{ readonly received: ReadonlyArray<Received>; readonly since: number }>
  /** How many messages wait for a worker. */
  readonly waiting: () => number
  /** Whether more of the queue is wanted, as far as this goes: whoever hands out on demand wants nothing ahead of it. */
  readonly wants: (queue: ProcessQueue<ReceivedMessage>) => boolean
}

/** How often handlers are looked at that take too long, in milliseconds. */
const SCAN_MILLIS = 1_000

/** What each message of a batch comes to. */
export const resultOf = (outcome: BatchResult, index: number): ConsumeResult.ConsumeResult => {
  switch (outcome._tag) {
    case "All":
      return outcome.result
    case "Each":
      return outcome.results[index] ?? ConsumeResult.reconsumeLater()
    default:
      return index <= outcome.index ? ConsumeResult.success : ConsumeResult.reconsumeLater()
  }
}

/** What comes from outside is shown in a line of log only when it is harmless. */
const shown = (text: string): string =>
  text.length <= 128 && ForeignText.isClean(text) ? text : ForeignText.clean(text)

const isBatch = (messages: ReadonlyArray<ReceivedMessage>): messages is Batch => messages.length > 0

/** Makes the workers of a consumer in the current scope. Source: RocketMQ `ConsumeMessageConcurrentlyService`. */
export const make = Effect.fnUntraced(function* <E, R>(options: ConsumptionOptions<E, R>) {
  const { consumeTimeoutMillis, counters, group, listener, now, observer, tell } = options
  const batches = new ReadyList<Received>()
  const orderly =
    listener._tag === "Orderly"
      ? yield* ConsumeOrderly.make({ ...options, autoCommit: listener.autoCommit, wake: () => workers.wake() })
      : undefined
  /** What the key of a message could not be found for. */
  const keyless = new WeakMap<Received, unknown>()
  const keyOf = (received: Received): unknown => {
    if (listener._tag !== "Keyed") return received.queue.name
    try {
      return listener.key(received.message)
    } catch (defect) {
      keyless.set(received, defect)
      return received
    }
  }
  const serial =
    orderly !== undefined || listener._tag === "Keyed" ? new SerialList<Received>(keyOf, orderly?.isOpen) : undefined
  const ready = serial ?? batches
  /** The jobs whose handlers were interrupted because they took too long. */
  const timedOut = new Set<Job>()
  /** The jobs that were given up with their queue, or at the end: how these end is nobody's failure. */
  const abandoned = new Set<Job>()
  let suspended = false
  /** Until then a batch that is not full waits for more, by the monotonic clock. */
  let batchDueAt: number | undefined
  const limit = listener._tag === "Batch" ? listener.options.maxSize : 1
  const within =
    listener._tag === "Batch" && listener.options.within !== undefined
      ? Duration.toMillis(Duration.fromInputUnsafe(listener.options.within))
      : 0

  const rate: RateLimit.RateLimit | undefined =
    options.ratePerSecond === undefined
      ? undefined
      : yield* RateLimit.make(options.ratePerSecond, now, () => workers.wake())

  const jobOf = (received: ReadonlyArray<Received>): Job => {
    for (const one of received) {
      one.queue.begin(one)
      if (one.message.attempt > 1) counters.redelivered++
      observer.delivered?.(one.message)
    }
    rate?.take(received.length)
    return { received, results: undefined, failureResult: undefined }
  }

  const next = (): Job | undefined => {
    if (suspended || ready.size === 0 || rate?.isOpen() === false) return undefined
    if (limit === 1) {
      const received = ready.take()
      return received === undefined ? undefined : jobOf([received])
    }
    if (within > 0 && batches.waitingInTurn < limit) {
      batchDueAt ??= now() + within
      if (now() < batchDueAt) return undefined
    }
    batchDueAt = undefined
    return jobOf(batches.takeMany(limit))
  }

  /** What the end of a handler means for each of its messages; kept, so that `onFailure` is asked once. */
  const said = (job: Job, exit: Exit.Exit<unknown, E>): ReadonlyArray<ConsumeResult.ConsumeResult> => {
    const failure = exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
    if (failure !== undefined) job.failureResult = failureResult(job, failure.error)
    const all = exit._tag === "Success" ? ConsumeResult.success : (job.failureResult ?? ConsumeResult.reconsumeLater())
    return (job.results ?? job.received.map(() => all)).map((result) => Settle.asUnordered(result))
  }

  /** What observers see of a handler ends with its job's results. */
  const observed = (job: Job, messages: Batch, handled: () => Effect.Effect<void, E, R>): Effect.Effect<void, E, R> =>
    observer.process === undefined
      ? handled()
      : observer.process(messages, Effect.suspend(handled), (exit) => said(job, exit))

  const handler = (job: Job): Effect.Effect<void, E, R> => {
    if (listener._tag !== "Batch") {
      const [received] = job.received
      if (received === undefined) return Effect.void
      if (listener._tag === "Keyed" && keyless.has(received)) return Effect.die(keyless.get(received))
      const { message } = received
      return observed(job, [message], () => {
        const handled: Effect.Effect<OrderlyResult | void, E, R> = listener.handler(message)
        return Effect.map(handled, (result) => {
          if (result !== undefined) job.results = [result]
        })
      })
    }
    const messages = job.received.map(({ message }) => message)
    if (!isBatch(messages)) return Effect.void
    return observed(job, messages, () =>
      Effect.map(listener.handler(messages), (outcome) => {
        if (outcome !== undefined) job.results = messages.map((_, index) => resultOf(outcome, index))
      })
    )
  }

  /** The topic of the message before, which is nearly always that of the next, and how it is shown. */
  let lastTopic = ""
  let lastShown = ""
  const shownTopic = (topic: string): string => {
    if (topic !== lastTopic) {
      lastTopic = topic
      lastShown = shown(topic)
    }
    return lastShown
  }

  const settleOne = Settle.make(options)
  const apply = (received: Received, result: OrderlyResult): boolean => {
    if (serial === undefined) return settleOne(received, result)
    if (orderly !== undefined) return orderly.apply(serial, received, result)
    const isConsumed = settleOne(received, result)
    serial.end(received)
    return isConsumed
  }

  /** Applies the results of a handler that has ended, or of none, and counts. */
  const settle = (
    { received: all }: Job,
    since: number,
    resultAt: (index: number) => OrderlyResult | undefined,
    error?: string
  ) => {
    let succeeded = 0
    let reason = error
    for (let index = 0; index < all.length; index++) {
      const received = all[index]
      const result = resultAt(index) ?? ConsumeResult.success
      if (received === undefined) continue
      const isLate = received.queue.dropped
      if (apply(received, result)) succeeded++
      else reason ??= isLate ? "late" : Settle.reasonOf(result)
    }
    const queue = all[0]?.queue
    if (queue === undefined) return
    const at = now()
    queue.lastConsumeAt = at
    queue.stats.consumed(at, at - since, succeeded, all.length - succeeded)
    const topic = all[0]?.message.topic ?? queue.messageQueue.topic
    observer.processed?.(topic, at - since, succeeded, all.length - succeeded, reason ?? "_OTHER")
  }

  const failureResult = ({ received }: Job, error: E): OrderlyResult => {
    const messages = received.map(({ message }) => message)
    try {
      if (listener._tag !== "Batch") {
        const [message] = messages
        return (
          (message === undefined ? undefined : listener.onFailure?.(error, message)) ?? ConsumeResult.reconsumeLater()
        )
      }
      return (isBatch(messages) ? listener.onFailure?.(error, messages) : undefined) ?? ConsumeResult.reconsumeLater()
    } catch {
      return ConsumeResult.reconsumeLater()
    }
  }

  const failed = (job: Job, cause: Cause.Cause<E>, since: number) => {
    const late = timedOut.delete(job)
    const isAbandoned = abandoned.delete(job)
    const { received: all } = job
    const [first] = all
    if (first === undefined) return
    if (isAbandoned || first.queue.dropped) {
      counters.late += all.length
      serial?.end(first)
      return
    }
    const failure = cause.reasons.find((reason) => reason._tag === "Fail")
    if (failure !== undefined && !late) {
      counters.failures++
      const result = job.failureResult ?? failureResult(job, failure.error)
      settle(job, since, () => result, "failure")
      return
    }
    if (late) counters.timeouts++
    else counters.defects++
    const kind = late ? "timeout" : Cause.hasInterruptsOnly(cause) ? "interrupted" : "defect"
    tell(kind, cause, first)
    settle(job, since, () => ConsumeResult.reconsumeLater(), kind)
  }

  const workers: Workers.Workers<Job> = yield* Workers.make<Job, E, R>({
    concurrency: options.concurrency,
    next,
    handler,
    done: (job, since) => {
      if (abandoned.size > 0) abandoned.delete(job)
      settle(job, since, (index) => job.results?.[index])
    },
    failed,
    annotations: ({ received }) => {
      const [first] = received
      if (first === undefined) return { group }
      const { attempt, msgId, queueOffset, topic } = first.message
      const job = {
        group,
        topic: shownTopic(topic),
        queue: first.queue.name,
        offset: queueOffset,
        msgId: shown(msgId),
        attempt
      }
      return received.length === 1 ? job : { ...job, messages: received.length }
    },
    context: options.context,
    now
  })

  // One fiber looks after all handlers; none has a timer of its own.
  yield* Effect.sync(() => {
    workers.interrupt((job, since) => {
      if (now() - since < consumeTimeoutMillis) return false
      timedOut.add(job)
      return true
    })
  }).pipe(Effect.delay(SCAN_MILLIS), Effect.forever, Effect.forkScoped({ startImmediately: true }))

  if (within > 0) {
    yield* Effect.suspend(() => {
      workers.wake()
      return Effect.sleep(within)
    }).pipe(Effect.forever, Effect.forkScoped({ startImmediately: true }))
  }

  const self: Consumption = {
    offer: (queue, messages) => {
      if (serial === undefined) batches.offer(queue, messages)
      else serial.offer(messages)
      workers.wake()
    },
    drop: (queue) => {
      orderly?.drop(queue)
      return serial === undefined ? batches.drop(queue) : serial.drop((received) => received.queue === queue)
    },
    unlocked: ({ name }) => {
      serial?.open(name)
      workers.wake()
    },
    suspend: (value) => {
      suspended = value
      if (!value) workers.wake()
    },
    awaitIdle: (queue) => workers.awaitIdle((job) => queue === undefined || job.received[0]?.queue === queue),
    interrupt: (queue) =>
      workers.interrupt((job) => {
        const isHit = queue === undefined || job.received[0]?.queue === queue
        if (isHit) abandoned.add(job)
        return isHit
      }),
    setConcurrency: workers.setConcurrency,
    concurrency: workers.concurrency,
    running: workers.running,
    jobs: () => workers.jobs().map(({ job, since }) => ({ received: job.received, since })),
    waiting: () => ready.size,
    wants: () => true
  }
  return self
})
