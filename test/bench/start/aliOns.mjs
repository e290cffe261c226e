// ali-ons, from the folder in the second argument.
import { createRequire } from "node:module"

const task = JSON.parse(process.argv[2] ?? "")
const { Message, Producer } = createRequire(`${process.argv[3]}/`)("ali-ons")
const quiet = () => {}
const logger = { info: quiet, warn: quiet, error: quiet, debug: quiet, log: quiet }

const begin = performance.now()
const producer = new Producer({ producerGroup: "ali-ons-bench", nameSrv: task.address, httpclient: {}, logger })
producer.on("error", quiet)
await producer.ready()
const startMillis = performance.now() - begin
await producer.send(new Message(task.topic, "", Buffer.alloc(task.bodySize)))
process.stdout.write(`${JSON.stringify({ startMillis, startToFirstAckMillis: performance.now() - begin })}\n`)
// Its timers would keep the process alive.
process.exit(0)
