/** Everything that this client asks of servers and is asked by them, each as small as it can be. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Cause, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { Scope } from "effect"
import { MQAdmin, type MQAdminShape } from "../../src/admin/MQAdmin.ts"
import type { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import { SimpleConsumer } from "../../src/consumer/simple/SimpleConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import * as ConsumeMessageDirectly from "../../src/protocol/push/ConsumeMessageDirectly.ts"
import * as GetConsumerRunningInfo from "../../src/protocol/push/GetConsumerRunningInfo.ts"
import * as ResetOffset from "../../src/protocol/request/ResetOffset.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { Wire } from "../../src/transport/Wire.ts"
import { cli } from "../cli/support.ts"
import { consumerHeartbeat } from "../embedded/support.ts"
import { advance, settle, timed } from "../support/rig.ts"
import type { RawClient } from "../embedded/support.ts"

/** What a scenario shows to people, beside what it logs. */
export interface Shown {
  /** Text of one line each. */
  readonly line: (what: string, text: string) => void
  /** A line of JSON. */
  readonly json: (what: string, text: string) => void
  /** A failure, with all that it holds. */
  readonly error: (what: string, error: unknown) => void
  /** A state, in which every text is for people. */
  readonly state: (what: string, state: unknown) => void
}

type Services = EmbeddedCluster | Wire | MQClientManager | Scope.Scope

/** One way through the client. */
export interface Scenario {
  readonly name: string
  /** Whether it prints the body of a message with its lines, as the last of its output, behind a heading. */
  readonly showsBody?: boolean
  /** Whether topics are static ones; default false. */
  readonly staticTopics?: boolean
  readonly run: (shown: Shown, raw: RawClient) => Effect.Effect<void, unknown, Services>
}

const namesrvAddr = "127.0.0.1:9876"

const failureIn = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined

/** Runs to the end what may fail, and shows how it failed. */
const attempt = <A, E, R>(shown: Shown, what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.map(timed(effect, 120_000, 100), ({ exit }) => {
    const failure = failureIn(exit)
    if (failure !== undefined) shown.error(what, failure)
    return exit
  })

/** Puts a consumer into the group, which sends its heartbeat and reads nothing. */
const online = (raw: RawClient) =>
  Effect.ignore(raw.call("127.0.0.1:10911", consumerHeartbeat("10.0.0.1@7#reader", "readers", ["orders"])))

const fill = (raw: RawClient) =>
  Effect.gen(function* () {
    yield* online(raw)
    const producer = yield* DefaultMQProducer.make({ producerGroup: "filler", namesrvAddr, readiness: "lazy" })
    yield* producer.start
    const queue = MessageQueue.make("orders", "broker-a", 0)
    const message = Message.make({
      topic: "orders",
      body: "body",
      tags: "tag",
      keys: ["key"],
      properties: { mine: "p" }
    })
    const { exit } = yield* timed(producer.send(message, { queue }))
    yield* timed(producer.shutdown)
    return Exit.isSuccess(exit) ? exit.value : undefined
  })

const administrator = (call: (admin: MQAdminShape) => Effect.Effect<unknown, unknown>): Scenario["run"] =>
  Effect.fnUntraced(function* (shown) {
    yield* attempt(
      shown,
      "call",
      Effect.flatMap(MQAdmin, call).pipe(Effect.provide(MQAdmin.layer({ namesrvAddr }), { local: true }))
    )
  })

const admins: Readonly<Record<string, (admin: MQAdminShape) => Effect.Effect<unknown, unknown>>> = {
  clusters: (admin) => admin.examineBrokerClusterInfo,
  runtime: (admin) => admin.fetchBrokerRuntimeStats("broker-a"),
  "no such broker": (admin) => admin.fetchBrokerRuntimeStats("broker-z"),
  config: (admin) => admin.getBrokerConfig("broker-a"),
  topics: (admin) => admin.fetchAllTopicList,
  route: (admin) => admin.examineTopicRouteInfo("orders"),
  "topic config": (admin) => admin.examineTopicConfig("orders"),
  "topic stats": (admin) => admin.examineTopicStats("orders"),
  "create topic": (admin) => admin.createTopic({ topic: "new" }),
  "create topic in no cluster": (admin) => admin.createTopic({ topic: "new", clusterName: "nowhere" }),
  "create topic that is there": (admin) => admin.createTopic({ topic: "orders" }),
  "update topic": (admin) => admin.updateTopic({ topic: "orders", perm: 6 }),
  "delete topic": (admin) => admin.deleteTopic("orders"),
  groups: (admin) => admin.getAllSubscriptionGroup(),
  "create group": (admin) => admin.createSubscriptionGroup({ groupName: "new" }),
  "create group that is there": (admin) => admin.createSubscriptionGroup({ groupName: "readers" }),
  "delete group": (admin) => admin.deleteSubscriptionGroup("readers", { cleanOffset: true }),
  "who consumes": (admin) => admin.queryTopicConsumeByWho("orders"),
  "topics of a group": (admin) => admin.queryTopicsByConsumer("readers"),
  consumers: (admin) => admin.examineConsumerConnectionInfo("readers"),
  producers: (admin) => admin.examineProducerConnectionInfo("filler"),
  progress: (admin) => admin.examineConsumeStats("readers", "orders"),
  queues: (admin) => admin.fetchSubscribeMessageQueues("orders"),
  offsets: (admin) =>
    Effect.all([
      admin.minOffset(queue0),
      admin.maxOffset(queue0),
      admin.searchOffset(queue0, 0),
      admin.earliestMsgStoreTime(queue0),
      admin.updateConsumeOffset("readers", queue0, 0),
      admin.fetchConsumeOffset("readers", queue0)
    ]),
  pull: (admin) => admin.pull(queue0, 0, 32),
  reset: (admin) => admin.resetOffsetByTimestamp({ group: "readers", topic: "orders", to: 0 }),
  "by key": (admin) => admin.queryMessageByKey("orders", "key"),
  "by time": (admin) => admin.queryMessageByTime("orders", { maxNum: 2 }),
  "by a strange id": (admin) => admin.queryMessageById("orders", "7F0000010000000000000000DEADBEEF"),
  "change config": (admin) => admin.updateBrokerConfig("broker-a", { maxMessageSize: "2000000" }),
  "change an unknown setting": (admin) => admin.updateBrokerConfig("broker-a", { message: "1" }),
  "change config of name servers": (admin) => admin.updateNameServerConfig({ orderMessageEnable: "true" }),
  "write permission": (admin) => admin.wipeWritePermOfBroker("broker-a"),
  "write permission of no broker": (admin) => admin.addWritePermOfBroker("broker-z"),
  order: (admin) =>
    Effect.all([
      admin.createOrUpdateOrderConf("orders", { "broker-a": 1 }),
      admin.getOrderConf("orders"),
      admin.deleteOrderConf("orders")
    ]),
  users: (admin) => admin.listUser(),
  "create user": (admin) => admin.createUser({ username: "zoe", password: Redacted.make("secret") }),
  rights: (admin) => admin.listAcl(),
  "delete rights": (admin) => admin.deleteAcl("User:zoe")
}

/** Brokers that keep a user with a right, of which the embedded ones know nothing. */
const withAccess = Effect.flatMap(EmbeddedCluster, ({ faults }) =>
  Effect.forEach(
    [
      [
        RequestCode.AUTH_LIST_USER,
        [{ username: "zoe", password: "secret", userType: "Normal", userStatus: "enable" }]
      ] as const,
      [
        RequestCode.AUTH_LIST_ACL,
        [
          {
            subject: "User:zoe",
            policies: [
              {
                policyType: "Custom",
                entries: [{ resource: "Topic:orders", actions: ["Pub"], sourceIps: ["10.0.0.0/8"], decision: "Allow" }]
              }
            ]
          }
        ]
      ] as const
    ],
    ([code, answer]) =>
      faults.add({
        match: { code },
        actions: [{ _tag: "Answer", response: { code: 0, body: Buffer.from(JSON.stringify(answer)) } }]
      })
  )
)

const queue0 = MessageQueue.make("orders", "broker-a", 0)

const cliFolder = Path.join(import.meta.dirname, "..", "..", "src", "cli")

/** Loads what commands load when they run, so that the first that runs does not wait for as long as the machine takes. */
export const loadCommands = (): Promise<unknown> =>
  Promise.all(
    Fs.readdirSync(cliFolder, { recursive: true, encoding: "utf8" })
      .filter((file) => /Commands?\.ts$|^main\.ts$/.test(file))
      .flatMap((file) => {
        const path = Path.join(cliFolder, file)
        const found = [...Fs.readFileSync(path, "utf8").matchAll(/\(\) => import\("([^"]+)"\)/g)]
        return found.map(([, name = ""]): Promise<unknown> => import(Path.join(Path.dirname(path), name)))
      })
  )

/** What a command is made of is imported when it runs, for which the process itself has to go on. */
const inRealTurns = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(effect), { startImmediately: true })
    for (let turns = 0; fiber.pollUnsafe() === undefined; turns++) {
      if (turns > 10_000) return yield* Effect.die(new Error("a command goes on and on"))
      yield* Effect.promise(() => new Promise(setImmediate))
      yield* TestClock.adjust(20)
    }
    return yield* Fiber.join(fiber)
  })

const commandLine = (args: (sent: { readonly msgId: string; readonly offsetMsgId: string }) => ReadonlyArray<string>) =>
  Effect.fnUntraced(function* (shown: Shown, raw: RawClient) {
    const sent = (yield* fill(raw)) ?? { msgId: "", offsetMsgId: "" }
    for (const asJson of [false, true]) {
      const exit = yield* inRealTurns(cli([...args(sent), "--namesrv", namesrvAddr, ...(asJson ? ["--json"] : [])]))
      if (Exit.isFailure(exit)) {
        shown.error("defect", exit.cause)
        continue
      }
      for (const line of exit.value.out) (asJson ? shown.json : shown.line)("output", line)
      for (const line of exit.value.talk) shown.line("talk", line)
    }
  })

const commands: Readonly<
  Record<string, (sent: { readonly msgId: string; readonly offsetMsgId: string }) => ReadonlyArray<string>>
> = {
  doctor: () => ["doctor", "--topic", "orders", "--send"],
  send: () => ["send", "--topic", "orders", "--body", "b"],
  peek: () => ["peek", "--topic", "orders"],
  "topic list": () => ["topic", "list"],
  "topic route": () => ["topic", "route", "orders"],
  "topic config": () => ["topic", "config", "orders"],
  "topic stats": () => ["topic", "stats", "orders"],
  "topic offsets": () => ["topic", "offsets", "orders", "--at", "0"],
  "topic create": () => ["topic", "create", "new"],
  "topic create again": () => ["topic", "create", "orders", "--if-not-exists"],
  "topic update": () => ["topic", "update", "orders", "--perm", "rw"],
  "topic delete": () => ["topic", "delete", "orders", "--yes"],
  "group list": () => ["group", "list"],
  "group create": () => ["group", "create", "new"],
  "group create again": () => ["group", "create", "readers", "--if-not-exists"],
  "group delete": () => ["group", "delete", "readers", "--yes"],
  "group clients": () => ["group", "clients", "readers"],
  "group progress": () => ["group", "progress", "readers"],
  "group reset": () => ["group", "reset", "readers", "--topic", "orders", "--to", "earliest", "--yes"],
  "cluster list": () => ["cluster", "list"],
  "broker runtime": () => ["broker", "runtime", "broker-a"],
  "broker config": () => ["broker", "config", "broker-a"],
  "message get": ({ offsetMsgId }) => ["message", "get", offsetMsgId, "--topic", "orders"],
  "message get by its unique id": ({ msgId }) => ["message", "get", msgId, "--topic", "orders"],
  "message query": () => ["message", "query", "--topic", "orders", "--key", "key"],
  "cluster unwritable": () => ["cluster", "unwritable", "broker-a", "--yes"],
  "cluster writable": () => ["cluster", "writable", "broker-a"],
  "broker config update": () => ["broker", "config", "update", "broker-a", "--set", "maxMessageSize=2000000", "--yes"],
  "namesrv config": () => ["namesrv", "config"],
  "namesrv config update": () => ["namesrv", "config", "update", "--set", "orderMessageEnable=true", "--yes"],
  "topic order put": () => ["topic", "order", "put", "orders", "--queues", "broker-a=1"],
  "topic order get": () => ["topic", "order", "get", "orders"],
  "user list": () => ["user", "list"],
  "user update": () => ["user", "update", "zoe", "--status", "disable"],
  "user delete": () => ["user", "delete", "zoe", "--yes"],
  "acl list": () => ["acl", "list"],
  "acl create again": () => ["acl", "create", "zoe", "--resource", "Topic:orders", "--action", "Pub"],
  "acl delete": () => ["acl", "delete", "zoe", "--yes"]
}

const make = (body: string, more: Partial<Message.MessageInput> = {}) =>
  Message.make({ topic: "orders", body, keys: ["key"], ...more })

const sends: Scenario = {
  name: "producer: sends",
  run: Effect.fnUntraced(function* (shown) {
    const producer = yield* DefaultMQProducer.make({
      producerGroup: "pg",
      namesrvAddr,
      readiness: "lazy",
      retryTimesWhenSendFailed: 1
    })
    yield* attempt(shown, "start", producer.start)
    yield* attempt(shown, "send", producer.send(make("one", { tags: "t" })))
    yield* attempt(shown, "one-way", producer.sendOneway(make("one-way")))
    yield* attempt(shown, "batch", producer.sendBatch([make("1"), make("2")]))
    const delayed = yield* attempt(shown, "delayed", producer.send(make("later", { delay: MessageDelay.by("1 hour") })))
    if (Exit.isSuccess(delayed) && delayed.value.recallHandle !== undefined) {
      yield* attempt(shown, "recall", producer.recallMessage("orders", delayed.value.recallHandle))
    }
    yield* attempt(shown, "queues", producer.fetchPublishMessageQueues("orders"))
    yield* attempt(shown, "no topic", producer.fetchPublishMessageQueues("nope"))
    shown.state("state", yield* producer.state)
    yield* attempt(shown, "shutdown", producer.shutdown)
  })
}

const registered: Scenario = {
  name: "producer: a start that waits for its registration",
  run: Effect.fnUntraced(function* (shown) {
    const producer = yield* DefaultMQProducer.make({
      producerGroup: "pg",
      namesrvAddr,
      readiness: "registered",
      topics: ["orders"],
      startTimeoutMillis: 5_000
    })
    yield* attempt(shown, "start", producer.start)
    shown.state("state", yield* producer.state)
    yield* attempt(shown, "shutdown", producer.shutdown)
  })
}

const transactions: Scenario = {
  name: "producer: a transaction and the question what became of it",
  run: Effect.fnUntraced(function* (shown) {
    const producer = yield* TransactionMQProducer.make({
      producerGroup: "tx",
      namesrvAddr,
      readiness: "lazy",
      checkLocalTransaction: ({ body }) =>
        body.length > 4 ? Effect.die(new Error("the check failed")) : Effect.succeed("COMMIT_MESSAGE")
    })
    yield* attempt(shown, "start", producer.start)
    yield* attempt(shown, "commit", producer.transaction(make("commits"), Effect.void))
    for (const body of ["asked", "is asked"]) {
      yield* attempt(shown, "left open", producer.transaction(make(body), Effect.void, { stateOf: () => "UNKNOW" }))
    }
    yield* advance(10_000)
    shown.state("state", yield* producer.state)
    yield* attempt(shown, "shutdown", producer.shutdown)
  })
}

const replies: Scenario = {
  name: "producer: a request and its reply",
  run: Effect.fnUntraced(function* (shown) {
    const producer = yield* DefaultMQProducer.make({ producerGroup: "pg", namesrvAddr, readiness: "lazy" })
    yield* attempt(shown, "start", producer.start)
    const asking = yield* Effect.forkChild(
      Effect.exit(producer.request(Message.make({ topic: "orders", body: "what?" }), 2_000)),
      { startImmediately: true }
    )
    yield* settle
    yield* Effect.scoped(
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const queues = yield* admin.fetchSubscribeMessageQueues("orders")
        const pulls = yield* Effect.forEach(queues, (queue) => admin.pull(queue, 0, 32))
        const [question] = pulls.flatMap(({ messages }) => messages)
        if (question === undefined) return
        yield* attempt(shown, "reply", producer.reply(question, "that"))
        const { CLUSTER: _, ...properties } = question.properties
        yield* attempt(shown, "reply to what is no request", producer.reply({ ...question, properties }, "that"))
      }).pipe(Effect.provide(MQAdmin.layer({ namesrvAddr }), { local: true }), (effect) =>
        attempt(shown, "answering", effect)
      )
    )
    yield* advance(3_000)
    const failure = failureIn(yield* Fiber.join(asking))
    if (failure !== undefined) shown.error("request", failure)
    shown.state("state", yield* producer.state)
    yield* attempt(shown, "shutdown", producer.shutdown)
  })
}

const consumes: Scenario = {
  name: "push consumer: a handler that fails",
  run: Effect.fnUntraced(function* (shown, raw) {
    const sent = yield* fill(raw)
    const consumer = yield* DefaultMQPushConsumer.make(
      { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
      () => Effect.die(new Error("no handler today"))
    )
    yield* attempt(shown, "start", consumer.start)
    const { instance } = yield* consumer.state
    const asked = { consumerGroup: "billing", clientId: instance?.clientId ?? "" }
    const broker = "127.0.0.1:10911"
    const { offsetMsgId: msgId } = sent ?? { offsetMsgId: "" }
    yield* timed(
      Effect.all(
        [
          GetConsumerRunningInfo.request(asked),
          ConsumeMessageDirectly.request({ ...asked, msgId, brokerName: "broker-a", topic: "orders" }),
          ResetOffset.request({ topic: "orders", group: "billing", timestamp: 0, isForce: true }),
          consumerHeartbeat("10.0.0.1@7#other", "billing", ["orders"])
        ].map((request) => Effect.ignore(raw.call(broker, request)))
      ),
      60_000,
      100
    )
    yield* advance(40_000, 500)
    shown.state("state", yield* consumer.state)
    yield* attempt(shown, "shutdown", consumer.shutdown)
    shown.state("state after the end", yield* consumer.state)
  })
}

const pops: Scenario = {
  name: "simple consumer: what it receives, extends and acknowledges",
  run: Effect.fnUntraced(function* (shown, raw) {
    yield* fill(raw)
    const consumer = yield* SimpleConsumer.make({
      consumerGroup: "billing",
      subscriptions: [Subscription.all("orders")],
      namesrvAddr,
      consumeFromWhere: "first"
    })
    yield* attempt(shown, "start", consumer.start)
    const receiving = yield* Effect.forkChild(Effect.result(consumer.receive({ max: 1 })))
    yield* advance(40_000, 500)
    const received = yield* Fiber.join(receiving)
    if (received._tag === "Failure") shown.error("receive", received.failure)
    else {
      for (const message of received.success) {
        yield* attempt(shown, "extend", message.extend("1 minute"))
        yield* attempt(shown, "ack", message.ack)
      }
    }
    shown.state("state", yield* consumer.state)
    yield* attempt(shown, "shutdown", consumer.shutdown)
    shown.state("state after the end", yield* consumer.state)
  })
}

/** All of them. */
export const scenarios: ReadonlyArray<Scenario> = [
  sends,
  { ...sends, name: "producer: sends to a static topic", staticTopics: true },
  registered,
  transactions,
  replies,
  consumes,
  pops,
  ...Object.entries(admins).map(([name, call]): Scenario => ({
    name: `administrator: ${name}`,
    run: (shown, raw) => Effect.all([withAccess, fill(raw), administrator(call)(shown, raw)], { discard: true })
  })),
  {
    name: "administrator: route of a static topic",
    staticTopics: true,
    run: (shown, raw) =>
      Effect.andThen(
        fill(raw),
        administrator((admin) =>
          Effect.all([admin.examineTopicRouteInfo("orders"), admin.fetchSubscribeMessageQueues("orders")])
        )(shown, raw)
      )
  },
  ...Object.entries(commands).map(([name, args]): Scenario => ({
    name: `command line: ${name}`,
    showsBody: name.startsWith("message get"),
    run: (shown, raw) => Effect.andThen(withAccess, commandLine(args)(shown, raw))
  }))
]
