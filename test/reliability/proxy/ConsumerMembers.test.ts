/** What happens to one member of a group on its way to the brokers, and what the others notice of it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as GetConsumerListByGroup from "../../../src/protocol/request/GetConsumerListByGroup.ts"
import * as LockBatch from "../../../src/protocol/request/LockBatch.ts"
import * as NotifyConsumerIdsChanged from "../../../src/protocol/push/NotifyConsumerIdsChanged.ts"
import { emptyBody, isResponse, type RemotingCommand, type Response } from "../../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { answersOf, isOf, type Passing } from "./client.ts"
import {
  apart,
  GROUP,
  hasAll,
  haveShares,
  isWell,
  join,
  numbers,
  row,
  type Seen,
  send,
  shares,
  textOf,
  without
} from "./consumers.ts"
import { eventually, Proxies } from "./rig.ts"

const LIST = RequestCode.GET_CONSUMER_LIST_BY_GROUP
const twoBrokers = { brokers: ["broker-a", "broker-b"] }

/** An answer in the place of another. */
const instead = (answer: Passing, { body = emptyBody, ...response }: Response) =>
  encode({ ...answer.command, extFields: {}, remark: undefined, ...response, body })

/** Holds the answers to pulls that have messages, and lets them go in front of the next frame when told to. */
const holding = () => {
  const held: Array<Uint8Array> = []
  let free = false
  return {
    held,
    release: () => {
      free = true
    },
    install: (proxies: ReadonlyArray<FaultProxy.FaultProxy>) =>
      Effect.forEach(proxies, (proxy) =>
        Effect.gen(function* () {
          const own: Array<Uint8Array> = []
          // Each connection numbers its requests by itself.
          const pulls = new Set<number>()
          yield* proxy.add(
            FaultProxy.frames(({ bytes, command }) => {
              if (command !== undefined && isOf(RequestCode.PULL_MESSAGE)(command)) pulls.add(command.opaque)
              return [bytes]
            }),
            "upstream"
          )
          yield* proxy.add(
            FaultProxy.frames(({ bytes, command }) => {
              const isAnswer = command !== undefined && isResponse(command) && pulls.delete(command.opaque)
              if (!free && isAnswer && command.body.length > 0) {
                held.push(bytes)
                own.push(Uint8Array.from(bytes))
                return []
              }
              return free ? [...own.splice(0), bytes] : [bytes]
            }),
            "downstream"
          )
        })
      )
  }
}

describe("members behind proxies of their own", () => {
  it.live("C-09: a member is cut off for good in the middle of its messages: the other gets all of them", () =>
    row(twoBrokers, (producer) =>
      Effect.gen(function* () {
        const stuck: Seen = []
        const seen: Seen = []
        const alone = yield* apart
        const { proxies } = alone
        const first = yield* alone.join("first", stuck, () => Effect.never, { drainTimeoutMillis: 0 })
        const second = yield* join("second", seen)
        yield* haveShares([1, 1], first, second)
        yield* send(producer, numbers(10))
        yield* eventually(
          "the first holds its half, the second has handled its own",
          Effect.sync(() => stuck.length === 5 && seen.length === 5)
        )
        for (const proxy of proxies) yield* proxy.down
        yield* haveShares([2], second)
        yield* hasAll(seen, numbers(10))
        assert.strictEqual(seen.length, 10)
        yield* isWell(second)
      })
    )
  )

  it.live("C-11: heartbeats of a member arrive, its pulls do not: its queue stays and says so, the other goes on", () =>
    row(twoBrokers, (producer) =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* Proxies
        const { traffic } = yield* EmbeddedCluster
        const deaf: Seen = []
        const seen: Seen = []
        const alone = yield* apart
        const { proxies } = alone
        const first = yield* alone.join("first", deaf)
        const second = yield* join("second", seen)
        yield* haveShares([1, 1], first, second)
        for (const proxy of proxies) {
          yield* proxy.add(without(RequestCode.PULL_MESSAGE), "upstream")
          // What is held by the broker would be answered yet.
          yield* proxy.reset
        }
        yield* send(producer, numbers(20))
        yield* eventually(
          "the other has its half",
          Effect.sync(() => seen.length === 10)
        )
        const beats = (yield* traffic.ofCode(RequestCode.HEART_BEAT)).length
        yield* eventually(
          "both go on beating",
          Effect.map(traffic.ofCode(RequestCode.HEART_BEAT), (all) => all.length > beats + 8)
        )
        assert.deepStrictEqual(yield* shares(first, second), [1, 1], "nobody gives up what it owns")
        assert.deepStrictEqual(deaf, [])
        const [own] = (yield* first.state).queues.filter(({ queue }) => queue.topic === "orders")
        assert.isDefined(own?.lastFailure)
        assert.deepStrictEqual((yield* second.state).problems, [])
        // How far it is behind, who cannot read does not know, and an administrator sees.
        const admin = MQAdmin.layer({ namesrvAddr, instanceName: "admin" })
        const { queues } = yield* Effect.orDie(
          Effect.flatMap(MQAdmin, (service) => service.examineConsumeStats(GROUP)).pipe(Effect.provide(admin))
        )
        assert.deepStrictEqual(
          queues
            .filter(({ queue }) => queue.topic === "orders" && queue.brokerName === own?.queue.brokerName)
            .map(({ lag }) => lag),
          [10]
        )
        for (const proxy of proxies) {
          yield* proxy.clear
          yield* proxy.reset
        }
        yield* eventually(
          "it reads what waited",
          Effect.sync(() => deaf.length === 10)
        )
        assert.strictEqual(new Set([...seen, ...deaf]).size, 20)
        yield* isWell(first)
      })
    )
  )

  const answers: ReadonlyArray<readonly [what: string, answer: Response | undefined, times: number]> = [
    ["names nobody", GetConsumerListByGroup.response({ consumerIdList: [] }), Infinity],
    // Said again after the heartbeat that this brings, it would be believed.
    ["names a stranger once", GetConsumerListByGroup.response({ consumerIdList: ["10.0.0.1@stranger"] }), 1],
    ["fails", { code: 1, remark: "java.lang.NullPointerException", extFields: {} }, Infinity],
    ["cannot be read", { code: 0, extFields: {}, body: new TextEncoder().encode("{") }, Infinity],
    ["never comes", undefined, Infinity]
  ]
  for (const [what, answer, times] of answers) {
    it.live(`C-13: the list of the group's members ${what}: no queue is given up for it`, () =>
      row({}, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const seen: Seen = []
          const consumer = yield* join("first", seen)
          const generations = Effect.map(consumer.state, ({ queues }) => queues.map(({ generation }) => generation))
          const before = yield* generations
          let told = 0
          let changed = 0
          const lists = answersOf(isOf(LIST), (frame) => {
            if (changed++ >= times) return [frame.bytes]
            return answer === undefined ? [] : [instead(frame, answer)]
          })
          yield* lists.install(broker("broker-a"))
          yield* broker("broker-a").add(
            FaultProxy.frames(({ bytes }) => [bytes, ...(told++ < 3 ? [notice(told)] : [])]),
            "downstream"
          )
          yield* eventually(
            "it has asked again",
            Effect.sync(() => lists.asked.length >= 2)
          )
          yield* send(producer, numbers(3))
          yield* hasAll(seen, numbers(3))
          assert.deepStrictEqual(yield* generations, before)
          assert.strictEqual(seen.length, 3)
        })
      )
    )
  }

  it.live("C-17: an answer with messages comes when its queue is another's: it counts for nothing", () =>
    row(twoBrokers, (producer) =>
      Effect.gen(function* () {
        const late: Seen = []
        const seen: Seen = []
        const { held, install, release } = holding()
        yield* send(producer, numbers(10))
        const alone = yield* apart
        yield* install(alone.proxies)
        const first = yield* alone.join("first", late)
        yield* eventually(
          "both answers are on their way",
          Effect.sync(() => held.length === 2)
        )
        const second = yield* join("second", seen)
        yield* haveShares([1, 1], first, second)
        yield* eventually(
          "the new owner has read its queue",
          Effect.sync(() => seen.length === 5)
        )
        release()
        yield* eventually(
          "the old one gets what is still its own",
          Effect.sync(() => late.length === 5)
        )
        yield* first.caughtUp()
        assert.strictEqual(new Set([...seen, ...late]).size, 10)
        assert.strictEqual(seen.length + late.length, 10)
      })
    )
  )

  it.live("C-18: an answer comes when its queue was lost and won back: no gap, and nothing twice", () =>
    row(twoBrokers, (producer) =>
      Effect.gen(function* () {
        const seen: Array<ReceivedMessage> = []
        const { held, install, release } = holding()
        yield* send(producer, numbers(10))
        const alone = yield* apart
        yield* install(alone.proxies)
        const first = yield* alone.join("first", [], (message) => Effect.sync(() => void seen.push(message)))
        yield* eventually(
          "both answers are on their way",
          Effect.sync(() => held.length === 2)
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const second = yield* join("second", [], () => Effect.never, { drainTimeoutMillis: 0 })
            yield* haveShares([1, 1], first, second)
          })
        )
        yield* haveShares([2], first)
        release()
        yield* send(producer, numbers(2, 10))
        yield* eventually(
          "all are handled",
          Effect.sync(() => new Set(seen.map(textOf)).size === 12)
        )
        yield* first.caughtUp()
        assert.strictEqual(seen.length, 12)
        for (const name of ["broker-a", "broker-b"]) {
          const offsets = seen.filter(({ brokerName }) => brokerName === name).map(({ queueOffset }) => queueOffset)
          assert.deepStrictEqual(
            offsets,
            offsets.map((_, offset) => offset)
          )
        }
      })
    )
  )

  for (const [what, granted] of [
    ["is refused twice", LockBatch.response({ lockOKMQSet: [] })],
    ["gets no answer twice", undefined]
  ] as const) {
    it.live(`C-43: the lock of a queue ${what}: it is asked for again, and nothing is pulled before`, () =>
      row({}, (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const { traffic } = yield* EmbeddedCluster
          yield* send(producer, numbers(5))
          let refused = 0
          const pulledBefore: Array<RemotingCommand> = []
          const locks = answersOf(isOf(RequestCode.LOCK_BATCH_MQ), (frame) => {
            if (refused++ >= 2) return [frame.bytes]
            return granted === undefined ? [] : [instead(frame, granted)]
          })
          yield* locks.install(broker("broker-a"))
          yield* broker("broker-a").add(
            FaultProxy.frames(({ bytes, command }) => {
              if (command !== undefined && isOf(RequestCode.PULL_MESSAGE)(command) && refused <= 2) {
                pulledBefore.push(command)
              }
              return [bytes]
            }),
            "upstream"
          )
          const seen: Seen = []
          const consumer = yield* join(
            "first",
            seen,
            MessageListener.orderly((message): Effect.Effect<void, string> =>
              Effect.sync(() => void seen.push(textOf(message)))
            ),
            { readiness: "lazy" }
          )
          yield* hasAll(seen, numbers(5))
          assert.deepStrictEqual(seen, numbers(5))
          assert.isAbove((yield* traffic.ofCode(RequestCode.LOCK_BATCH_MQ)).length, 2)
          assert.deepStrictEqual(
            pulledBefore.map(({ extFields }) => extFields?.["topic"]),
            []
          )
          yield* isWell(consumer)
        })
      )
    )
  }
})

/** What a broker says when the members of the group have changed. */
const notice = (n: number) => {
  const { body = emptyBody, code, extFields } = NotifyConsumerIdsChanged.request({ consumerGroup: GROUP })
  return encode({
    code,
    extFields: { ...extFields },
    body,
    remark: undefined,
    flag: 2,
    language: "JAVA",
    version: 513,
    serializeType: "JSON",
    opaque: 1_000_000 + n
  })
}
