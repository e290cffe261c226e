// The built package, as a program uses it: copied beside its build, see StartPart.ts.
import { Effect } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "./dist/index.js"

const task = JSON.parse(process.argv[2] ?? "")
const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer.make({ producerGroup: "bench-pg", namesrvAddr: task.address })
  const message = Message.make({ topic: task.topic, body: new Uint8Array(task.bodySize) })
  const begin = performance.now()
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  const startMillis = performance.now() - begin
  yield* producer.send(message)
  process.stdout.write(`${JSON.stringify({ startMillis, startToFirstAckMillis: performance.now() - begin })}\n`)
})
await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(MQClientManager.layerTcp)))
