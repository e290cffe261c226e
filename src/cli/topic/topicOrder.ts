import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { OrderConf } from "../../admin/NameServers.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { printDone, printTable } from "../Output.ts"
import { type Reached, toRun } from "../Printed.ts"
import { palette, Screen } from "../Screen.ts"
import { json } from "../Text.ts"

/** What `topic order get` is asked. */
export interface TopicOrderInput extends Connection {
  readonly topic: string
  readonly json: boolean
}

const print = Effect.fnUntraced(function* (topic: string, conf: OrderConf, asJson: boolean) {
  if (asJson) {
    const brokers = [...conf].map(([brokerName, queues]) => ({ brokerName, queues }))
    yield* Console.log(json({ topic, brokers }))
    return
  }
  if (conf.size === 0) {
    yield* Console.error(`topic ${topic} has no order configuration`)
    return
  }
  yield* printTable(
    ["BROKER", "QUEUES"],
    [...conf].map(([brokerName, queues]) => [brokerName, String(queues)]),
    [1]
  )
})

/** `effect-rocketmq topic order get`: the order configuration of a topic. */
export const get = (input: TopicOrderInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    // A name that nobody has is a misspelt one more often than one without a configuration.
    yield* admin.examineTopicRouteInfo(input.topic)
    yield* print(input.topic, yield* admin.getOrderConf(input.topic), input.json)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `topic order put` is asked. */
export interface TopicOrderPutInput extends TopicOrderInput {
  /** How many queues of each broker, as text. */
  readonly queues: Readonly<Record<string, string>>
  /** Whether brokers that are not named are forgotten. */
  readonly replace: boolean
}

/** Name servers hand an order configuration out only where they are told to. */
const warnUnlessServed = Effect.fnUntraced(function* (reached: Reached) {
  const admin = yield* MQAdmin
  const silent = (yield* admin.getNameServerConfig()).filter(
    ({ config }) => config.get("orderMessageEnable") === "false"
  )
  if (silent.length === 0) return
  const { warn } = palette((yield* Screen).stderr)
  yield* Console.error(
    `${warn("warning:")} clients are not told of it by ${silent.map(({ nameServer }) => nameServer).join(", ")} (orderMessageEnable is false); to change that: ${toRun(reached)`namesrv config update --set orderMessageEnable=true --yes`}`
  )
})

/** `effect-rocketmq topic order put`: sets the order configuration of a topic, for the brokers that are named. */
export const put = (input: TopicOrderPutInput) =>
  Effect.gen(function* () {
    const { replace, topic } = input
    const wrong = Object.entries(input.queues).find(([, number]) => !/^[1-9]\d{0,4}$/.test(number))
    if (wrong !== undefined) {
      return yield* new UsageError({
        problem: `"${wrong.join("=")}" names no number of queues.`,
        remedy: "Write it as --queues broker-a=4."
      })
    }
    const queues = Object.fromEntries(Object.entries(input.queues).map(([broker, text]) => [broker, Number(text)]))
    const admin = yield* MQAdmin
    yield* print(topic, yield* admin.createOrUpdateOrderConf(topic, queues, { replace }), input.json)
    return yield* warnUnlessServed(input)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `topic order delete` is asked. */
export interface TopicOrderDeleteInput extends TopicOrderInput {
  /** Whether it is meant. */
  readonly yes: boolean
}

/** `effect-rocketmq topic order delete`: deletes the order configuration of a topic. */
export const remove = (input: TopicOrderDeleteInput) =>
  Effect.gen(function* () {
    const { topic } = input
    const admin = yield* MQAdmin
    const conf = yield* admin.getOrderConf(topic)
    if (conf.size === 0) yield* admin.examineTopicRouteInfo(topic)
    if (!input.yes) {
      const brokers = [...conf].map(([broker, queues]) => `${broker}:${queues}`).join(";")
      return yield* new UsageError({
        problem:
          conf.size === 0
            ? `Topic ${topic} has no order configuration.`
            : `The order configuration of topic ${topic}, ${brokers}, would be gone: messages go to all of its queues.`,
        remedy: conf.size === 0 ? "There is nothing to delete." : "Pass --yes if that is meant."
      })
    }
    yield* admin.deleteOrderConf(topic)
    return yield* input.json
      ? Console.log(json({ topic, deleted: true }))
      : printDone(`the order configuration of topic ${topic} is deleted`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
