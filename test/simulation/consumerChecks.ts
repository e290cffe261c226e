import { Clock, Effect } from "effect"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../../src/message/MixAll.ts"
import { PullSysFlag } from "../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import type { World } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster, type RecordedRequest } from "../../src/testing/index.ts"
import {
  ALL_CAP,
  BATCH,
  CONCURRENCY,
  type Group,
  life,
  type Member,
  type Members,
  QUEUE_CAP,
  TOPIC
} from "./members.ts"

/** What must hold of consumers while members come and go, and once everything works. */

/** Looks at the members once a second: no cache and no set of handlers passes its cap. */
export const bounded = (world: World, members: Members) =>
  Effect.gen(function* () {
    for (const { consumer, group, kind } of members) {
      const { queues, running } = yield* consumer.state
      // A stream hands out what is asked for, and what nobody settles stays with it until its time is over.
      if (kind !== "stream" && running > CONCURRENCY)
        yield* world.violation("bounded", `${running} handlers of ${group.name} run`)
      let all = 0
      for (const { cached, queue } of queues) {
        all += cached
        if (cached < 0 || cached > QUEUE_CAP) {
          yield* world.violation(
            "bounded",
            `${cached} messages of ${MessageQueue.key(queue)} are cached by ${group.name}`
          )
        }
      }
      // An answer of each queue may be on its way when the cap is reached.
      if (all > ALL_CAP + BATCH * queues.length) {
        yield* world.violation("bounded", `${all} messages are cached by a member of ${group.name}`)
      }
    }
    yield* Effect.sleep(1_000)
  }).pipe(Effect.forever({ disableYield: true }))

const membersOf = (members: Members, { name }: Group): ReadonlyArray<Member> =>
  [...members].filter(({ group }) => group.name === name)

const idsOf = (ids: ReadonlyArray<string>): string => ids.toSorted().join()

/** Milliseconds after which a broker forgets a client that it does not hear of, and looks for those. */
const FORGOTTEN = 120_000 + 10_000

/** Milliseconds in which members that are told that the group has changed share the queues out and wait for the hand-over. */
const SETTLED = 3_000

/** The same for members that nobody tells, as of a member that was forgotten: they look every 20 s. */
const SETTLED_UNTOLD = 20_000 + SETTLED

/**
 * Waits until the brokers know who lives, and the members have shared the queues out. A heartbeat that a broker handles
 * after the end of its connection makes it know a dead member, as a real one does, for two minutes.
 */
export const settled = (world: World, members: Members, group: Group) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const differs = Effect.gen(function* () {
      const clients = yield* cluster.clients
      const states = yield* Effect.forEach(membersOf(members, group), ({ consumer }) => consumer.state)
      if (states.length !== group.size) {
        return `${states.length} members of ${group.name} have come up, not ${group.size}`
      }
      const live = idsOf(states.map(({ instance }) => instance?.clientId ?? ""))
      for (const { name } of cluster.brokers) {
        const known = clients.filter((client) => client.group === group.name && client.broker === name)
        const ids = idsOf(known.map(({ clientId }) => clientId))
        if (ids !== live) return `${name} knows ${ids} of ${group.name}, those that live are ${live}`
      }
      return undefined
    })
    const begin = yield* Clock.currentTimeMillis
    const waited = Effect.map(Clock.currentTimeMillis, (now) => now - begin)
    while ((yield* differs) !== undefined && (yield* waited) < FORGOTTEN) yield* Effect.sleep(1_000)
    const problem = yield* differs
    if (problem !== undefined) yield* world.violation("ownership", problem)
    yield* Effect.sleep((yield* waited) < SETTLED ? SETTLED : SETTLED_UNTOLD)
    if (group.kind === "orderly") yield* Effect.sleep(UNLOCKED)
  })

/** What dead members have locked is free after so many milliseconds, and is asked for at pauses of half a second. */
const UNLOCKED = 61_000

const IDLE = new Set(["pulling", "waiting", "full"])

/** Each queue has one owner, or where the group broadcasts every member, and is pulled or says why not. */
export const owned = (world: World, members: Members, group: Group) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const expected = cluster.brokers.flatMap(({ name }) => [
      ...[0, 1].map((id) => MessageQueue.make(TOPIC, name, id)),
      // What is polled or broadcast does not come again by itself.
      ...(group.kind === "lite" || group.kind === "broadcast"
        ? []
        : [MessageQueue.make(RETRY_GROUP_TOPIC_PREFIX + group.name, name, 0)])
    ])
    const states = yield* Effect.forEach(membersOf(members, group), ({ consumer }) => consumer.state)
    const all = idsOf(expected.map(MessageQueue.key))
    for (const together of group.kind === "broadcast" ? states.map((state) => [state]) : [states]) {
      const keys = idsOf(together.flatMap((state) => state.queues.map(({ queue }) => MessageQueue.key(queue))))
      if (keys === all) continue
      const seen = together.map(({ instance, members: known }) => `${instance?.clientId} knows ${known.join()}`)
      yield* world.violation("ownership", `${group.name} owns ${keys}, not ${all}: ${seen.join("; ")}`)
    }
    const queues = states.flatMap((state) => state.queues)
    for (const { lastFailure, phase, queue } of queues) {
      if (!IDLE.has(phase)) {
        yield* world.violation("ownership", `${MessageQueue.key(queue)} of ${group.name} is ${phase}: ${lastFailure}`)
      }
    }
  })

/**
 * Waits until nothing is left to do, and nobody holds a message: one that was finished may have come again behind one that
 * was not, and may be given back; what was polled is to be committed before the end.
 */
export const exhausted = (world: World, members: Members) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    for (let waited = 0; waited < 120_000; waited += 1_000) {
      const all = yield* Effect.forEach(members, ({ consumer, kind }) =>
        Effect.map(consumer.state, ({ queues }) => queues.map((queue) => ({ ...queue, kind })))
      )
      const held = all
        .flat()
        .filter(
          ({ cached, committedOffset, consumeOffset, kind }) =>
            cached > 0 || (kind === "lite" && committedOffset !== consumeOffset)
        ).length
      const left = (yield* cluster.delayedMessages).length + (yield* world.finishes.unfinished).length
      if (left + held === 0) return
      yield* Effect.sleep(1_000)
    }
  })

const isCommit = ({ code, extFields }: RecordedRequest): boolean =>
  code === RequestCode.UPDATE_CONSUMER_OFFSET ||
  (code === RequestCode.PULL_MESSAGE && (Number(extFields?.["sysFlag"]) & PullSysFlag.COMMIT_OFFSET) !== 0)

/** A new owner waits until the old one has committed for the last time: milliseconds for what is on its way then. */
const ON_ITS_WAY = 100

/**
 * On a healthy cluster a member joins for a while: soon each queue has one owner, who gave a queue up commits nothing of
 * it any more, and nothing comes twice, where no handler takes longer than a revoked queue waits for it.
 */
export const handedOver = (world: World, members: Members, namesrvAddr: string, group: Group) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const { name } = group
    const ownersOf = () =>
      Effect.map(
        Effect.forEach(membersOf(members, group), ({ consumer }) => consumer.state),
        (states) =>
          new Map(
            states.flatMap(({ instance, queues }) =>
              queues.map(({ queue }) => [MessageQueue.key(queue), instance?.clientId ?? ""] as const)
            )
          )
      )
    const since = yield* Clock.currentTimeMillis
    const before = yield* ownersOf()
    yield* life(world, members, namesrvAddr, group, Effect.as(Effect.sleep(4_000), "stop" as const))
    // What it had goes back to the others.
    yield* Effect.sleep(4_000)
    const after = yield* ownersOf()
    if ([...before].toString() !== [...after].toString()) {
      yield* world.violation("ownership", `${name} had ${[...before].join(" ")}, and has ${[...after].join(" ")}`)
    }

    for (const { again, at, queue, queueOffset } of yield* world.finishes.twice) {
      if (at < since || members.holes.has(queue)) continue
      yield* world.violation(
        "twice",
        `${queueOffset} of ${queue} was finished at ${at} and again at ${again.join()} in ${name}, on a healthy cluster`
      )
    }

    const addresses = new Map((yield* cluster.clients).map(({ address, clientId }) => [address, clientId]))
    /** By queue, who last read where to begin, and when. */
    const begun = new Map<string, { readonly remoteAddress: string; readonly time: number }>()
    for (const request of yield* cluster.traffic.all) {
      const { code, extFields, remoteAddress, server, time } = request
      if (time < since || extFields?.["consumerGroup"] !== name) continue
      const queue = MessageQueue.key(MessageQueue.make(extFields["topic"] ?? "", server, Number(extFields["queueId"])))
      if (code === RequestCode.QUERY_CONSUMER_OFFSET) begun.set(queue, { remoteAddress, time })
      const owner = begun.get(queue)
      // Only of those who still are there it is known who they are.
      if (owner === undefined || !addresses.has(remoteAddress) || !isCommit(request)) continue
      if (owner.remoteAddress !== remoteAddress && time > owner.time + ON_ITS_WAY) {
        yield* world.violation(
          "revoked",
          `${request.codeName} of ${addresses.get(remoteAddress)} committed ${extFields["commitOffset"]} of ${queue} in ${name} at ${time}, which has had another owner since ${owner.time}`
        )
      }
    }
  })
