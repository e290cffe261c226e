import { type Context, Effect, Exit, Latch, Scope } from "effect"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import { StartObserver } from "../../client/StartStep.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../consumer/DefaultMQPushConsumer.ts"
import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import * as ReconsumePolicy from "../../consumer/ReconsumePolicy.ts"
import * as Subscription from "../../consumer/subscription/Subscription.ts"
import { withProgress } from "../Screen.ts"
import { count, duration, number } from "../Text.ts"
import { compare, type ConsumedMessage, type SentMessage } from "./DemoCompare.ts"
import { type Page, progress } from "./DemoPage.ts"
import type { StepPrinter } from "./DemoSteps.ts"
import { type Owner, ownerRows, queueRows, timerRows } from "./DemoTables.ts"

/** The group that consumes a topic. */
const groupOf = (topic: string) => `${topic}-readers`

/** The backlog from which on timer 5 makes a member run more handlers. */
const thresholdOf = (messages: number) => Math.ceil(messages / 10)

/** What the group works on. */
export interface GroupTask {
  readonly page: Page
  readonly printer: StepPrinter
  readonly manager: Context.Context<MQClientManager>
  readonly namesrvAddr: string
  readonly topic: string
  readonly sent: ReadonlyArray<SentMessage>
}

/** Handlers at once; timer 5 goes from the one to the other with the backlog. */
const LEAST_HANDLERS = 8
const MOST_HANDLERS = 16
/** Java's are 10 seconds, then 5, and a minute, which is longer than the whole job. */
const FIRST_PERSIST_MILLIS = 2_000
const PERSIST_MILLIS = 1_000
const FIRST_ADJUST_MILLIS = 1_000
/** The key of the message that fails at its first delivery. */
const FAILING_KEY = "demo-10"
/** How long nothing may happen before the job goes on without it, in milliseconds; a cluster of Java may be slow. */
const PATIENCE_MILLIS = 20_000
/** How long the queues may be empty before what is missing counts as lost, in milliseconds. */
const EMPTY_MILLIS = 1_000
const POLL_MILLIS = 10
/** How long handlers of a queue that moves may go on (`revokeDrain`), and what a busy machine takes on top, in milliseconds. */
const REVOKE_MILLIS = 400
const MOVED_MILLIS = REVOKE_MILLIS + 200

const QUEUES_SHOWN = 8
const PROBLEMS_SHOWN = 5

/** A member of the group. */
interface Member {
  readonly name: string
  readonly consumer: DefaultMQPushConsumerShape
  readonly scope: Scope.Closeable
}

/** What the members have done together. */
interface Journal {
  readonly consumed: Array<ConsumedMessage>
  readonly ids: Set<string>
  /** The delivery that failed, and the one in which the message came again. */
  failed: { readonly member: number; readonly at: number } | undefined
  again: { readonly member: number; readonly at: number; readonly attempt: number } | undefined
  /** From so many messages on the handlers wait until the latch opens. */
  readonly holdAt: number
  readonly go: Latch.Latch
}

/** Notes what it gets; fails once for the one message. */
const handler = (journal: Journal, page: Page, member: number) => (message: ReceivedMessage) =>
  Effect.suspend(() => {
    const { consumed, go, holdAt, ids } = journal
    const consume = Effect.sync(() => {
      consumed.push({ member, message })
      ids.add(message.msgId)
    })
    if (message.keys.includes(FAILING_KEY)) {
      if (message.attempt === 1) {
        journal.failed ??= { member, at: page.now() }
        return Effect.fail("not today")
      }
      journal.again ??= { member, at: page.now(), attempt: message.attempt }
      return consume
    }
    return consumed.length < holdAt ? consume : Effect.andThen(go.await, consume)
  })

/** Waits until something holds, at most so many milliseconds. */
const until = (holds: Effect.Effect<boolean>, millis: number) =>
  Effect.sleep(POLL_MILLIS).pipe(
    Effect.andThen(holds),
    Effect.repeat({ until: (done) => done }),
    Effect.timeoutOption(millis)
  )

const owners = (members: ReadonlyArray<Member>) =>
  Effect.forEach(members, ({ consumer, name }) =>
    Effect.map(consumer.state, ({ instance, queues }): Owner => ({
      name,
      clientId: instance?.clientId ?? "-",
      queues: queues.map(({ queue }) => queue)
    }))
  )

/** How many queues of the topic somebody owns, and how many members own some. */
const shares = (all: ReadonlyArray<Owner>, topic: string) => {
  const counts = all.map(({ queues }) => queues.filter((queue) => queue.topic === topic).length)
  return { queues: counts.reduce((sum, n) => sum + n, 0), owners: counts.filter((n) => n > 0).length }
}

/** The queues of the topic, of all members. */
const queuesOf = (members: ReadonlyArray<Member>, topic: string) =>
  Effect.map(
    Effect.forEach(members, ({ consumer }) => consumer.state),
    (states) => states.flatMap(({ queues }) => queues.filter(({ queue }) => queue.topic === topic))
  )

const makeMember = Effect.fnUntraced(function* (task: GroupTask, journal: Journal, id: number) {
  const { manager, namesrvAddr, page, sent, topic } = task
  const scope = yield* Scope.fork(yield* Effect.scope)
  const consumer = yield* DefaultMQPushConsumer.make(
    {
      consumerGroup: groupOf(topic),
      subscriptions: [Subscription.all(topic)],
      namesrvAddr,
      // Clients of one name are one client instance, which is in a group once.
      instanceName: `${topic}-${id}`,
      consumeFromWhere: "first",
      consumeThreadMin: LEAST_HANDLERS,
      consumeThreadMax: MOST_HANDLERS,
      adjustThreadPoolNumsThreshold: thresholdOf(sent.length),
      reconsumePolicy: ReconsumePolicy.fixed("1 second"),
      revokeDrain: REVOKE_MILLIS,
      adjustThreadPoolInitialDelay: FIRST_ADJUST_MILLIS,
      persistConsumerOffsetInitialDelay: FIRST_PERSIST_MILLIS,
      persistConsumerOffsetInterval: PERSIST_MILLIS
    },
    handler(journal, page, id)
  ).pipe(Effect.provide(manager))
  yield* Scope.addFinalizer(scope, consumer.shutdown)
  const member: Member = { name: `member ${id}`, consumer, scope }
  return member
})

/** Waits until everything that was sent is consumed; or until the queues are empty and stay so, or nothing comes any more. */
const awaitAll = Effect.fnUntraced(function* (task: GroupTask, journal: Journal, members: ReadonlyArray<Member>) {
  const { page, sent, topic } = task
  let seen = journal.consumed.length
  let since = page.now()
  const over = Effect.map(queuesOf(members, topic), (queues) => {
    const { again, consumed, failed, ids } = journal
    if (ids.size >= sent.length) return true
    if (consumed.length !== seen) {
      seen = consumed.length
      since = page.now()
    }
    const isEmpty = queues.every(({ lag }) => lag === 0) && (failed === undefined) === (again === undefined)
    return page.now() - since > (isEmpty ? EMPTY_MILLIS : PATIENCE_MILLIS)
  })
  yield* withProgress(
    progress(() => journal.ids.size, sent.length, "consumed"),
    Effect.sleep(POLL_MILLIS).pipe(Effect.andThen(over), Effect.repeat({ until: (done) => done }))
  )
})

/** The members of the group and what they did. */
export interface GroupRun {
  readonly group: string
  readonly members: ReadonlyArray<Member>
  /** Whether what was consumed is what was sent. */
  readonly isComplete: boolean
}

/**
 * Consumes what was sent in a group of two, and compares. The handlers wait after a quarter, so that there is a backlog to be
 * shared when the second member joins, and one for timer 5.
 */
export const consume = Effect.fnUntraced(function* (task: GroupTask) {
  const { page, printer, sent, topic } = task
  const { colors, line } = page
  const group = groupOf(topic)
  const journal: Journal = {
    consumed: [],
    ids: new Set(),
    failed: undefined,
    again: undefined,
    holdAt: Math.ceil(sent.length / 4),
    go: Latch.makeUnsafe(false)
  }

  yield* page.heading(`Start-up of DefaultMQPushConsumer, group ${group}`)
  const first = yield* makeMember(task, journal, 1)
  const begin = page.now()
  yield* Effect.provideService(first.consumer.start, StartObserver, printer.observer)
  yield* line(`RUNNING in ${duration(page.now() - begin)}, alone in its group: it owns every queue`)
  const alone = yield* owners([first])
  for (const row of ownerRows(alone)) yield* line(row)
  yield* until(
    Effect.sync(() => journal.consumed.length >= journal.holdAt),
    PATIENCE_MILLIS
  )

  yield* page.heading("A second member joins")
  yield* line(`${number(journal.consumed.length)} are consumed; the handlers wait, so that there is a backlog to share`)
  const second = yield* makeMember(task, journal, 2)
  const members = [first, second]
  const joined = page.now()
  yield* second.consumer.start
  const total = shares(alone, topic).queues
  const isShared = Effect.map(owners(members), (all) => {
    const { owners: some, queues } = shares(all, topic)
    return queues === total && some === Math.min(2, total)
  })
  yield* until(isShared, PATIENCE_MILLIS)
  yield* line(`the queues are shared anew ${duration(page.now() - joined)} after it began to start`)
  for (const row of ownerRows(yield* owners(members))) yield* line(row)
  // What still waits of a queue that moved is interrupted then, and comes to its new owner only.
  yield* Effect.sleep(MOVED_MILLIS)
  yield* awaitAdjusted(task, first)

  yield* page.heading("Consume the rest, and compare with what was sent")
  const going = page.now()
  const before = journal.consumed.length
  yield* journal.go.open
  yield* awaitAll(task, journal, members)
  const took = page.now() - going
  const rate = (journal.consumed.length - before) / (took / 1_000)
  yield* line(`${number(journal.consumed.length - before)} consumed in ${duration(took)}, ${number(rate)} messages/s`)
  const { duplicates, equal, problems, queues } = compare(sent, journal.consumed, topic)
  for (const row of queueRows(queues.slice(0, QUEUES_SHOWN))) yield* line(row)
  if (queues.length > QUEUES_SHOWN) yield* line(`and ${count(queues.length - QUEUES_SHOWN, "queue")} more`)
  for (const problem of problems.slice(0, PROBLEMS_SHOWN)) yield* line(colors.bad(problem))
  const { again, failed } = journal
  if (failed !== undefined) {
    const then =
      again === undefined
        ? colors.bad("and it did not come again")
        : `it came again ${duration(again.at - failed.at)} later, to member ${again.member}, as attempt ${again.attempt}`
    yield* line(`message ${FAILING_KEY} failed at member ${failed.member}: given back with level 1 (1 s); ${then}`)
  }
  const isComplete = equal === sent.length && problems.length === 0 && failed !== undefined && again !== undefined
  const verdict = (isComplete ? colors.good : colors.bad)(`${number(equal)} of ${number(sent.length)} equal`)
  yield* line(
    `${verdict} in body, ids and offset, ${duplicates === 0 ? "none twice" : `${count(duplicates, "message")} twice`}`
  )
  const run: GroupRun = { group, members, isComplete }
  return run
})

const timersOf = ({ consumer }: Member) => Effect.map(consumer.state, ({ instance }) => instance?.timers ?? [])

const hasRun = (member: Member, timer: number) =>
  Effect.map(timersOf(member), (all) => (all.find(({ number: one }) => one === timer)?.runs ?? 1) > 0)

/** Waits for timer 5, and says what it made of the backlog. */
const awaitAdjusted = Effect.fnUntraced(function* ({ page, sent, topic }: GroupTask, member: Member) {
  yield* until(hasRun(member, 5), PATIENCE_MILLIS)
  // The run has begun what it has consumers do.
  yield* Effect.sleep(POLL_MILLIS)
  const { concurrency, queues } = yield* member.consumer.state
  const backlog = queues.reduce((sum, { lag, queue }) => sum + (queue.topic === topic ? (lag ?? 0) : 0), 0)
  const threshold = thresholdOf(sent.length)
  const words = `timer 5: a backlog of ${number(backlog)}, ${backlog < threshold ? "below" : "at least"} ${number(threshold)}`
  yield* page.line(
    concurrency === LEAST_HANDLERS
      ? `${words}: ${member.name} stays at ${LEAST_HANDLERS} handlers`
      : `${words}: ${member.name} goes from ${LEAST_HANDLERS} to ${concurrency} handlers`
  )
})

/** Shows the five timers of the first member, once timer 4 has written where the group is; gives whether all is written. */
export const timers = Effect.fnUntraced(function* ({ page, topic }: GroupTask, { members }: GroupRun) {
  const isWritten = Effect.gen(function* () {
    for (const member of members) if (!(yield* hasRun(member, 4))) return false
    return (yield* queuesOf(members, topic)).every(
      ({ committedOffset, consumeOffset }) => committedOffset === consumeOffset
    )
  })
  yield* page.heading("The five timers, of the first member")
  yield* until(isWritten, PATIENCE_MILLIS)
  for (const member of members.slice(0, 1)) {
    const [head = "", ...rows] = yield* timerRows(yield* timersOf(member))
    yield* page.line(page.colors.dim(head))
    for (const row of rows) yield* page.line(row)
  }
  yield* page.line(
    "brought forward by options, for this job: timer 4 from 10 s and every 5 s (persistConsumerOffsetInitialDelay,"
  )
  yield* page.line("persistConsumerOffsetInterval), timer 5 from 1 min (adjustThreadPoolInitialDelay)")
  const queues = yield* queuesOf(members, topic)
  const written = queues.filter(({ committedOffset, maxOffset }) => committedOffset === maxOffset).length
  yield* page.line(
    `timer 4: the offsets of ${number(written)} of ${count(queues.length, "queue")} are written, at their ends`
  )
})

/** Ends a member: what it did is drained, written and told to the brokers. */
export const leave = (page: Page, { consumer, name, scope }: Member) => {
  let left = ""
  return page.timed(
    `${name} drained, offsets written, unregistered`,
    Scope.close(scope, Exit.void).pipe(
      Effect.andThen(consumer.lastDrain),
      Effect.tap((report) =>
        Effect.sync(() => {
          if (report === undefined) return
          const { discarded, interrupted, notPersisted } = report
          left = `${interrupted} interrupted, ${discarded} discarded, ${notPersisted.length} offsets not written`
        })
      )
    ),
    () => left
  )
}
