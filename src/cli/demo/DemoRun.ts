import { Config, Console, Context, Effect, Exit, Fiber, Layer, Metric, Option, Random, Scope, Stream } from "effect"
import { make as makeAdmin } from "../../admin/MQAdmin.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import { StartObserver } from "../../client/StartStep.ts"
import { EmbeddedCluster } from "../../embedded/EmbeddedCluster.ts"
import * as Message from "../../message/Message.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../producer/DefaultMQProducer.ts"
import type { SentMessage } from "./DemoCompare.ts"
import * as Group from "./DemoGroup.ts"
import { holdings, leftovers, makeFiberCounter } from "./DemoLeftovers.ts"
import * as Pages from "./DemoPage.ts"
import { type Page, progress } from "./DemoPage.ts"
import * as DemoSteps from "./DemoSteps.ts"
import { CommandFailed, ExitCode, reporting } from "../Failure.ts"
import { withProgress } from "../Screen.ts"
import { emptyStats, generatedBody, percentile, sendAll } from "../SendRun.ts"
import { count, duration, number } from "../Text.ts"
import { firstOf, variables } from "../Variables.ts"
import { VERSION } from "../Version.ts"

/** How much the demo sends. */
export interface DemoOptions {
  readonly messages: number
  readonly concurrency: number
}

/** The main job's own measure: 10,000 messages, 256 sends under way. */
export const defaults: DemoOptions = { messages: 10_000, concurrency: 256 }

const GROUP = "effect-rocketmq-demo"
/** Bodies of 100 to 1,099 bytes. */
const bodyOf = (index: number) => generatedBody(index, 100 + ((index * 37) % 1_000))

/** The cluster of `NAMESRV_ADDR` or `ROCKETMQ_NAME_SERVER`, or an embedded one that lives as long as the scope. */
const openCluster = Effect.fnUntraced(function* (page: Page, scope: Scope.Scope) {
  yield* page.heading("Cluster")
  const given = yield* Effect.orDie(Config.option(firstOf(variables.namesrv)))
  if (Option.isSome(given)) {
    yield* page.line(`yours, of NAMESRV_ADDR: ${given.value}`)
    return { namesrvAddr: given.value, embedded: undefined }
  }
  const begin = page.now()
  const context = yield* Layer.buildWithScope(EmbeddedCluster.layer({ recordTraffic: false }), scope)
  const embedded = Context.get(context, EmbeddedCluster)
  yield* page.line(
    `embedded, on TCP, ready in ${duration(page.now() - begin)} (NAMESRV_ADDR=host:9876 npm start uses yours)`
  )
  const servers = [...embedded.nameServers, ...embedded.brokers].map(({ address, name }) => `${name} ${address}`)
  yield* page.line(servers.join(", "))
  return { namesrvAddr: embedded.namesrvAddr, embedded }
})

/** A topic that nobody else uses, made by an administrator of its own: the producer's start is to find nothing started. */
const createTopic = Effect.fnUntraced(function* (page: Page, namesrvAddr: string) {
  const topic = `demo-${(yield* Random.nextIntBetween(0, 36 ** 6)).toString(36).padStart(6, "0")}`
  const admin = yield* makeAdmin({ namesrvAddr })
  const { brokers, readQueueNums } = yield* admin.createTopic({ topic })
  yield* page.line(
    `topic ${topic} created, ${count(readQueueNums, "queue")} on ${brokers.map((b) => b.brokerName).join(", ")}`
  )
  return topic
}, Effect.scoped)

const startUp = Effect.fnUntraced(function* (
  page: Page,
  printer: DemoSteps.StepPrinter,
  producer: DefaultMQProducerShape
) {
  yield* page.heading(`Start-up of DefaultMQProducer, group ${GROUP}`)
  const states: Array<string> = []
  const watching = yield* Effect.forkChild(
    Stream.runForEach(producer.serviceStateChanges, (state) => Effect.sync(() => states.push(state))),
    { startImmediately: true }
  )
  const begin = page.now()
  yield* Effect.provideService(producer.start, StartObserver, printer.observer)
  const took = page.now() - begin
  yield* printer.ended("2.7")
  yield* Fiber.interrupt(watching)
  yield* page.line(`${states.join(" > ")} in ${duration(took)}`)
})

const send = Effect.fnUntraced(function* (
  page: Page,
  producer: DefaultMQProducerShape,
  topic: string,
  options: DemoOptions
) {
  const { colors, line } = page
  yield* page.heading(`Send ${number(options.messages)} messages, ${options.concurrency} at once`)
  const stats = emptyStats()
  const sent: Array<SentMessage> = []
  let index = 0
  const next = Effect.sync(() => {
    const i = index++
    return i < options.messages ? Message.make({ topic, body: bodyOf(i), tags: "demo", keys: `demo-${i}` }) : undefined
  })
  yield* withProgress(
    progress(() => stats.acknowledged, options.messages, "acknowledged"),
    sendAll(producer, next, stats, {
      concurrency: options.concurrency,
      drainMillis: 3_000,
      onResult: ({ body }, result) => sent.push({ body, result })
    })
  )
  const { counters } = yield* producer.state
  yield* line(
    `${colors.good(`${number(stats.acknowledged)} acknowledged`)} in ${duration(stats.elapsedMillis)}, ${number(counters.retries)} retries`
  )
  yield* line(
    `${number(stats.acknowledged / (stats.elapsedMillis / 1_000))} messages/s, latency p50 ${duration(percentile(stats.latencies, 0.5) ?? 0)}, p99 ${duration(percentile(stats.latencies, 0.99) ?? 0)}`
  )
  if (stats.firstError !== undefined) {
    yield* line(colors.bad(`${number(stats.failed)} failed: ${stats.firstError.message}`))
  }
  return sent
})

/** Everything from the cluster to the end of the shutdown; says what its own tables hold afterwards. */
const run = Effect.fnUntraced(function* (page: Page, printer: DemoSteps.StepPrinter, options: DemoOptions) {
  const outer = yield* Effect.scope
  const clusterScope = yield* Scope.fork(outer)
  const { embedded, namesrvAddr } = yield* openCluster(page, clusterScope)
  const clientScope = yield* Scope.fork(outer)
  const manager = yield* Layer.buildWithScope(MQClientManager.layer, clientScope)
  const topic = yield* Effect.provide(createTopic(page, namesrvAddr), manager)

  const producer = yield* DefaultMQProducer.make({
    producerGroup: GROUP,
    namesrvAddr,
    readiness: "registered",
    topics: [topic]
  }).pipe(Effect.provide(manager))
  yield* Scope.addFinalizer(clientScope, producer.shutdown)
  yield* startUp(page, printer, producer)
  const sent = yield* send(page, producer, topic, options)
  const groupScope = yield* Scope.fork(clientScope)
  const task: Group.GroupTask = { page, printer, manager, namesrvAddr, topic, sent }
  const group = yield* Scope.provide(Group.consume(task), groupScope)
  yield* Group.timers(task, group)

  // Shares the producer's client instance: the same name servers, the same instance name.
  const adminScope = yield* Scope.fork(clientScope)
  const admin = yield* makeAdmin({ namesrvAddr }).pipe(Effect.provide(manager), Scope.provide(adminScope))
  yield* page.heading("Shutdown, in order")
  for (const member of group.members.toReversed()) yield* Group.leave(page, member)
  const { lag } = yield* admin.examineConsumeStats(group.group, topic)
  yield* page.fact("the group's offsets, as the brokers keep them", `${count(lag, "message")} behind`)
  if (embedded === undefined) {
    yield* page.timed(`group ${group.group} deleted`, admin.deleteSubscriptionGroup(group.group, { cleanOffset: true }))
    yield* page.timed(`topic ${topic} deleted`, admin.deleteTopic(topic))
  }
  yield* page.timed("producer drained, group unregistered", producer.shutdown)
  yield* page.timed("client instance: timers, connections", Scope.close(adminScope, Exit.void))
  const instances = yield* Effect.flatMap(MQClientManager, (self) => self.size).pipe(Effect.provide(manager))
  const clients = embedded === undefined ? undefined : (yield* embedded.clients).length
  const states = [yield* producer.serviceState]
  for (const { consumer } of group.members) states.push(yield* consumer.serviceState)
  yield* Scope.close(clientScope, Exit.void)
  if (embedded !== undefined) yield* page.timed("cluster stopped", Scope.close(clusterScope, Exit.void))
  return { complete: group.isComplete && lag === 0, acknowledged: sent.length, states, instances, clients }
})

/**
 * The main job, `npm start`: a cluster, a producer's start-up step by step, messages sent, consumed by a group of two and
 * compared, the timers, the shutdown in its order, and the proof that nothing is left. Uses the cluster of `NAMESRV_ADDR`
 * where that is set, with a topic and a group of its own that are deleted again.
 */
export const demo = (options: DemoOptions = defaults) =>
  Effect.gen(function* () {
    const page = yield* Pages.make
    const { colors } = page
    const began = page.now()
    const before = holdings()
    const fibers = makeFiberCounter()
    const printer = yield* DemoSteps.make(colors)
    yield* Console.log(
      `${colors.bold("effect-rocketmq")} ${VERSION}: a producer and a group of two consumers, from nothing to nothing`
    )
    const result = yield* run(page, printer, options).pipe(
      Effect.scoped,
      Effect.provideService(Metric.FiberRuntimeMetrics, fibers.service)
    )

    yield* page.heading("Left behind")
    const left = yield* leftovers(before)
    const counts: ReadonlyArray<readonly [label: string, n: number]> = [
      ["client instances", result.instances],
      ...(result.clients === undefined ? [] : [["clients in the broker's table", result.clients] as const]),
      ["sockets", left.sockets],
      ["listening ports", left.listeners],
      ["timers", left.timers],
      [`fibers, of ${number(fibers.started())} started`, fibers.running()]
    ]
    yield* page.fact("states of the producer and the two consumers", [...new Set(result.states)].join(", "))
    for (const [label, n] of counts) yield* page.fact(label, n === 0 ? colors.good("0") : colors.bad(String(n)))

    const remains = counts.filter(([, n]) => n !== 0).map(([label, n]) => `${n} ${label}`)
    const faults = [
      ...(result.complete ? [] : ["what was consumed is not what was sent"]),
      ...(remains.length === 0 ? [] : [`left behind: ${remains.join(", ")}`])
    ]
    const took = duration(page.now() - began)
    yield* Console.log("")
    if (faults.length > 0) {
      yield* Console.log(`${colors.bad("failed")} after ${took}: ${faults.join("; ")}`)
      yield* new CommandFailed({ exitCode: ExitCode.failed, summary: faults.join("; ") })
    }
    yield* Console.log(
      `${colors.good("ok")} ${number(result.acknowledged)} messages sent, consumed and equal; nothing is left. ${took}`
    )
  }).pipe(reporting())
