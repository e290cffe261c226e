import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as MessageDelay from "../../message/MessageDelay.ts"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"
import { parseMoment } from "../Text.ts"

const delayFlag = Flag.String("delay").pipe(
  Flag.withMetavar("90s | level:3"),
  Flag.withDescription(
    "Deliver so much later (brokers of 5.x): 90s, 15m, 2h, 3d; or after the delay of a level, 1 to 18"
  ),
  Flag.mapTryCatch(
    (text): MessageDelay.MessageDelay => {
      const level = /^level:(\d{1,9})$/.exec(text)?.[1]
      if (level !== undefined) return MessageDelay.level(Number(level))
      const span = parseMoment(text)
      if (!("ago" in span)) throw new Error(text)
      return MessageDelay.by(span.ago)
    },
    () => "a span as 90s, 15m, 2h, 3d, or a level as level:3; a time is for --deliver-at"
  ),
  Flag.optional
)

const deliverAtFlag = Flag.String("deliver-at").pipe(
  Flag.withMetavar("time"),
  Flag.withDescription(
    "Deliver at a time (brokers of 5.x): 2026-08-01T10:00:00Z, or milliseconds; one in the past is now"
  ),
  Flag.mapTryCatch(
    (text): MessageDelay.MessageDelay => {
      const time = parseMoment(text)
      if (!("at" in time)) throw new Error(text)
      return MessageDelay.at(time.at)
    },
    () => "a time as 2026-08-01T10:00:00Z, or milliseconds; a span is for --delay"
  ),
  Flag.optional
)

/** `effect-rocketmq send`. */
export const send = Command.make(
  "send",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    name: Flags.topicArgument,
    group: Flag.String("group").pipe(
      Flag.withAlias("g"),
      Flag.withDescription("Producer group"),
      Flag.withDefault("effect-rocketmq-cli")
    ),
    tags: Flag.String("tags").pipe(Flag.withDescription("The message's tag"), Flag.optional),
    keys: Flag.String("key").pipe(Flag.withDescription("A key to find it by; may be repeated"), Flag.atLeast(0)),
    properties: Flags.pairs("property").pipe(Flag.withDescription("A user property; may be repeated")),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many messages to send"),
      Flag.optional
    ),
    size: Flags.int("size", 1, 4_194_304).pipe(
      Flag.withDescription("Bytes of a generated body; default 1024"),
      Flag.optional
    ),
    body: Flag.String("body").pipe(Flag.withDescription("The body, as text"), Flag.optional),
    file: Flag.String("file").pipe(
      Flag.withMetavar("path | -"),
      Flag.withDescription("A file whose bytes, line ends included, are one body; - is standard input"),
      Flag.optional
    ),
    delay: delayFlag,
    deliverAt: deliverAtFlag,
    queue: Flags.queue.pipe(Flag.withDescription("The queue to send to; by default they take turns"), Flag.optional),
    orderingKey: Flag.String("ordering-key").pipe(
      Flag.withMetavar("key"),
      Flag.withDescription("All messages of a key go to one queue, one after the other unless --concurrency says more"),
      Flag.withSchema(Schema.NonEmptyString),
      Flag.optional
    ),
    oneway: Flag.Boolean("oneway").pipe(
      Flag.withDescription("Send without acknowledgement: what is lost is not told"),
      Flag.withDefault(false)
    ),
    rate: Flags.int("rate", 1, 1_000_000).pipe(Flag.withDescription("Messages per second, at most"), Flag.optional),
    concurrency: Flags.int("concurrency", 1, 65_536).pipe(
      Flag.withDescription("How many sends at once; 1 keeps the order. Default 64, with --ordering-key 1"),
      Flag.optional
    ),
    timeout: Flags.int("timeout", 1).pipe(
      Flag.withDescription("Milliseconds that a send may take, retries included; default 3000"),
      Flag.withDefault(3_000)
    ),
    json: Flags.json
  },
  ({ body, concurrency, count, delay, deliverAt, file, name, orderingKey, queue, rate, size, tags, topic, ...input }) =>
    Effect.gen(function* () {
      const content = {
        body: Option.getOrUndefined(body),
        file: Option.getOrUndefined(file),
        size: Option.getOrUndefined(size)
      }
      const time = { delay: Option.getOrUndefined(delay), "deliver-at": Option.getOrUndefined(deliverAt) }
      const place = { queue: Option.getOrUndefined(queue), "ordering-key": Option.getOrUndefined(orderingKey) }
      for (const flags of [content, time, place]) yield* Flags.atMostOne(flags)
      const found = yield* Flags.either("topic", topic, name)
      yield* load(
        () => import("./send.ts"),
        ({ run }) =>
          run({
            ...input,
            ...content,
            topic: found,
            tags: Option.getOrUndefined(tags),
            count: Option.getOrUndefined(count),
            rate: Option.getOrUndefined(rate),
            concurrency: Option.getOrUndefined(concurrency),
            delay: time.delay ?? time["deliver-at"],
            queue: place.queue,
            orderingKey: place["ordering-key"]
          })
      )
    })
).pipe(
  Command.withDescription(
    "Send messages: --body, --file, --count of a --size, or one message per line of standard input, byte for byte. mqadmin: sendMessage -t <topic> -p <body>, and the benchmark's producer.sh."
  ),
  Command.withShortDescription("Send messages"),
  Command.withExamples([
    { command: "effect-rocketmq send --topic orders --body hello --tags created --key order-7" },
    { command: "effect-rocketmq send --topic orders --count 10000 --size 512", description: "Generated bodies" },
    { command: "effect-rocketmq send images --file logo.png --delay 90s", description: "A file's bytes, later" },
    { command: "cat events.ndjson | effect-rocketmq send --topic events --json", description: "A message a line" }
  ])
)
