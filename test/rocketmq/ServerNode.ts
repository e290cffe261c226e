/** One Java server of the rig, name server or broker: its folder, its port, and its process, which may come and go. */
import { Effect, Scope, Semaphore } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { javaTool } from "./Jars.ts"
import { claim, ownsListener } from "./Ports.ts"
import { realSleep, type RigProcess, start as startProcess } from "./Processes.ts"
import { RigError, tail } from "./RigError.ts"

/** What a started server can be asked to do. Its store stays the same over every stop and start, and its port unless it moves. */
export interface ServerNode {
  readonly name: string
  /** "127.0.0.1:port"; another one after a move. */
  readonly address: string
  /** Its own folder: configuration, store, logs. */
  readonly folder: string
  /** The process id, or undefined while it is not running. */
  readonly pid: Effect.Effect<number | undefined>
  /** SIGKILL (kill -9), then wait until the process is gone. */
  readonly kill: Effect.Effect<void>
  /** SIGTERM, on which RocketMQ unregisters and flushes, then wait until the process is gone; SIGKILL after 30 seconds. */
  readonly stop: Effect.Effect<void>
  /** Starts it when it is not running, and waits until it serves. */
  readonly start: Effect.Effect<void, RigError>
  /** Stop, then start. */
  readonly restart: Effect.Effect<void, RigError>
  /** Stop, then start on another port. */
  readonly move: Effect.Effect<void, RigError>
  /** SIGSTOP: connections stay open and nothing is answered, as on a machine that hangs. */
  readonly pause: Effect.Effect<void>
  /** SIGCONT, the end of a pause. */
  readonly resume: Effect.Effect<void>
  /** The end of its log and of its output, for diagnostics. */
  readonly log: Effect.Effect<string>
}

/** How to run a server. */
export interface ServerNodeOptions {
  readonly operation: string
  readonly name: string
  readonly folder: string
  readonly classPath: string
  readonly mainClass: string
  readonly jvmOptions: ReadonlyArray<string>
  /** Ports that must be free, as distances from the main one. */
  readonly portDistances: ReadonlyArray<number>
  readonly properties: (port: number) => Readonly<Record<string, string>>
  /** What is still missing before it serves; undefined when nothing is. Asked while its own process listens. */
  readonly missing: (address: string) => Effect.Effect<string | undefined>
}

/** A machine that many share may give a starting JVM a few percent of its time. */
const startTimeoutMillis = 300_000
const stopTimeoutMillis = 30_000

/** RocketMQ 4 and 5 on Java 17: what the store and the transport reach into. */
const openModules = [
  "--add-opens=java.base/java.nio=ALL-UNNAMED",
  "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
  "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
  "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED"
]

/**
 * JVM options that keep what a RocketMQ program writes inside its folder: the log of 5.x (logger configuration by
 * property), of 4.x (in ROCKETMQ_HOME/conf, see {@link writeConfiguration}), and native libraries it unpacks.
 */
export const folderOptions = (folder: string): ReadonlyArray<string> => [
  ...openModules,
  "-XX:-UsePerfData",
  `-Duser.home=${folder}`,
  `-Djava.io.tmpdir=${folder}`,
  `-Drocketmq.home.dir=${folder}`,
  `-Drig.log=${Path.join(folder, "rocketmq.log")}`,
  `-Drmq.logback.configurationFile=${Path.join(folder, "conf", "logback.xml")}`,
  `-Drocketmq.client.logRoot=${folder}`,
  "-Drocketmq.client.logLevel=WARN"
]

const logback = `<configuration>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>\${rig.log}</file>
    <encoder><pattern>%d{HH:mm:ss.SSS} %p %c{0} %t - %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="FILE"/></root>
</configuration>
`

/** Writes the logger configuration, under each name by which a version and a program looks for it. */
export const writeConfiguration = (folder: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    const conf = Path.join(folder, "conf")
    await Fs.mkdir(conf, { recursive: true })
    const names = ["logback.xml", "logback_namesrv.xml", "logback_broker.xml", "logback_tools.xml"]
    await Promise.all(names.map((name) => Fs.writeFile(Path.join(conf, name), logback)))
  })

/** Starts a server; it ends with the scope, by SIGKILL, because its folder goes with it. */
export const make = (options: ServerNodeOptions): Effect.Effect<ServerNode, RigError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* writeConfiguration(options.folder)
    let current: RigProcess | undefined
    // One of kill, stop and start at a time.
    const turn = Semaphore.makeUnsafe(1)
    yield* Effect.addFinalizer(() => Effect.suspend(() => current?.kill ?? Effect.void))

    const launch = (port: number) =>
      Effect.gen(function* () {
        const child = yield* spawnServer(options, port).pipe(
          Effect.tap((started) => Effect.sync(() => (current = started))),
          Effect.uninterruptible
        )
        yield* untilServing(options, child, port)
      }).pipe(
        // A start that failed or was interrupted leaves no process.
        Effect.onError(() => Effect.suspend(() => current?.kill ?? Effect.void))
      )

    // Somebody may take a port between the check and the server's own bind: then others are tried, twice.
    const firstStart = (attemptsLeft: number): Effect.Effect<number, RigError, Scope.Scope> =>
      Effect.gen(function* () {
        const port = yield* claim(options.portDistances)
        return yield* launch(port).pipe(
          Effect.as(port),
          Effect.catchIf(
            (error) => attemptsLeft > 0 && /Address already in use|BindException/.test(error.output),
            () => firstStart(attemptsLeft - 1)
          )
        )
      })
    let port = yield* firstStart(2)
    const scope = yield* Effect.scope
    const move = Effect.suspend(() => firstStart(2)).pipe(
      Scope.provide(scope),
      Effect.map((next) => {
        port = next
      })
    )

    const kill = Effect.suspend(() => current?.kill ?? Effect.void)
    const stop = Effect.suspend(() => {
      const child = current
      if (child === undefined || !child.isRunning()) return Effect.void
      // A paused process does not see SIGTERM before it continues.
      return child
        .signal("SIGTERM")
        .pipe(
          Effect.andThen(child.signal("SIGCONT")),
          Effect.andThen(
            Effect.raceFirst(Effect.asVoid(child.end), Effect.andThen(realSleep(stopTimeoutMillis), child.kill))
          )
        )
    })
    const start = Effect.suspend(() => (current?.isRunning() === true ? Effect.void : launch(port)))
    return {
      name: options.name,
      get address() {
        return `127.0.0.1:${port}`
      },
      folder: options.folder,
      pid: Effect.sync(() => (current?.isRunning() === true ? current.pid : undefined)),
      kill: turn.withPermits(1)(kill),
      stop: turn.withPermits(1)(stop),
      start: turn.withPermits(1)(start),
      restart: turn.withPermits(1)(Effect.andThen(stop, start)),
      move: turn.withPermits(1)(Effect.andThen(stop, move)),
      pause: Effect.suspend(() => current?.pause ?? Effect.void),
      resume: Effect.suspend(() => current?.signal("SIGCONT") ?? Effect.void),
      log: logOf(options.folder, () => current)
    }
  })

const spawnServer = (options: ServerNodeOptions, port: number) =>
  Effect.gen(function* () {
    const file = Path.join(options.folder, "server.properties")
    const lines = Object.entries(options.properties(port)).map(([key, value]) => `${key}=${value}`)
    yield* Effect.promise(() => Fs.writeFile(file, `${lines.join("\n")}\n`))
    return yield* startProcess(
      options.operation,
      javaTool("java"),
      [
        ...folderOptions(options.folder),
        ...options.jvmOptions,
        "-cp",
        options.classPath,
        "Attached",
        options.mainClass,
        "-c",
        file
      ],
      { folder: options.folder, env: { ROCKETMQ_HOME: options.folder } }
    )
  })

const untilServing = (options: ServerNodeOptions, child: RigProcess, port: number): Effect.Effect<void, RigError> =>
  Effect.gen(function* () {
    const deadline = performance.now() + startTimeoutMillis
    let missing: string | undefined = "it was not asked yet"
    while (missing !== undefined) {
      if (!child.isRunning()) {
        const how = yield* child.end
        yield* startFailed(options, child, `its process ended with ${how.exitCode ?? how.signal}`)
      }
      missing = (yield* ownsListener(child.pid, port))
        ? yield* options.missing(`127.0.0.1:${port}`)
        : `process ${child.pid} does not listen on port ${port}`
      if (missing !== undefined) {
        if (performance.now() > deadline) {
          yield* startFailed(options, child, `after ${startTimeoutMillis} ms, ${missing}`)
        }
        yield* realSleep(40)
      }
    }
  })

const startFailed = (options: ServerNodeOptions, child: RigProcess, detail: string) =>
  Effect.flatMap(
    logOf(options.folder, () => child),
    (output) => Effect.fail(new RigError({ operation: options.operation, detail, output }))
  )

const logOf = (folder: string, child: () => RigProcess | undefined): Effect.Effect<string> =>
  Effect.gen(function* () {
    const log = yield* Effect.promise(() => Fs.readFile(Path.join(folder, "rocketmq.log"), "utf8").catch(() => ""))
    const process = child()
    const output = process === undefined ? "" : `${yield* process.stdout}${yield* process.stderr}`
    return [tail(log), tail(output)].filter((text) => text.trim() !== "").join("\n--- output ---\n")
  })
