/**
 * `npm run endurance -- <what> [options]`: runs that take long, each with the machine to itself as far as possible. The
 * last line says what came of it; the exit code is 1 when something did not hold. See docs/endurance.md.
 */
import { parseArgs } from "node:util"
import * as ConsumerCycles from "./consumerCycles.ts"
import * as ConsumerSoak from "./consumerSoak.ts"
import * as Cycles from "./cycles.ts"
import * as Day from "./day.ts"
import * as Embedded from "./embedded.ts"
import * as Group from "./group.ts"
import * as GroupRocketMQ from "./groupRocketmq.ts"
import { kinds } from "./Kinds.ts"
import * as Members from "./members.ts"
import { type Outcome, say } from "./Report.ts"
import * as RocketMQ from "./rocketmq.ts"
import * as Shutdown from "./shutdown.ts"
import * as Soak from "./soak.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: "string" },
    seed: { type: "string", default: "1" },
    kind: { type: "string", default: "concurrently" },
    wire: { type: "string", default: "tcp" },
    events: { type: "string" },
    kills: { type: "string" },
    count: { type: "string", default: "1000" },
    each: { type: "string", default: "10" },
    hours: { type: "string", default: "24" },
    minutes: { type: "string" },
    rate: { type: "string" },
    every: { type: "string", default: "30" },
    rounds: { type: "string", default: "5" }
  }
})

const usage = `usage: npm run endurance -- <what> [options]
  embedded --messages 1000000 [--seed 1] [--wire tcp|memory] [--events 200]
  rocketmq --messages 200000 --kills 50 [--seed 1]
  group    --messages 1000000 [--seed 1] [--wire tcp|memory] [--events 150] [--kind concurrently]
  group-rocketmq --messages 200000 --kills 30 [--seed 1]
  cycles   --count 1000
  consumer-cycles --count 1000
  day      [--each 10 members of each kind] [--hours 24]
  members  --minutes 5
  soak     --minutes 30 [--rate 500 messages a second] [--every 30 seconds]
  consumer-soak --minutes 30 [--rate 100 messages a second] [--every 30 seconds]
  shutdown [--rounds 5]`

const whole = (name: string, text: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number from 1 on\n${usage}`)
  return value
}

const runs: Readonly<Record<string, () => Promise<Outcome>>> = {
  embedded: () =>
    Embedded.run({
      messages: whole("messages", values.messages ?? "1000000"),
      seed: whole("seed", values.seed),
      wire: values.wire === "memory" ? "memory" : "tcp",
      events: whole("events", values.events ?? "200")
    }),
  rocketmq: () =>
    RocketMQ.run({
      messages: whole("messages", values.messages ?? "200000"),
      kills: whole("kills", values.kills ?? "50"),
      seed: whole("seed", values.seed)
    }),
  group: () =>
    Group.run({
      messages: whole("messages", values.messages ?? "1000000"),
      seed: whole("seed", values.seed),
      wire: values.wire === "memory" ? "memory" : "tcp",
      kind: kinds.find((kind) => kind === values.kind) ?? "concurrently",
      events: whole("events", values.events ?? "150")
    }),
  "group-rocketmq": () =>
    GroupRocketMQ.run({
      messages: whole("messages", values.messages ?? "200000"),
      kills: whole("kills", values.kills ?? "30"),
      seed: whole("seed", values.seed)
    }),
  cycles: () => Cycles.run({ count: whole("count", values.count) }),
  "consumer-cycles": () => ConsumerCycles.run({ count: whole("count", values.count) }),
  day: () => Day.run({ each: whole("each", values.each), hours: whole("hours", values.hours) }),
  members: () => Members.run({ minutes: whole("minutes", values.minutes ?? "5") }),
  soak: () =>
    Soak.run({
      minutes: whole("minutes", values.minutes ?? "30"),
      rate: whole("rate", values.rate ?? "500"),
      every: whole("every", values.every)
    }),
  "consumer-soak": () =>
    ConsumerSoak.run({
      minutes: whole("minutes", values.minutes ?? "30"),
      rate: whole("rate", values.rate ?? "100"),
      every: whole("every", values.every)
    }),
  shutdown: () => Shutdown.run({ rounds: whole("rounds", values.rounds) })
}

const run = runs[positionals[0] ?? ""]
if (run === undefined) throw new Error(usage)
const { summary, violations } = await run()
for (const violation of violations.slice(0, 20)) say(`VIOLATION ${violation}`)
say(`${violations.length === 0 ? "ok" : "FAILED"}: ${summary}`)
process.exitCode = violations.length === 0 ? 0 : 1
