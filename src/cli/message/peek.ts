import { Clock, Console, Effect } from "effect"
import type { ReadMessage } from "../../admin/QueueReader.ts"
import { compressionOf } from "../../protocol/Compression.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import type { Form } from "../MessageForm.ts"
import { printer } from "../MessageText.ts"
import { follow, read, type ReadFrom, type ReadQuery } from "../ReadTopic.ts"
import { palette, Screen } from "../Screen.ts"
import { count, millisOf, type Moment } from "../Text.ts"

/** What `peek` is asked. */
export interface PeekInput extends Connection {
  readonly topic: string
  /** `3` on every broker, or `broker-a:3`; every queue when absent. */
  readonly queue: string | undefined
  /** Where to begin in each queue; when absent at the oldest message, and at the end with `follow`. */
  readonly offset: ReadFrom | undefined
  readonly since: Moment | undefined
  readonly tag: string | undefined
  readonly key: string | undefined
  /** How many messages at most, all queues together; when absent 100, and any number with `follow`. */
  readonly count: number | undefined
  /** Whether to go on with what is stored from now on. */
  readonly follow: boolean
  readonly format: Form | undefined
  readonly json: boolean
}

/** How many messages are shown where nothing is said. */
const DEFAULT_COUNT = 100

/** `effect-rocketmq peek`: reads messages without consuming them; no group's progress changes. */
export const run = (input: PeekInput) =>
  Effect.gen(function* () {
    const { since, ...rest } = input
    if (since !== undefined && input.offset !== undefined) {
      return yield* new UsageError({
        problem: "--since and --offset both say where to begin.",
        remedy: "Pass one of them."
      })
    }
    const screen = yield* Screen
    const toText = yield* printer(input, palette(screen.stdout))
    let shown = 0
    let packed = 0
    const textOf = (one: ReadMessage) => {
      shown++
      if (compressionOf(one.message.sysFlag) !== undefined) packed++
      return toText(one)
    }
    const query: ReadQuery = {
      ...rest,
      since: since === undefined ? undefined : millisOf(since, yield* Clock.currentTimeMillis),
      offset: input.offset ?? (input.follow ? "latest" : "earliest"),
      count: input.count ?? (input.follow ? Infinity : DEFAULT_COUNT)
    }
    yield* input.follow
      ? // Each line is out before the next is read, and a reader that goes away ends it.
        follow(query, (one) => screen.line(textOf(one))).pipe(Effect.catchTag("OutputClosed", () => Effect.void))
      : read(query, (one) => Console.log(textOf(one)))
    if (packed > 0)
      yield* Console.error(
        `${count(packed, "body")} shown packed: damaged or too large, or LZ4 without the package lz4-napi`
      )
    if (shown === 0) {
      const filtered = [input.since, input.tag, input.key].some((wanted) => wanted !== undefined)
      yield* Console.error(`no ${filtered ? "such " : ""}messages in topic ${input.topic}`)
    }
    return undefined
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
