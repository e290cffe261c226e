import { Effect, Exit, FileSystem, Path, PlatformError, Random } from "effect"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as LocalOffsetStore from "../../src/consumer/offset/LocalOffsetStore.ts"
import type { OffsetStore } from "../../src/consumer/offset/OffsetStore.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as StoredMessage from "../../src/embedded/store/StoredMessage.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { PullSysFlag } from "../../src/protocol/request/PullMessage.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import type { World } from "../../src/testing/Simulation.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { disk } from "../consumer/offset/disk.ts"

/** The members of a group that broadcasts: each reads all there is, and keeps where it stands to itself. */

/** What is left of a member between its lives, and what must hold of all of them. */
export interface Reader {
  readonly name: string
  /** Begins a life, which its process may not outlive. */
  readonly begin: (alive: () => boolean) => Effect.Effect<Life>
  /** The queues that the present life has not read to their ends. */
  readonly behind: Effect.Effect<ReadonlyArray<string>, never, EmbeddedCluster>
}

/** One life of a reader. */
interface Life {
  readonly store: OffsetStore
  /** A handler that is looked at; `over` says whether a message that ended so does not come again. */
  readonly watch: <A, E>(
    inOrder: boolean,
    over: (message: ReceivedMessage, exit: Exit.Exit<A, E>) => boolean,
    handler: (message: ReceivedMessage) => Effect.Effect<A, E>
  ) => (message: ReceivedMessage) => Effect.Effect<A, E>
  /** To be asked when the consumer has closed: what is stored is what it came to. */
  readonly closed: Effect.Effect<void>
}

/** What is known of a queue since the member last read where it begins. */
interface Generation {
  readonly queue: MessageQueue.MessageQueue
  readonly from: number
  readonly finished: Set<number>
  /** What was written last. */
  written: number
}

/** The first offset from one on that is not in a set. */
const gapOf = (finished: ReadonlySet<number>, from: number): number => {
  let offset = from
  while (finished.has(offset)) offset++
  return offset
}

/** Milliseconds that a call of the disk takes at most. */
const DISK_MILLIS = 20

/** A disk as one process sees it: its calls take a while, and none is made by a process that has died. */
const ofProcess = (fs: FileSystem.FileSystem, alive: () => boolean): FileSystem.FileSystem => {
  const step = <A, E, R>(path: string, call: Effect.Effect<A, E, R>) =>
    Effect.andThen(
      Effect.flatMap(Random.nextIntBetween(0, DISK_MILLIS), Effect.sleep),
      Effect.suspend((): Effect.Effect<A, E | PlatformError.PlatformError, R> => {
        if (alive()) return call
        const dead = { _tag: "Unknown", module: "FileSystem", method: "any", pathOrDescriptor: path } as const
        return Effect.fail(PlatformError.systemError(dead))
      })
    )
  return FileSystem.makeNoop({
    makeDirectory: (path) => step(path, fs.makeDirectory(path)),
    stat: (path) => step(path, fs.stat(path)),
    readFile: (path) => step(path, fs.readFile(path)),
    rename: (from, to) => step(from, fs.rename(from, to)),
    open: (path, options) =>
      Effect.map(step(path, fs.open(path, options)), (file) => ({
        ...file,
        stat: step(path, file.stat),
        sync: step(path, file.sync),
        writeAll: (bytes: Uint8Array) => step(path, file.writeAll(bytes))
      }))
  })
}

/** Where readers keep their offsets: in memory that ends with the process, in some that does not, or in a file. */
const storesOf = (name: string, kind: "forgotten" | "kept" | "file") => {
  if (kind === "forgotten") return () => Effect.sync(LocalOffsetStore.memory)
  if (kind === "kept") {
    const kept = LocalOffsetStore.memory()
    return () => Effect.succeed(kept)
  }
  const machine = disk(new Map(), Infinity)
  return (alive: () => boolean) => {
    // What was not flushed is half lost, as if the machine had died with the process.
    machine.crash()
    return LocalOffsetStore.file({ directory: "/offsets", identity: name }).pipe(
      Effect.provideService(FileSystem.FileSystem, ofProcess(machine.fs, alive)),
      Effect.provide(Path.layer),
      Effect.orDie
    )
  }
}

/** A reader of a topic, for a group whose name nobody else has. */
export const make = Effect.fnUntraced(function* (world: World, group: string, topic: string, name: string) {
  const kind = yield* Effect.orDie(Random.choice(["forgotten", "kept", "file"] as const))
  const open = storesOf(name, kind)
  /** By queue, what was finished in whichever life. */
  const ever = new Map<string, Set<number>>()
  /** By queue, what was last written and acknowledged. */
  const acknowledged = new Map<string, number>()
  let generations = new Map<string, Generation>()
  const say = (detail: string) => world.violation("broadcast", `${name}, whose offsets are ${kind}: ${detail}`)

  const own = (of: string, queue: MessageQueue.MessageQueue) =>
    of === group && queue.topic === topic
      ? Effect.void
      : say(`its store was asked for ${MessageQueue.key(queue)} of group ${of}`)

  const begin: Reader["begin"] = Effect.fnUntraced(function* (alive) {
    const present = new Map<string, Generation>()
    generations = present
    const inner = yield* open(alive)
    /** A generation that is over has left in the store what it came to. */
    const left = (key: string, stored: number | undefined) => {
      const generation = present.get(key)
      if (generation === undefined || !alive()) return Effect.void
      const reached = gapOf(generation.finished, generation.from)
      return stored === reached ? Effect.void : say(`${stored} of ${key} is stored, and it came to ${reached}`)
    }
    const store: OffsetStore = {
      load: (of, queue) =>
        Effect.gen(function* () {
          yield* own(of, queue)
          const key = MessageQueue.key(queue)
          const stored = yield* inner.load(of, queue)
          yield* left(key, stored)
          const written = acknowledged.get(key) ?? 0
          if (kind !== "forgotten" && (stored ?? 0) < written)
            yield* say(`${stored} of ${key} was read after ${written}`)
          const from = stored ?? 0
          present.set(key, { queue, from, finished: new Set(), written: from })
          return stored
        }),
      persist: (of, entry) =>
        Effect.gen(function* () {
          // What a dead process would write.
          if (!alive()) return
          const { offset, queue } = entry
          yield* own(of, queue)
          const key = MessageQueue.key(queue)
          const finished = gapOf(ever.get(key) ?? new Set(), 0)
          if (offset > finished) yield* say(`${offset} of ${key} was written, and ${finished} is not finished`)
          const generation = present.get(key)
          if (generation === undefined || offset < generation.written)
            yield* say(`${offset} of ${key} was written after ${generation?.written}`)
          else generation.written = offset
          yield* inner.persist(of, entry)
          acknowledged.set(key, offset)
        })
    }
    return {
      store,
      watch: (inOrder, over, handler) => (message) =>
        Effect.suspend(() => {
          const { queue, queueOffset } = message
          const key = MessageQueue.key(queue)
          const generation = present.get(key)
          const begun =
            alive() && (generation === undefined || queueOffset < generation.from)
              ? say(`${queueOffset} of ${key} came, which begins at ${generation?.from}`)
              : Effect.void
          return Effect.andThen(begun, handler(message)).pipe(
            Effect.onExit((exit) => {
              if (!alive() || generation === undefined || Exit.hasInterrupts(exit) || !over(message, exit))
                return Effect.void
              const { finished, from } = generation
              const wrong = finished.has(queueOffset)
                ? say(`${queueOffset} of ${key} was finished twice`)
                : inOrder && queueOffset !== gapOf(finished, from)
                  ? say(`${queueOffset} of ${key} was finished before ${gapOf(finished, from)}`)
                  : Effect.void
              finished.add(queueOffset)
              const all = ever.get(key) ?? new Set()
              ever.set(key, all.add(queueOffset))
              return wrong
            })
          )
        }),
      closed: Effect.suspend(() =>
        alive()
          ? Effect.forEach(
              present.values(),
              ({ queue }) =>
                Effect.flatMap(Effect.orDie(inner.load(group, queue)), (stored) =>
                  left(MessageQueue.key(queue), stored)
                ),
              { discard: true }
            )
          : Effect.void
      )
    }
  })

  const behind = Effect.map(EmbeddedCluster, ({ brokers }) =>
    brokers.flatMap((broker) => {
      const ends = new Map<string, number>()
      for (const { queueId, queueOffset } of broker.store.entries(topic).flatMap(StoredMessage.decode)) {
        const key = MessageQueue.key(MessageQueue.make(topic, broker.name, queueId))
        ends.set(key, Math.max(ends.get(key) ?? 0, queueOffset + 1))
      }
      return [...ends].flatMap(([key, end]) => {
        const generation = generations.get(key)
        const reached = generation === undefined ? undefined : gapOf(generation.finished, generation.from)
        return reached === end ? [] : [`${name} has come to ${reached} of ${key}, its end is ${end}`]
      })
    })
  )
  return { name, begin, behind } satisfies Reader
})

/** How the handlers of readers end. */
export interface Handlers {
  /** Of a message by itself. */
  readonly one: MessageListener.Handler<string, never>
  /** Of a message in order. */
  readonly inOrder: MessageListener.OrderlyHandler<string, never>
  /** Whether a message in order that does not succeed now does not come again. */
  readonly spent: (message: ReceivedMessage) => boolean
}

/** Starts a life of a reader in the current scope, with handlers of either kind. */
export const start = Effect.fnUntraced(function* (
  reader: Reader,
  alive: () => boolean,
  options: Omit<PushConsumerOptions, "messageModel" | "offsetStore">,
  { inOrder, one, spent }: Handlers
) {
  const life = yield* reader.begin(alive)
  // The last that is done: the consumer has closed then.
  yield* Effect.addFinalizer(() => life.closed)
  const listener = (yield* Random.nextBoolean)
    ? MessageListener.concurrently(life.watch(false, () => true, one))
    : MessageListener.orderly(
        life.watch(
          true,
          (message, exit) => {
            const tag = Exit.isSuccess(exit) ? (exit.value?._tag ?? "Success") : "Fail"
            return tag === "Success" || tag === "DeadLetter" || spent(message)
          },
          inOrder
        )
      )
  const consumer = yield* DefaultMQPushConsumer.make(
    { ...options, messageModel: "BROADCASTING", offsetStore: life.store, instanceName: reader.name },
    listener
  )
  yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown, { interruptible: true })
  return consumer
})

/** What tells a broker where a group stands, or asks it. */
const OFFSETS: ReadonlySet<number> = new Set([
  RequestCode.UPDATE_CONSUMER_OFFSET,
  RequestCode.QUERY_CONSUMER_OFFSET,
  RequestCode.CONSUMER_SEND_MSG_BACK
])

/** Waits until readers have read all there is, and checks that they told the brokers nothing of it. */
export const complete = Effect.fnUntraced(function* (world: World, group: string, readers: ReadonlyArray<Reader>) {
  const behind = Effect.map(
    Effect.forEach(readers, (reader) => reader.behind),
    (all) => all.flat()
  )
  for (let waited = 0; waited < 120_000 && (yield* behind).length > 0; waited += 1_000) yield* Effect.sleep(1_000)
  for (const detail of yield* behind) yield* world.violation("broadcast", detail)
  const cluster = yield* EmbeddedCluster
  for (const { code, codeName, extFields = {} } of yield* cluster.traffic.all) {
    if (extFields["consumerGroup"] !== group && extFields["group"] !== group) continue
    const commits =
      code === RequestCode.PULL_MESSAGE && (Number(extFields["sysFlag"]) & PullSysFlag.COMMIT_OFFSET) !== 0
    if (OFFSETS.has(code) || commits) yield* world.violation("broadcast", `a broker got ${codeName} of group ${group}`)
  }
})
