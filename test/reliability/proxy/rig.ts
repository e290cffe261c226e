import { assert } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Ref, Scope } from "effect"
import type * as Net from "node:net"
import { AddressTranslator } from "../../../src/client/AddressTranslator.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import {
  EmbeddedCluster,
  type EmbeddedClusterOptions,
  FaultProxy,
  LeakCheck,
  TcpWire,
  Wire,
  type WireError
} from "../../../src/testing/index.ts"
import { text } from "../../support/rig.ts"

/** One dial of a client; times are monotonic milliseconds. */
export interface Dial {
  readonly address: string
  readonly begin: number
  end: number | undefined
  outcome: "under way" | "open" | "failed"
}

/** The proxies in front of a cluster on TCP: clients reach no server but through one. */
export class Proxies extends Context.Service<
  Proxies,
  {
    /** In front of the name servers, in the order of the cluster's. */
    readonly nameServers: ReadonlyArray<FaultProxy.FaultProxy>
    /** What clients take the name servers' addresses for. */
    readonly namesrvAddr: string
    /** The proxy of a name server that a client knows by this address. */
    readonly nameServer: (address: string | undefined) => FaultProxy.FaultProxy
    /** In front of the broker's address, the newest of them. */
    readonly broker: (name: string) => FaultProxy.FaultProxy
    /** Puts a proxy in front of a broker that has a new address. */
    readonly follow: (name: string) => Effect.Effect<void, WireError>
    readonly all: () => ReadonlyArray<FaultProxy.FaultProxy>
    /** What clients dialled. */
    readonly dials: ReadonlyArray<Dial>
    readonly dialsTo: (address: string) => ReadonlyArray<Dial>
    /** The most dials to one address that were under way at once. */
    readonly mostAtOnce: () => number
  }
>()("test/reliability/Proxies") {}

/** Where and how a test runs. */
export interface ProxiedOptions {
  /** The brokers besides `calm`; default one, `broker-a`. */
  readonly brokers?: ReadonlyArray<string>
  readonly cluster?: EmbeddedClusterOptions
  /** Options of the client instance, which the producer and its bystander share. */
  readonly client?: Partial<ProducerOptions>
  /** Options of the producer alone. */
  readonly producer?: Partial<ProducerOptions>
  /** Resolves host names. */
  readonly lookup?: Net.LookupFunction
}

const find = <A>(value: A | undefined, what: string): A => {
  if (value === undefined) throw new Error(`there is no ${what}`)
  return value
}

/** Watches the dials of clients on a wire. */
const watched = (wire: Wire["Service"], dials: Array<Dial>, most: { count: number }, now: () => number) =>
  Wire.of({
    ...wire,
    connect: (address, options) =>
      Effect.suspend(() => {
        const dial: Dial = { address, begin: now(), end: undefined, outcome: "under way" }
        dials.push(dial)
        const atOnce = dials.filter((other) => other.address === address && other.outcome === "under way")
        most.count = Math.max(most.count, atOnce.length)
        return wire.connect(address, options).pipe(
          Effect.onExit((exit) =>
            Effect.sync(() => {
              dial.end = now()
              dial.outcome = exit._tag === "Success" ? "open" : "failed"
            })
          )
        )
      })
  })

const layers = (given: ProxiedOptions) => {
  const dials: Array<Dial> = []
  const most = { count: 0 }
  const names = [...(given.brokers ?? ["broker-a"]), "calm"]
  const wire = Layer.effect(
    Wire,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      return watched(yield* Wire, dials, most, () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
    })
  ).pipe(Layer.provide(TcpWire.layerWith({ lookup: given.lookup })))
  const cluster = EmbeddedCluster.layer({ seed: 1, brokers: names.map((name) => ({ name })), ...given.cluster })
  const proxies = Layer.effectContext(
    Effect.gen(function* () {
      const { brokers, nameServers } = yield* EmbeddedCluster
      const scope = yield* Effect.scope
      const own = yield* Effect.forEach(nameServers, ({ address }) => FaultProxy.make({ target: address }))
      /** announced address -> proxy */
      const byAddress = new Map<string, FaultProxy.FaultProxy>()
      const byName = new Map<string, FaultProxy.FaultProxy>()
      const follow = (name: string) =>
        Effect.gen(function* () {
          const broker = find(
            brokers.find((one) => one.name === name),
            `broker ${name}`
          )
          const proxy = yield* Scope.provide(FaultProxy.make({ target: broker.address }), scope)
          byAddress.set(broker.address, proxy)
          byName.set(name, proxy)
        })
      for (const { name } of brokers) yield* follow(name)
      const self: Proxies["Service"] = {
        nameServers: own,
        namesrvAddr: own.map(({ address }) => address).join(";"),
        nameServer: (address) =>
          find(
            own.find((proxy) => proxy.address === address),
            `name server ${address}`
          ),
        broker: (name) => find(byName.get(name), `proxy of ${name}`),
        follow,
        all: () => [...own, ...byAddress.values()],
        dials,
        dialsTo: (address) => dials.filter((dial) => dial.address === address),
        mostAtOnce: () => most.count
      }
      return Context.make(Proxies, self).pipe(
        Context.add(AddressTranslator, {
          translate: ({ address }) => Effect.sync(() => byAddress.get(address)?.address ?? address)
        })
      )
    })
  )
  return MQClientManager.layer.pipe(Layer.provideMerge(proxies), Layer.provideMerge(cluster), Layer.provideMerge(wire))
}

/** What a test on proxies may use. */
export type ProxiedServices = Proxies | EmbeddedCluster | MQClientManager | Wire | Scope.Scope

/** How long something that has to happen may take before the test fails. Far longer than it ever takes. */
const PATIENCE_MILLIS = 20_000

/** Waits until something is the case. */
export const eventually = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* Effect.sleep(5)
  }).pipe(
    Effect.timeoutOrElse({
      duration: PATIENCE_MILLIS,
      orElse: () => Effect.die(new Error(`it never happened: ${what}`))
    })
  )

/** An effect and the real milliseconds it took: for lower bounds, and for upper ones that are many times the deadline. */
export const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const begin = clock.monotonicTimeNanosUnsafe()
    const exit = yield* Effect.exit(effect)
    return { exit, millis: Number(clock.monotonicTimeNanosUnsafe() - begin) / 1e6 }
  })

/**
 * Runs a test on a cluster behind proxies, with a queue of topic `orders` on every broker but `calm`. When its scope has closed no client holds a connection or an instance, and when
 * the cluster and the proxies are gone too, the process holds no more sockets and timers than before.
 */
export const proxied = <A, E>(given: ProxiedOptions, body: Effect.Effect<A, E, ProxiedServices>) =>
  LeakCheck.check(
    Effect.gen(function* () {
      const { createTopic } = yield* EmbeddedCluster
      const proxies = yield* Proxies
      const manager = yield* MQClientManager
      for (const broker of given.brokers ?? ["broker-a"]) {
        yield* createTopic("orders", { broker, readQueueNums: 1, writeQueueNums: 1 })
      }
      const value = yield* Effect.scoped(body)
      assert.strictEqual(yield* manager.size, 0, "no instance is left")
      for (const proxy of proxies.all()) {
        // What is held back has to see the end that the clients made.
        yield* proxy.clear
        yield* eventually(
          "every connection of a client has ended",
          Effect.map(proxy.counters, ({ open }) => open === 0)
        )
      }
      return value
    }).pipe(Effect.provide(layers(given))),
    { graceMillis: PATIENCE_MILLIS }
  )

/** The options of a producer behind the proxies, in the client instance that all producers of a test share. */
const producerOptions = (given: ProxiedOptions, own: Partial<ProducerOptions>) =>
  Effect.map(Proxies, ({ namesrvAddr }): ProducerOptions => ({
    producerGroup: "pg",
    namesrvAddr,
    instanceName: "shared",
    readiness: "registered",
    // Far away, so that what a test sees is what it did.
    pollNameServerInterval: 600_000,
    heartbeatBrokerInterval: 600_000,
    ...given.client,
    ...own
  }))

/** A producer behind the proxies that was not started. */
export const makeProducer = (given: ProxiedOptions = {}) =>
  Effect.flatMap(producerOptions(given, { ...given.producer }), DefaultMQProducer.make)

const started = (options: ProducerOptions) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer.make(options)
    yield* producer.start
    yield* Effect.addFinalizer(() => producer.shutdown)
    return producer
  })

/** A started producer behind the proxies, which is shut down with the scope. */
export const startProducer = (given: ProxiedOptions = {}) =>
  Effect.flatMap(producerOptions(given, { ...given.producer }), started)

const BYSTANDER_PERIOD_MILLIS = 5

/** A producer of the same client whose broker nothing happens to: each of its sends is acknowledged at the first try. */
const bystander = (given: ProxiedOptions) =>
  Effect.gen(function* () {
    const own = { producerGroup: "bystander", topics: ["calm"], sendMsgTimeout: PATIENCE_MILLIS }
    const producer = yield* Effect.flatMap(producerOptions(given, own), started)
    const sent = yield* Ref.make(0)
    const noticed = yield* Ref.make<ReadonlyArray<string>>([])
    const send = Effect.matchEffect(producer.send(text("calm")), {
      onFailure: ({ message }) => Ref.update(noticed, (all) => [...all, message]),
      onSuccess: ({ attempts }) =>
        attempts === 1 ? Ref.update(sent, (n) => n + 1) : Ref.update(noticed, (all) => [...all, `${attempts} attempts`])
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(send, Effect.sleep(BYSTANDER_PERIOD_MILLIS))))
    return Effect.gen(function* () {
      const before = yield* Ref.get(sent)
      yield* eventually(
        "the bystander sends on",
        Effect.map(Ref.get(sent), (n) => n > before)
      )
      assert.deepStrictEqual(yield* Ref.get(noticed), [], "others notice nothing")
    })
  })

/**
 * {@link proxied} with a started producer, and with another one of the same client, on broker `calm`, which must not
 * notice anything.
 */
export const proxiedRow = <E>(
  given: ProxiedOptions,
  body: (producer: DefaultMQProducerShape) => Effect.Effect<void, E, ProxiedServices>
) =>
  proxied(
    given,
    Effect.gen(function* () {
      const { createTopic } = yield* EmbeddedCluster
      yield* createTopic("calm", { broker: "calm" })
      const check = yield* bystander(given)
      const producer = yield* startProducer({ ...given, producer: { topics: ["orders"], ...given.producer } })
      yield* body(producer)
      yield* check
    })
  )
