import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** `effect-rocketmq bench`. */
export const bench = Command.make(
  "bench",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    name: Flags.topicArgument,
    makeTopic: Flag.Boolean("make-topic").pipe(
      Flag.withDescription("Make a topic for the run, of 8 queues on each master, and delete it at the end"),
      Flag.withDefault(false)
    ),
    mode: Flag.Literals("mode", ["both", "produce", "consume"]).pipe(
      Flag.withDescription(
        "produce sends; both sends and reads what it sends, with a group of its own; consume reads what is there. Default both"
      ),
      Flag.withDefault("both")
    ),
    size: Flags.int("size", 1, 4_194_304).pipe(
      Flag.withDescription("Bytes of a body; default 1024"),
      Flag.withDefault(1_024)
    ),
    concurrency: Flags.int("concurrency", 1, 65_536).pipe(
      Flag.withDescription("How many sends at once; default 64"),
      Flag.withDefault(64)
    ),
    rate: Flags.int("rate", 1, 10_000_000).pipe(
      Flag.withDescription("Messages a second at most; default as many as go"),
      Flag.optional
    ),
    count: Flags.int("count", 1, 10_000_000).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("End after so many messages"),
      Flag.optional
    ),
    duration: Flags.span("duration").pipe(
      Flag.withDescription("End after so long: 30s, 5m. Default 10s, where no --count is given"),
      Flag.optional
    ),
    json: Flags.json
  },
  ({ count, duration, name, rate, topic, ...input }) =>
    Effect.flatMap(Flags.named([name], {}, { topic }), (named) =>
      load(
        () => import("./bench.ts"),
        ({ run }) =>
          run({
            ...input,
            topic: named.topic,
            count: Option.getOrUndefined(count),
            duration: Option.getOrUndefined(duration),
            rate: Option.getOrUndefined(rate)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Measure a cluster with this client: messages a second, the time from a send to its acknowledgement, and from a send to the handler of a consumer in this process, on its own clock. mqadmin: clusterRT, checkMsgSendRT; the benchmark's producer.sh and consumer.sh."
  ),
  Command.withShortDescription("Measure how fast a cluster takes and gives messages"),
  Command.withExamples([
    { command: "effect-rocketmq bench --make-topic" },
    { command: "effect-rocketmq bench orders --mode produce --size 4096 --rate 1000 --duration 1m --json" }
  ])
)
