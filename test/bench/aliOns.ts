import { createRequire } from "node:module"
import { measure, type Meter, type Phase } from "./Meter.ts"
import { task } from "./Task.ts"

/** ali-ons, from the folder in the second argument: `Producer.send`, as many loops as there may be messages in flight. */

interface AliOns {
  readonly Producer: new (options: object) => {
    readonly ready: () => Promise<void>
    readonly send: (message: object) => Promise<unknown>
    readonly on: (event: "error", listener: (error: unknown) => void) => void
  }
  readonly Message: new (topic: string, tags: string, body: Buffer) => object
}

const options = task()
const require = createRequire(`${process.argv[3]}/`)
const { Message, Producer }: AliOns = require("ali-ons")

const quiet = () => {}
const logger = { info: quiet, warn: quiet, error: quiet, debug: quiet, log: quiet }

const producer = new Producer({
  producerGroup: "ali-ons-bench",
  nameSrv: options.address,
  // Asked for also where it is not used, for the address server.
  httpclient: {},
  logger,
  compressMsgBodyOverHowmuch: Infinity,
  sendMsgTimeout: 10_000
})
producer.on("error", quiet)
await producer.ready()
// One message before all others: each of many concurrent first sends would ask for the route.
await producer.send(new Message(options.topic, "", Buffer.alloc(options.bodySize, "x")))

const run = async (phase: Phase, meter: Meter): Promise<void> => {
  const body = Buffer.alloc(phase.bodySize, "x")
  const sender = async () => {
    for (;;) {
      const began = meter.begin(1)
      if (began < 0) return
      try {
        await producer.send(new Message(options.topic, "", body))
        meter.done(began, 1)
      } catch (error) {
        meter.fail(error)
      }
    }
  }
  await Promise.all(Array.from({ length: phase.inFlight }, sender))
}

await measure(options, 1, run)
// Its timers would keep the process alive.
process.exit(0)
