import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as Fs from "node:fs/promises"
import { eventuallyThat } from "../conformance/support.ts"
import * as JavaClient from "./JavaClient.ts"
import type { RocketMQVersion } from "./Jars.ts"
import { realSleep } from "./Processes.ts"
import { request, routeBrokers } from "./RawRemoting.ts"
import { RocketMQ } from "./RocketMQServer.ts"

/** Signal 0 asks whether a process is there. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const versions: ReadonlyArray<RocketMQVersion> = ["5.5.0", "4.9.7"]

describe.each(versions)("RocketMQ %s", (version) => {
  layer(RocketMQ.layer({ version }), { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("serves Java clients, and keeps its messages over kill -9", () =>
      Effect.gen(function* () {
        const rocketmq = yield* RocketMQ
        const client = { namesrvAddr: rocketmq.namesrvAddr, version }
        const topic = "rig-smoke"
        const bodies = Array.from({ length: 20 }, (_, index) => `grüße ${index} 🚀`)

        const sent = yield* JavaClient.produce({
          ...client,
          messages: bodies.map((body, index) => ({
            topic,
            body,
            tags: "tägs",
            keys: `key-${index} other`,
            properties: { ключ: "значение", plain: String(index) }
          }))
        })
        assert.strictEqual(sent.length, bodies.length)
        assert.isTrue(sent.every((result) => result.sendStatus === "SEND_OK" && result.brokerName === "broker-a"))

        const read = yield* JavaClient.read({ ...client, topic })
        assert.sameMembers(
          read.map((message) => Buffer.from(message.bodyBase64 ?? "", "base64").toString()),
          bodies
        )
        for (const result of sent) {
          const there = read.find((m) => m.queueId === result.queueId && m.queueOffset === result.queueOffset)
          assert.strictEqual(there?.msgId, result.msgId)
          assert.strictEqual(there?.offsetMsgId, result.offsetMsgId)
          assert.strictEqual(there?.tags, "tägs")
          assert.strictEqual(there?.properties["ключ"], "значение")
        }
        assert.deepStrictEqual(yield* JavaClient.read({ ...client, topic, with: "litePull" }), read)

        const broker = rocketmq.brokers[0]
        assert.isDefined(broker)
        const before = yield* broker.pid
        assert.isDefined(before)
        yield* broker.kill
        assert.isFalse(isAlive(before))
        assert.isUndefined(yield* broker.pid)
        yield* broker.start
        assert.notStrictEqual(yield* broker.pid, before)
        assert.deepStrictEqual(yield* JavaClient.read({ ...client, topic }), read)

        // A paused broker keeps its connections and answers nothing; one that is stopped comes back where it was.
        const answers = Effect.map(
          request(broker.address, { code: 30, extFields: { topic, queueId: "0" } }, 500),
          (a) => a?.code
        )
        const untilAnswered = eventuallyThat(answers, (code) => assert.strictEqual(code, 0))
        yield* broker.pause
        assert.isUndefined(yield* answers)
        yield* broker.resume
        yield* untilAnswered
        const { address } = broker
        yield* broker.restart
        assert.strictEqual(broker.address, address)
        yield* untilAnswered

        const topics = yield* JavaClient.mqadmin(client, ["topicList"])
        assert.strictEqual(topics.exitCode, 0)
        assert.include(topics.stdout.split(/\s+/), topic)
      })
    )

    test.effect("measures the Java producer", () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const bench = { namesrvAddr, version, topic: "rig-bench", bodySize: 128, warmUp: 100, count: 500 }
        for (const mode of ["async", "sync"] as const) {
          const result = yield* JavaClient.bench({ ...bench, mode, inFlight: 64 })
          assert.strictEqual(result.failed, 0, result.firstFailure)
          assert.isAbove(result.messagesPerSecond, 0)
          assert.isAtLeast(result.p99Millis, result.p50Millis)
        }
        const stored = yield* JavaClient.read({ namesrvAddr, version, topic: "rig-bench", digest: true })
        // Of each run: the first send, the warm-up and the measured ones.
        assert.strictEqual(stored.length, 2 * 601)
        assert.strictEqual(new Set(stored.map((message) => message.bodySha256)).size, 1)
      })
    )

    test.effect("says what a Java program failed with", () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* RocketMQ
        const error = yield* Effect.flip(JavaClient.read({ namesrvAddr, version, topic: "rig-absent" }))
        assert.include(error.message, `Could not run JavaReader against ${namesrvAddr}`)
        assert.include(error.message, "MQClientException")
      })
    )
  })
})

describe("the rig", () => {
  it.live("starts several name servers and brokers, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const rocketmq = yield* Layer.buildWithScope(
        RocketMQ.layer({
          version: "5.5.0",
          nameServers: 2,
          brokers: [{ name: "broker-a" }, { name: "broker-b", properties: { defaultTopicQueueNums: "2" } }]
        }),
        scope
      ).pipe(
        Effect.flatMap((context) => Effect.provide(RocketMQ, context)),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      assert.strictEqual(rocketmq.namesrvAddr, rocketmq.nameServers.map((node) => node.address).join(";"))
      for (const nameServer of rocketmq.nameServers) {
        const brokers = yield* routeBrokers(nameServer.address, "TBW102")
        assert.sameDeepMembers(
          brokers.map((broker) => [broker.cluster, broker.brokerName, broker.brokerAddrs["0"]]),
          rocketmq.brokers.map((broker) => [rocketmq.clusterName, broker.name, broker.address])
        )
      }
      const pids = yield* Effect.forEach([...rocketmq.nameServers, ...rocketmq.brokers], (node) => node.pid)
      assert.isTrue(pids.every((pid) => pid !== undefined && isAlive(pid)))

      yield* Scope.close(scope, Exit.void)
      assert.isFalse(pids.some((pid) => pid !== undefined && isAlive(pid)))
      assert.isFalse(existsSync(rocketmq.home))
    })
  )

  it.live("servers end with the process that started them, even when that one is killed", () =>
    Effect.gen(function* () {
      const script = `
        import { Effect } from "effect"
        import { RocketMQ } from "./RocketMQServer.ts"
        const up = Effect.gen(function* () {
          const rocketmq = yield* RocketMQ
          const pids = yield* Effect.forEach([...rocketmq.nameServers, ...rocketmq.brokers], (node) => node.pid)
          process.stdout.write(JSON.stringify({ home: rocketmq.home, pids }) + "\\n")
          yield* Effect.never
        })
        await Effect.runPromise(Effect.provide(up, RocketMQ.layer({ version: "4.9.7" })))`
      const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", script], {
        cwd: import.meta.dirname,
        stdio: ["ignore", "pipe", "inherit"]
      })
      const line = yield* Effect.promise(
        () =>
          new Promise<string>((resolve) => {
            child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()))
            child.once("exit", () => resolve(""))
          })
      )
      assert.notStrictEqual(line, "", "the child process ended before its cluster was up")
      const { home, pids }: { home: string; pids: ReadonlyArray<number> } = JSON.parse(line)
      assert.strictEqual(pids.length, 2)
      child.kill("SIGKILL")
      for (let waited = 0; pids.some(isAlive) && waited < 10_000; waited += 50) yield* realSleep(50)
      assert.isFalse(pids.some(isAlive))
      yield* Effect.promise(() => Fs.rm(home, { recursive: true, force: true }))
    })
  )
})
