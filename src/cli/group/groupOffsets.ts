import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { isRetryTopic } from "../../message/MixAll.ts"
import * as NameList from "../../message/NameList.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { CommandFailed, ExitCode, type Explained, reporting, tellAll, UsageError } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { printTable } from "../Output.ts"
import { selectQueues } from "../ReadTopic.ts"
import { toRun } from "../Printed.ts"
import { json, printable, millisOf, type Moment } from "../Text.ts"

/** What the three commands are asked. */
export interface OffsetsInput extends Connection {
  readonly group: string
  readonly json: boolean
}

/** What `group offsets show` is asked. */
export interface ShowInput extends OffsetsInput {
  readonly topic: string | undefined
}

/** What `group offsets set` is asked. */
export interface SetInput extends OffsetsInput {
  readonly topic: string
  readonly queue: string | undefined
  /** One of the three says where to. */
  readonly offset: number | undefined
  readonly at: Moment | undefined
  readonly to: "earliest" | "latest" | undefined
  readonly dryRun: boolean
}

/** What `group offsets clone` is asked. */
export interface CloneInput extends OffsetsInput {
  readonly from: string
  readonly topic: string | undefined
  readonly dryRun: boolean
}

/** Queues that are asked for at once. */
const QUEUES_AT_ONCE = 8

/** Offsets of queues, for programs and for people. */
const print = Effect.fnUntraced(function* (
  input: OffsetsInput & { readonly dryRun?: boolean },
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<{
    readonly queue: MessageQueue
    readonly values: Readonly<Record<string, number | bigint | null>>
  }>
) {
  if (input.json) {
    const queues = rows.map(({ queue, values }) => ({
      topic: queue.topic,
      brokerName: queue.brokerName,
      queueId: queue.queueId,
      ...values
    }))
    yield* Console.log(
      json({ group: input.group, ...(input.dryRun === undefined ? {} : { dryRun: input.dryRun }), queues })
    )
    return
  }
  yield* printTable(
    ["TOPIC", "BROKER", "QUEUE", ...head],
    rows.map(({ queue, values }) => [
      queue.topic,
      queue.brokerName,
      String(queue.queueId),
      ...Object.values(values).map((value) => (value === null ? "-" : String(value)))
    ]),
    [2, ...head.map((_, index) => index + 3)]
  )
})

/** `effect-rocketmq group offsets show`. */
export const show = (input: ShowInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { group, topic } = input
    const known = (yield* admin.examineConsumeStats(group, topic)).queues.map(({ queue }) => queue)
    const queues = topic === undefined ? known : yield* admin.fetchSubscribeMessageQueues(topic)
    if (known.length === 0) yield* knownGroup(group)
    const rows = yield* Effect.forEach(
      queues,
      (queue) =>
        Effect.map(
          Effect.all([admin.fetchConsumeOffset(group, queue), admin.minOffset(queue), admin.maxOffset(queue)]),
          ([offset, minOffset, maxOffset]) => ({ queue, values: { offset: offset ?? null, minOffset, maxOffset } })
        ),
      { concurrency: QUEUES_AT_ONCE }
    )
    if (rows.length === 0 && !input.json) {
      yield* Console.error(`group ${group} has committed no offset`)
      return
    }
    yield* print(input, ["READS NEXT", "OLDEST", "NEXT WRITTEN"], rows)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** Members write their own offsets over what is set: nobody may be online. */
const nobodyOnline = Effect.fnUntraced(function* (input: OffsetsInput & { readonly topic: string | undefined }) {
  const { group, topic } = input
  const admin = yield* MQAdmin
  const { connections } = yield* admin.examineConsumerConnectionInfo(group).pipe(
    Effect.catchIf(
      ({ reason }) => reason._tag === "ConsumerNotOnline",
      () => Effect.succeed({ connections: [] })
    )
  )
  if (connections.length === 0) return
  const refused: Explained = {
    tag: "GroupOnline",
    message: `Members of group "${group}" are online, and would write their own offsets over these: ${NameList.text(connections.map(({ clientId }) => printable(clientId)))}.`,
    remedy: `Stop them first, or move the whole group while it runs: ${toRun(input)`group reset ${group} --topic ${topic ?? "<topic>"} --at <time>`}`,
    exitCode: ExitCode.refused
  }
  yield* tellAll([refused.message], refused)
  yield* new CommandFailed({ exitCode: refused.exitCode, summary: refused.message })
})

/** Sets each offset, unless it is only to be shown. */
const apply = Effect.fnUntraced(function* (
  input: OffsetsInput & { readonly dryRun: boolean },
  changes: ReadonlyArray<{ readonly queue: MessageQueue; readonly offset: number }>
) {
  const admin = yield* MQAdmin
  const rows = yield* Effect.forEach(
    changes,
    ({ offset, queue }) =>
      Effect.map(admin.fetchConsumeOffset(input.group, queue), (before) => ({
        queue,
        values: { before: before ?? null, offset }
      })),
    { concurrency: QUEUES_AT_ONCE }
  )
  if (!input.dryRun) {
    yield* Effect.forEach(changes, ({ offset, queue }) => admin.updateConsumeOffset(input.group, queue, offset), {
      discard: true
    })
  }
  yield* print(input, ["READ NEXT", input.dryRun ? "WOULD READ NEXT" : "READS NEXT"], rows)
})

/** `effect-rocketmq group offsets set`. */
export const set = (input: SetInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { at, group, offset, to, topic } = input
    if ([at, offset, to].filter((given) => given !== undefined).length !== 1) {
      return yield* new UsageError({
        problem: "Where the group is to read on was not said, or twice.",
        remedy: "Pass --offset <number>, --at <time>, or --to earliest or --to latest."
      })
    }
    const queues = yield* selectQueues({ topic, queue: input.queue })
    yield* knownGroup(group)
    yield* nobodyOnline(input)
    const now = yield* Clock.currentTimeMillis
    const changes = yield* Effect.forEach(
      queues,
      Effect.fnUntraced(function* (queue) {
        const [least, most] = yield* Effect.all([admin.minOffset(queue), admin.maxOffset(queue)])
        if (offset !== undefined && (offset < least || offset > most)) {
          return yield* new UsageError({
            problem: `Queue ${queue.brokerName}:${queue.queueId} of topic "${topic}" holds offsets ${least} to ${most}, and not ${offset}. Nothing was set.`,
            remedy: "Pass an offset in between, and --queue where the queues hold different ones."
          })
        }
        const target =
          offset ??
          (to === "latest"
            ? most
            : to === "earliest" || at === undefined
              ? least
              : yield* admin.searchOffset(queue, millisOf(at, now)))
        return { queue, offset: target }
      }),
      { concurrency: QUEUES_AT_ONCE }
    )
    return yield* apply(input, changes)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** `effect-rocketmq group offsets clone`. */
export const clone = (input: CloneInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { from, group, topic } = input
    if (from === group) {
      return yield* new UsageError({ problem: "A group cannot be cloned to itself.", remedy: "Name two groups." })
    }
    const { queues } = yield* admin.examineConsumeStats(from, topic)
    if (queues.length === 0) yield* knownGroup(from)
    // Brokers of 5.x take no offset of a group that they do not know.
    yield* knownGroup(group)
    yield* nobodyOnline(input)
    // A group's retries are its own. A broker's list has 0 where nothing was committed, and what no number holds is no place.
    const found = yield* Effect.forEach(
      queues.filter(({ queue }) => !isRetryTopic(queue.topic)),
      ({ queue }) => Effect.map(admin.fetchConsumeOffset(from, queue), (offset) => ({ queue, offset })),
      { concurrency: QUEUES_AT_ONCE }
    )
    const changes = found.flatMap(({ offset, queue }) => (typeof offset === "number" ? [{ queue, offset }] : []))
    if (changes.length === 0 && !input.json) yield* Console.error(`group ${from} has committed no offset`)
    else yield* apply(input, changes)
    return undefined
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
