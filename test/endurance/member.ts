/**
 * A member of a group in a process of its own: `node member.ts <namesrvAddr> <topic> <group> <fails>`. It prints a line for
 * each handler that ends: the key of the queue, the offset, the message's number, whether it is consumed, and when. One
 * message in `fails` is not, at first. Signals end it as they end the command.
 */
import { Effect, Layer, References } from "effect"
import { runMain } from "../../src/cli/RunMain.ts"
import { DefaultMQPushConsumer, MessageQueue, MQClientManager, Subscription } from "../../src/index.ts"
import { numberOf } from "./Ledger.ts"

const [, , namesrvAddr = "", topic = "", group = "", fails = "500"] = process.argv

const member = DefaultMQPushConsumer.layer(
  {
    consumerGroup: group,
    subscriptions: [Subscription.all(topic)],
    namesrvAddr,
    instanceName: `member-${process.pid}`,
    consumeFromWhere: "first",
    startTimeoutMillis: 120_000,
    pollNameServerInterval: 2_000,
    heartbeatBrokerInterval: 2_000
  },
  ({ attempt, body, queue, queueOffset }) =>
    Effect.suspend(() => {
      const n = numberOf(body) ?? -1
      const ok = attempt > 1 || n % Number(fails) !== 0
      // A pipe takes a line before the next thing happens, also before the process is killed.
      process.stdout.write(`${MessageQueue.key(queue)} ${queueOffset} ${n} ${ok} ${Date.now()}\n`)
      return ok ? Effect.void : Effect.fail("not now")
    }).pipe(Effect.delay(5))
)

// What it logs would stand between the lines.
const silent = Layer.succeed(References.MinimumLogLevel, "None")

runMain(Layer.launch(member.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provide(silent))), () => 1)
