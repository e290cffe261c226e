/** A consumer group on a real two-broker RocketMQ whose members, each a process, come, leave and are killed for minutes. */
import { Effect, Layer, References } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { RocketMQ } from "../rocketmq/RocketMQServer.ts"
import { createTopic } from "../rocketmq/support.ts"
import { flapping } from "../support/flapping.ts"
import type { Outcome } from "./Report.ts"

export interface MembersOptions {
  readonly minutes: number
}

const BROKERS = ["broker-a", "broker-b"]
const QUEUES = 4

const program = ({ minutes }: MembersOptions) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* RocketMQ
    const topic = yield* createTopic("flapping", BROKERS, { queues: QUEUES })
    const queues = BROKERS.flatMap((name) =>
      Array.from({ length: QUEUES }, (_, id) => MessageQueue.make(topic, name, id))
    )
    const found = yield* flapping({ namesrvAddr, topic, queues, group: "flapping", millis: minutes * 60_000 })
    const { ends, sent, twice, violations } = found
    const summary = `${sent} messages in ${minutes} minutes, ${ends.SIGTERM} members told to leave and ${ends.SIGKILL} killed; ${twice} deliveries too many`
    return { summary, violations }
  })

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0", brokers: BROKERS.map((name) => ({ name })) }),
  MQClientManager.layerTcp,
  TcpWire.layer,
  Layer.succeed(References.MinimumLogLevel, "None")
)

/** Runs it: two masters, one name server, three members at a time. */
export const run = (options: MembersOptions): Promise<Outcome> =>
  program(options).pipe(Effect.scoped, Effect.provide(services), Effect.runPromise)
