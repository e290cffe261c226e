import { Clock, Effect, Fiber, FiberSet, Semaphore } from "effect"
import { CLIENT_INNER_PRODUCER_GROUP, MASTER_ID } from "../message/MixAll.ts"
import type { HeartbeatData } from "../protocol/HeartbeatData.ts"
import * as HeartBeat from "../protocol/request/HeartBeat.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { RemotingClient } from "../transport/RemotingClient.ts"
import type { ApiError } from "./ClientError.ts"
import { type ClientMembers, consumerData } from "./ClientMembers.ts"
import { type MQClientApi, rejected } from "./MQClientApi.ts"
import type { NameServer } from "./NameServer.ts"
import type { TopicRoute } from "./TopicRoute.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** What the last heartbeat to a broker address came to. Times are milliseconds since the epoch. */
export interface HeartbeatState {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** 0 for a master, from 1 on for slaves. */
  readonly brokerId: number
  /** `host:port` at which this client reaches it. */
  readonly address: string
  /** When it last acknowledged one, in milliseconds since the epoch; undefined before the first. */
  readonly lastSuccess: number | undefined
  /** How many it did not acknowledge since it last did. */
  readonly failures: number
  /** Why it did not acknowledge the last one; undefined when it did, and before the first. */
  readonly lastFailure: string | undefined
  /** The broker's own version number, from its answer (513 is 5.5.0). */
  readonly version: number | undefined
}

/** Heartbeats to the brokers that an instance's routes name. */
export interface Heartbeat {
  /**
   * Java's `sendHeartbeatToAllBroker`: to every master, and to slaves too where there are consumers, at most
   * {@link HEARTBEATS_AT_ONCE} at once. Brokers that did not answer the last time come last, those that have waited longest
   * first; what a round cannot do until the next one is due is left to that.
   */
  readonly sendHeartbeatToAllBroker: Effect.Effect<void>
  /** One heartbeat to one broker, acknowledged. */
  readonly sendHeartbeat: (address: string) => Effect.Effect<void, ApiError>
  /** Timer 3: `cleanOfflineBroker`, then {@link sendHeartbeatToAllBroker}. */
  readonly cleanAndSend: Effect.Effect<void>
  /** Java's `unregisterClient`: tells every connected broker, at once and within one deadline, that a group has left. */
  readonly unregisterClient: (
    group: { readonly producerGroup: string } | { readonly consumerGroup: string },
    timeoutMillis: number
  ) => Effect.Effect<void>
  /** What came of the heartbeats, by address; brokers that no route names any more are left out. */
  readonly table: ReadonlyMap<string, HeartbeatState>
  /** How many heartbeats were not acknowledged since the start. */
  readonly failures: () => number
}

/** How many heartbeats of an instance are under way at once, whatever routes say. */
export const HEARTBEATS_AT_ONCE = 64

/** How many failures of one round are logged by themselves; the others are one line together. */
const FAILURES_TOLD = 8

/**
 * The least that a farewell gets of the time for it when a heartbeat before it has taken the rest, and all that it gets
 * where another one was not answered; in milliseconds.
 */
const FAREWELL_LEAST_MILLIS = 50

/**
 * Makes the heartbeats of an instance, the one with which it greets a broker on each new connection included.
 *
 * Source: RocketMQ `MQClientInstance.sendHeartbeatToAllBroker`.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly clientId: string
  readonly members: ClientMembers
  readonly api: MQClientApi
  readonly routes: TopicRoute
  readonly nameServer: NameServer
  readonly remoting: RemotingClient
  readonly timeoutMillis: number
  /** What a round may take, in milliseconds: the time between two. */
  readonly roundMillis: number
  readonly nowMillis: () => number
  /** Runs when the outcome of a heartbeat has been written down. */
  readonly changed: Effect.Effect<void>
}) {
  const { api, changed, clientId, members, nameServer, nowMillis, remoting, roundMillis, routes, timeoutMillis } =
    options
  const clock = yield* Clock.Clock
  const fork = yield* FiberSet.makeRuntime()
  const now = monotonicMillis(clock)
  const table = new Map<string, HeartbeatState>()
  /** The addresses that did not answer the last farewell, and no heartbeat since. */
  const silent = new Set<string>()
  /** The heartbeats that have not been answered, by address. */
  const underWay = new Map<string, Set<Fiber.Fiber<unknown, unknown>>>()
  const places = Semaphore.makeUnsafe(HEARTBEATS_AT_ONCE)
  /** When each address was last sent a heartbeat, on the monotonic clock in milliseconds. */
  const tried = new Map<string, number>()
  let allFailures = 0
  /** Failures that may still be logged in this round, and those that were not. */
  let mayTell = FAILURES_TOLD
  let untold = 0

  const data = Effect.map(consumerData(members), (consumerDataSet): HeartbeatData => ({
    clientID: clientId,
    producerDataSet: [...members.producerTable.keys()].map((groupName) => ({ groupName })),
    consumerDataSet,
    heartbeatFingerprint: 0,
    withoutSub: false
  }))

  const note = (address: string, change: Partial<HeartbeatState>) => {
    const broker = routes.brokerOf(address)
    if (broker === undefined) return
    const before = table.get(address) ?? {
      ...broker,
      address,
      lastSuccess: undefined,
      failures: 0,
      lastFailure: undefined,
      version: undefined
    }
    table.set(address, { ...before, ...broker, ...change })
  }

  const succeeded = (address: string, version: number) =>
    Effect.suspend(() => {
      silent.delete(address)
      note(address, { lastSuccess: nowMillis(), failures: 0, lastFailure: undefined, version })
      return changed
    })

  const failed = (address: string, message: string) =>
    Effect.suspend(() => {
      allFailures++
      const failures = (table.get(address)?.failures ?? 0) + 1
      note(address, { failures, lastFailure: message })
      // Once per change of state: a broker that stays away is no news.
      if (failures !== 1) return changed
      if (mayTell === 0) {
        untold++
        return changed
      }
      mayTell--
      const line = Effect.logWarning(`heartbeat to ${address} failed: ${message}`)
      return Effect.andThen(changed, Effect.annotateLogs(line, { broker: address }))
    })

  // A heartbeat goes on when the one who sent it is interrupted, so that a farewell can wait for its answer.
  const goingOn = <A, E>(address: string, beat: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const fiber = fork(beat)
      const others = underWay.get(address) ?? new Set()
      underWay.set(address, others.add(fiber))
      fiber.addObserver(() => {
        others.delete(fiber)
        if (others.size === 0 && underWay.get(address) === others) underWay.delete(address)
      })
      return Fiber.join(fiber)
    })

  // The place is the caller's: a heartbeat that goes on without one is there for a farewell to wait for.
  const sendHeartbeat = (address: string) =>
    Semaphore.withPermit(
      places,
      goingOn(
        address,
        Effect.flatMap(data, (found) => {
          tried.set(address, now())
          return api.sendHeartbeat(address, found, timeoutMillis)
        }).pipe(
          Effect.tap((response) => succeeded(address, response.version)),
          Effect.tapError((error) => failed(address, error.message)),
          Effect.asVoid
        )
      )
    )

  // A broker handles heartbeats and farewells in different threads. One that is handled after the farewell would bring
  // the client back, and after the connection's close the broker would keep it for two minutes (Java `lockHeartbeat`).
  const farewell = Effect.fnUntraced(function* (
    address: string,
    group: { readonly producerGroup: string } | { readonly consumerGroup: string },
    unregisterTimeoutMillis: number
  ) {
    // A shutdown says good-bye for each group; one that waited in full for every one of them would have no bound.
    const limitMillis = silent.has(address) ? FAREWELL_LEAST_MILLIS : unregisterTimeoutMillis
    const deadline = now() + limitMillis
    const answers = Effect.forEach([...(underWay.get(address) ?? [])], Fiber.await, {
      concurrency: "unbounded",
      discard: true
    })
    yield* Effect.timeoutOption(answers, Math.max(0, limitMillis - FAREWELL_LEAST_MILLIS))
    const left = Math.max(FAREWELL_LEAST_MILLIS, Math.ceil(deadline - now()))
    yield* Effect.tapError(api.unregisterClient(address, { clientID: clientId, ...group }, left), (error) =>
      Effect.sync(() => void (error._tag === "RequestTimeout" && silent.add(address)))
    )
    if ("producerGroup" in group && othersStay(group.producerGroup)) yield* comeAgain(address, left)
  })

  const othersStay = (group: string): boolean =>
    group !== CLIENT_INNER_PRODUCER_GROUP &&
    members.producerTable.size > 1 &&
    members.producerTable.has(CLIENT_INNER_PRODUCER_GROUP)

  // With any group that leaves, a broker forgets to which connection replies to this client go, and remembers it only when
  // a group joins: so the inner producer's leaves and joins (RocketMQ `ProducerManager.unregisterProducer`).
  const comeAgain = (address: string, limitMillis: number) =>
    api
      .unregisterClient(address, { clientID: clientId, producerGroup: CLIENT_INNER_PRODUCER_GROUP }, limitMillis)
      .pipe(Effect.andThen(sendHeartbeat(address)), Effect.timeoutOption(limitMillis))

  const isFailing = (address: string) => (table.get(address)?.failures ?? 0) > 0

  const targets = () => {
    const found = new Set<string>()
    for (const addresses of routes.brokerAddrTable.values()) {
      for (const [brokerId, address] of addresses) {
        if (brokerId === MASTER_ID || members.consumerTable.size > 0) found.add(address)
      }
    }
    const failing = [...found].filter(isFailing).toSorted((a, b) => (tried.get(a) ?? 0) - (tried.get(b) ?? 0))
    for (const address of failing) found.delete(address)
    return [...found, ...failing]
  }

  const tellRest = Effect.suspend(() => {
    const more = untold
    mayTell = FAILURES_TOLD
    untold = 0
    return more === 0 ? Effect.void : Effect.logWarning(`heartbeats to ${more} more brokers failed`)
  })

  const sendHeartbeatToAllBroker = Effect.suspend(() =>
    members.producerTable.size === 0 && members.consumerTable.size === 0
      ? Effect.void
      : Effect.forEach(targets(), (address) => Effect.ignore(sendHeartbeat(address)), {
          concurrency: HEARTBEATS_AT_ONCE,
          discard: true
        }).pipe(Effect.timeoutOption(roundMillis), Effect.andThen(tellRest))
  )

  const clean = Effect.gen(function* () {
    const brokers = yield* routes.cleanOfflineBroker
    for (const address of table.keys()) if (!brokers.has(address)) table.delete(address)
    for (const address of tried.keys()) if (!brokers.has(address)) tried.delete(address)
    yield* remoting.retain(new Set([...brokers, ...(yield* nameServer.addresses)]))
  })

  // Where a broker is at the other end, the heartbeat is the first frame, so that the broker knows this client before it
  // sees anything else of it.
  yield* remoting.onConnected((address, invoke) =>
    Effect.suspend(() =>
      routes.brokerOf(address) === undefined || members.producerTable.size + members.consumerTable.size === 0
        ? Effect.void
        : goingOn(
            address,
            data.pipe(
              Effect.flatMap((found) => invoke(HeartBeat.request(found), timeoutMillis)),
              Effect.flatMap((response) =>
                response.code === ResponseCode.SUCCESS
                  ? succeeded(address, response.version)
                  : failed(address, rejected(address, RequestCode.HEART_BEAT, response).message)
              ),
              Effect.catch((error) => failed(address, error.message))
            )
          )
    )
  )

  const self: Heartbeat = {
    table,
    failures: () => allFailures,
    sendHeartbeat,
    sendHeartbeatToAllBroker,
    cleanAndSend: Effect.andThen(clean, sendHeartbeatToAllBroker),
    unregisterClient: Effect.fnUntraced(function* (group, unregisterTimeoutMillis) {
      const open = remoting
        .connections()
        .filter((c) => c.state === "open")
        .map((c) => c.address)
      yield* Effect.forEach(
        open.filter((address) => routes.brokerOf(address) !== undefined),
        (address) => Effect.ignore(farewell(address, group, unregisterTimeoutMillis)),
        { concurrency: "unbounded", discard: true }
      )
    })
  }
  return self
})
