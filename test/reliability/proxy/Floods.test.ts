/** What servers send without end: a client takes no more of it than it can hold, and goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as Zlib from "node:zlib"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import { DecodeError } from "../../../src/protocol/DecodeError.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as CheckTransactionState from "../../../src/protocol/push/CheckTransactionState.ts"
import * as NotifyConsumerIdsChanged from "../../../src/protocol/push/NotifyConsumerIdsChanged.ts"
import * as PushReplyMessageToClient from "../../../src/protocol/push/PushReplyMessageToClient.ts"
import type { Request } from "../../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as TopicRouteData from "../../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { make } from "../../consumer/support.ts"
import { brokerAddress, rawClient, sendRequest } from "../../embedded/support.ts"
import { text } from "../../support/rig.ts"
import { watchLog } from "../watch.ts"
import { acknowledged, flooding, many, state } from "./client.ts"
import { eventually, proxied, proxiedRow, Proxies } from "./rig.ts"

const MIB = 1024 * 1024
const ZLIB = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB
const ZSTD = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZSTD
const bytes = Buffer.alloc(32 * MIB)
/** 33 KB, and a bit more than a kilobyte, that become 32 MiB. */
const deflated = Zlib.deflateSync(bytes)
const zstd = Zlib.zstdCompressSync(bytes)

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const measure = file("../fixtures/measure.ts")

/** How a program ended. */
interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
  readonly rssBytes: number
  readonly delayMillis: number
}

/** Runs a program with a small heap, and measures it. */
const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, ["--max-old-space-size=96", "--import", measure, file(program), ...args], {
      stdio: ["ignore", "pipe", "pipe", "pipe"]
    })
    const said = ["", "", "", ""]
    for (const fd of [1, 2, 3]) child.stdio[fd]?.on("data", (chunk: Buffer) => void (said[fd] += chunk.toString()))
    child.on("close", (code) => {
      const [, stdout = "", stderr = "", measured = ""] = said
      const { delayMillis, rssBytes } = measured === "" ? { delayMillis: NaN, rssBytes: NaN } : JSON.parse(measured)
      resume(Effect.succeed({ stdout, stderr, code, rssBytes, delayMillis }))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** To unpack two gigabytes takes three seconds of a processor that nobody else needs. */
const HEAVY_TEST_MILLIS = 120_000

/**
 * What a program that ended well may have needed. It needs a third of it; without what is tested here it would need
 * gigabytes, and stand still for half a minute.
 */
const bounded = (ended: Ended): Ended => {
  assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
  assert.isBelow(ended.rssBytes / MIB, 900, "megabytes of memory")
  assert.isBelow(ended.delayMillis, 3_000, "milliseconds without a turn of the event loop")
  return ended
}

/** Routes lead to the proxies, also for a program that knows nothing of them. */
const leading = Effect.gen(function* () {
  const { broker, nameServers } = yield* Proxies
  const toxic = FaultProxy.frames(({ bytes: whole, command }) => {
    if (command === undefined || command.code !== 0 || command.body.length === 0) return [whole]
    const route = TopicRouteData.decode(command.body)
    if (route instanceof DecodeError) return [whole]
    const brokerDatas = route.brokerDatas.map((one) => ({
      ...one,
      brokerAddrs: new Map([[0, broker(one.brokerName).address]])
    }))
    return [encode({ ...command, body: TopicRouteData.encode({ ...route, brokerDatas }, { standardJson: true }) })]
  })
  for (const proxy of nameServers) yield* proxy.add(toxic, "downstream")
})

const reply = (n: number): Request =>
  PushReplyMessageToClient.request(
    {
      producerGroup: "others",
      topic: "DefaultCluster_REPLY_TOPIC",
      defaultTopic: "TBW102",
      defaultTopicQueueNums: 4,
      queueId: 0,
      sysFlag: ZLIB,
      bornTimestamp: 0,
      flag: 0,
      properties: MessageProperties.encode({ CORRELATION_ID: `nobody-${n}` }),
      bornHost: "10.0.0.1:1",
      storeHost: "10.0.0.2:2",
      storeTimestamp: 0
    },
    deflated
  )

const check = (n: number): Request =>
  CheckTransactionState.request(
    { tranStateTableOffset: n, commitLogOffset: n * 1_000, msgId: `ID-${n}`, transactionId: `ID-${n}` },
    MessageCodec.encode({
      topic: "orders",
      body: zstd,
      properties: { UNIQ_KEY: `ID-${n}`, PGROUP: "tx", TRAN_MSG: "true" },
      flag: 0,
      queueId: 0,
      queueOffset: n,
      commitLogOffset: n * 1_000,
      sysFlag: ZSTD,
      bornTimestamp: 1,
      bornHost: "10.0.0.1:2",
      storeTimestamp: 3,
      storeHost: "10.0.0.2:2",
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    })
  )

describe("floods through a proxy", () => {
  it.live("A20: 150,000 requests of a broker that reads no answer: the connection closes, the next one is used", () => {
    const log = watchLog()
    return proxiedRow({}, (producer) =>
      Effect.gen(function* () {
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        // It reads so little that what the client writes stays on its way.
        const unread = yield* proxy.add(FaultProxy.bandwidth(10_000), "upstream")
        yield* flooding(many(150_000, (n) => ({ code: 40_000 + (n % 100), extFields: {} })))
        yield* Effect.forkChild(Effect.ignore(producer.send(text("orders"))))
        yield* eventually(
          "the connection is closed",
          Effect.sync(() => log.of("Warn", /^closed a connection: .*does not read the answers/).length > 0)
        )
        assert.lengthOf(log.of("Warn", /^closed a connection: .*does not read the answers/), 1)
        yield* unread.remove
        assert.isAtMost(yield* acknowledged(producer), 2)
      })
    ).pipe(log.provide)
  })

  it.live("A29, C-14: 5,000 notices that a group has changed are a few rounds, one a second", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const { namesrvAddr } = yield* Proxies
        const notice = NotifyConsumerIdsChanged.request({ consumerGroup: "billing" })
        yield* flooding(many(5_000, () => notice))
        const consumer = yield* make(() => Effect.void, { namesrvAddr })
        yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
        yield* Effect.sleep(2_500)
        const asked = (yield* traffic.ofCode(RequestCode.GET_CONSUMER_LIST_BY_GROUP)).length
        assert.isAtLeast(asked, 2)
        // Two topics in a round, and each is asked for twice where the member is alone.
        assert.isAtMost(asked, 4 * 6)
        assert.isAbove((yield* consumer.assignment).length, 0)
      })
    )
  )

  it.live("A30: 1,000 replies and checks that cannot be read are counted, and told in a few lines", () => {
    const log = watchLog()
    return proxiedRow({}, (producer) =>
      Effect.gen(function* () {
        const pushes = [
          { code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT, extFields: { sysFlag: "\u001b[2J" } },
          { code: RequestCode.CHECK_TRANSACTION_STATE, extFields: { commitLogOffset: "\u001b[2J" } }
        ]
        yield* flooding(many(2_000, (n) => pushes[n % 2] ?? assert.fail("no push")))
        yield* producer.send(text("orders"))
        yield* eventually(
          "all of them have come",
          Effect.map(state(producer), ({ replies }) => replies.unreadable === 1_000)
        )
        yield* producer.send(text("orders"))
        for (const words of [/a reply that .* cannot be read/, /dropped a transaction check/]) {
          assert.isAtLeast(log.of("Warn", words).length, 1)
          assert.isAtMost(log.of("Warn", words).length, 8)
        }
        for (const line of log.of("Warn", /./)) assert.notMatch(line, /[\p{Cc}\p{Cf}]/u)
      })
    ).pipe(log.provide)
  })

  it.live("A21: 100 packed replies that nobody waits for, 3.3 MB that would become 3.2 GB", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        yield* leading
        yield* flooding(many(100, reply))
        const { stdout } = bounded(yield* run("../fixtures/receiver.ts", namesrvAddr, "100", "0"))
        assert.deepStrictEqual(JSON.parse(stdout), { committed: 0, late: 100 })
      })
    )
  )

  it.live(
    "A22: 60 transaction checks, 80 KB that would become 1.9 GB",
    () =>
      proxied(
        {},
        Effect.gen(function* () {
          const { namesrvAddr } = yield* Proxies
          yield* leading
          yield* flooding(many(60, check))
          const { stdout } = bounded(yield* run("../fixtures/receiver.ts", namesrvAddr, "0", "60"))
          assert.deepStrictEqual(JSON.parse(stdout), { committed: 60, late: 0 })
        })
      ),
    HEAVY_TEST_MILLIS
  )

  it.live("A23: peek --count 1 of a queue of 60 messages, 80 KB that would become 1.9 GB", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        const client = yield* rawClient()
        const address = yield* brokerAddress()
        for (let n = 0; n < 60; n++) yield* client.call(address, sendRequest({ sysFlag: ZSTD }, zstd))
        yield* leading
        const args = ["peek", "--topic", "orders", "--count", "1", "--namesrv", namesrvAddr]
        const { stdout } = bounded(yield* run("../../../src/cli/bin.ts", ...args))
        assert.match(stdout, /^broker-a:0:0 .*\(33,554,432 bytes\)\n$/)
      }).pipe(Effect.scoped)
    )
  )
})
