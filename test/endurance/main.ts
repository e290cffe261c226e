/**
 * `npm run endurance -- <what> [options]`: runs that take long, each with the machine to itself as far as possible. The
 * last line says what came of it; the exit code is 1 when something did not hold. See docs/endurance.md.
 */
import { parseArgs } from "node:util"
import * as Embedded from "./embedded.ts"
import { type Outcome, say } from "./Report.ts"
import * as RocketMQ from "./rocketmq.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: "string" },
    seed: { type: "string", default: "1" },
    wire: { type: "string", default: "tcp" },
    events: { type: "string" },
    kills: { type: "string", default: "50" }
  }
})

const usage = `usage: npm run endurance -- <what> [options]
  embedded --messages 1000000 [--seed 1] [--wire tcp|memory] [--events 200]
  rocketmq --messages 200000 --kills 50 [--seed 1]`

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
      kills: whole("kills", values.kills),
      seed: whole("seed", values.seed)
    })
}

const run = runs[positionals[0] ?? ""]
if (run === undefined) throw new Error(usage)
const { summary, violations } = await run()
for (const violation of violations.slice(0, 20)) say(`VIOLATION ${violation}`)
say(`${violations.length === 0 ? "ok" : "FAILED"}: ${summary}`)
process.exitCode = violations.length === 0 ? 0 : 1
