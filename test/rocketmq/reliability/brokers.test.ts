import { layer } from "@effect/vitest"
import { services } from "../support.ts"
import * as answers from "./answers.ts"
import * as connections from "./connections.ts"
import * as host from "./host.ts"
import * as lifeCycle from "./lifeCycle.ts"
import { A, B } from "./shared.ts"

const cluster = services({ brokers: [{ name: A }, { name: B }], brokerProperties: { autoCreateTopicEnable: "false" } })

layer(cluster, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0, two brokers", (test) => {
  answers.tests(test)
  lifeCycle.tests(test)
  host.tests(test)
  connections.tests(test)
})
