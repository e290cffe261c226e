/** RocketMQ's own Java clients and `mqadmin`, run as child processes: what they see is what other programs see. */
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { classPath, javaTool, type RocketMQVersion } from "./Jars.ts"
import { type ProcessResult, run, temporaryFolder } from "./Processes.ts"
import { RigError, tail } from "./RigError.ts"
import { folderOptions, writeConfiguration } from "./ServerNode.ts"

/** Which name servers to use, and which version's client; default 5.5.0. */
export interface JavaClientOptions {
  readonly namesrvAddr: string
  readonly version?: RocketMQVersion | undefined
  /** Ends the program, and fails, after this time; default 60 seconds. */
  readonly timeoutMillis?: number | undefined
  /** Signs requests, as `AclClientRPCHook` does. */
  readonly credentials?: { readonly accessKey: string; readonly secretKey: string } | undefined
  /** Speaks TLS, with whichever certificate the servers have: RocketMQ's own default. */
  readonly tls?: boolean | undefined
  /** The namespace of the first kind. */
  readonly namespace?: string | undefined
}

/** A message as the Java client read it. */
export interface JavaMessage {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
  readonly queueOffset: number
  readonly commitLogOffset: number
  /** The unique id the producer gave it (UNIQ_KEY), or the offset id without one. */
  readonly msgId: string
  readonly offsetMsgId: string
  readonly keys?: string
  readonly tags?: string
  readonly flag: number
  readonly sysFlag: number
  readonly reconsumeTimes: number
  readonly bornTimestamp: number
  readonly storeTimestamp: number
  readonly bornHost: string
  readonly properties: Readonly<Record<string, string>>
  readonly bodyLength: number
  /** The body, decompressed; absent when digests were asked for. */
  readonly bodyBase64?: string
  readonly bodySha256?: string
}

/**
 * Reads everything a topic holds now, ordered by broker, queue and offset, with DefaultMQPullConsumer ("pull", the
 * default) or DefaultLitePullConsumer ("litePull").
 */
export const read = (
  options: JavaClientOptions & {
    readonly topic: string
    readonly with?: "pull" | "litePull"
    readonly group?: string
    /** SHA-256 of the bodies instead of the bodies; default false. */
    readonly digest?: boolean
  }
): Effect.Effect<ReadonlyArray<JavaMessage>, RigError> =>
  Effect.map(
    runProgram<JavaMessage>("JavaReader", options, {
      topic: options.topic,
      with: options.with ?? "pull",
      group: options.group ?? "java-reader",
      digest: options.digest ?? false
    }),
    (messages) =>
      messages.toSorted(
        (a, b) => compare(a.brokerName, b.brokerName) || a.queueId - b.queueId || a.queueOffset - b.queueOffset
      )
  )

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A message for the Java producer to send. */
export interface JavaMessageInput {
  readonly topic: string
  readonly body: Uint8Array | string
  readonly tags?: string
  /** Keys, separated by spaces. */
  readonly keys?: string
  readonly properties?: Readonly<Record<string, string>>
  /** With `brokerName`: the queue to send to, instead of one the producer chooses. */
  readonly queueId?: number
  readonly brokerName?: string
}

/** A send result as the Java producer had it. */
export interface JavaSendResult {
  readonly sendStatus: string
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
  readonly queueOffset: number
  readonly msgId: string
  readonly offsetMsgId: string
  readonly regionId: string
  readonly traceOn: boolean
}

/**
 * Sends messages with DefaultMQProducer, one after the other or as one batch (one result, its ids joined by commas);
 * fails when a send fails.
 */
export const produce = (
  options: JavaClientOptions & {
    readonly messages: ReadonlyArray<JavaMessageInput>
    readonly group?: string
    readonly batch?: boolean
    /** Bodies of at least this many bytes are compressed; default 4096 as compressMsgBodyOverHowmuch. */
    readonly compressOver?: number
    /** Default 10 seconds: a test machine may be busy. */
    readonly sendTimeoutMillis?: number
  }
): Effect.Effect<ReadonlyArray<JavaSendResult>, RigError> =>
  runProgram<JavaSendResult>("JavaProducer", options, {
    group: options.group ?? "java-producer",
    batch: options.batch ?? false,
    compressOver: options.compressOver ?? 4096,
    sendTimeoutMillis: options.sendTimeoutMillis ?? 10_000,
    messages: options.messages.map(({ body, ...message }) => ({
      ...message,
      bodyBase64: Buffer.from(body).toString("base64")
    }))
  })

/** One thing a Java client saw in a scenario; what else the line says depends on the scenario. */
export type JavaObservation = Readonly<Record<string, unknown>> & {
  readonly scenario: string
  readonly what: string
}

/** What a broker can do for a Java client beyond plain sends; each scenario has a topic of its name. */
export type JavaScenario = "delay" | "timer" | "transaction" | "request" | "orderly" | "retry" | "assigned" | "vip"

/**
 * Runs scenarios side by side in one program. Their topics must exist with one queue on broker-a, and the cluster must be
 * called DefaultCluster.
 */
export const scenarios = (
  options: JavaClientOptions & { readonly scenarios: ReadonlyArray<JavaScenario> }
): Effect.Effect<ReadonlyArray<JavaObservation>, RigError> =>
  runProgram<JavaObservation>("JavaScenarios", options, { scenarios: options.scenarios })

/** What a bench run of the Java producer measured; latencies from the call to the acknowledgement. */
export interface JavaBenchResult {
  readonly messagesPerSecond: number
  readonly seconds: number
  /** CPU time of the whole JVM over the measured part. */
  readonly cpuSeconds: number
  readonly p50Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
  readonly failed: number
  readonly firstFailure?: string
  readonly rssBytes: number
  /** From producer.start() to the first acknowledgement. */
  readonly startToFirstAckMillis: number
  /** From the start of the JVM to the first acknowledgement. */
  readonly jvmStartToFirstAckMillis: number
}

/** Measures DefaultMQProducer; bodies are random, nothing is compressed. */
export const bench = (
  options: JavaClientOptions & {
    readonly topic: string
    /** "async" sends with a callback and at most `inFlight` unanswered; "sync" sends one after the other. */
    readonly mode: "async" | "sync"
    readonly inFlight?: number
    readonly bodySize: number
    readonly warmUp: number
    readonly count: number
    readonly sendTimeoutMillis?: number
    readonly jvmOptions?: ReadonlyArray<string>
  }
): Effect.Effect<JavaBenchResult, RigError> =>
  runProgram<JavaBenchResult>(
    "JavaBench",
    options,
    {
      topic: options.topic,
      mode: options.mode,
      inFlight: options.inFlight ?? 1,
      bodySize: options.bodySize,
      warmUp: options.warmUp,
      count: options.count,
      sendTimeoutMillis: options.sendTimeoutMillis ?? 10_000
    },
    options.jvmOptions ?? ["-Xmx512m"]
  ).pipe(
    Effect.flatMap(([result]) =>
      result === undefined
        ? Effect.fail(new RigError({ operation: "run JavaBench", detail: "it printed no result", output: "" }))
        : Effect.succeed(result)
    )
  )

/** What `mqadmin` printed. Mind that it exits with 0 also when a command failed; the output tells. */
export type MqadminResult = ProcessResult

/** Runs `mqadmin` with the given words, e.g. `["topicList", "-c"]`; the name servers are added as `-n`. */
export const mqadmin = (
  options: JavaClientOptions,
  args: ReadonlyArray<string>
): Effect.Effect<MqadminResult, RigError> =>
  runJava(options, "org.apache.rocketmq.tools.command.MQAdminStartup", toolJvm, () =>
    Effect.succeed([...args, "-n", options.namesrvAddr])
  )

/** The verbs that `mqadmin` has. */
export const mqadminVerbs = (options: JavaClientOptions): Effect.Effect<ReadonlyArray<string>, RigError> =>
  Effect.map(
    runJava(options, "org.apache.rocketmq.tools.command.MQAdminStartup", toolJvm, () => Effect.succeed([])),
    ({ stdout }) => stdout.split("\n").flatMap((line) => /^ {3}(\w+)/.exec(line)?.[1] ?? [])
  )

const toolJvm = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

/** Runs a program of `java/` with a request file and reads its JSON lines; another exit than 0 is a failure. */
export const runProgram = <Line>(
  program: string,
  options: JavaClientOptions,
  request: Readonly<Record<string, unknown>>,
  jvmOptions: ReadonlyArray<string> = toolJvm
): Effect.Effect<ReadonlyArray<Line>, RigError> =>
  runJava(options, program, jvmOptions, (folder) => {
    const file = Path.join(folder, "request.json")
    const text = JSON.stringify({
      namesrvAddr: options.namesrvAddr,
      timeoutMillis: options.timeoutMillis ?? defaultTimeoutMillis,
      ...options.credentials,
      namespace: options.namespace,
      ...request
    })
    return Effect.as(
      Effect.promise(() => Fs.writeFile(file, text)),
      [file]
    )
  }).pipe(
    Effect.flatMap((result) =>
      result.exitCode === 0
        ? Effect.succeed(
            result.stdout
              .split("\n")
              .filter((line) => line !== "")
              .map((line): Line => JSON.parse(line))
          )
        : Effect.fail(
            new RigError({
              operation: `run ${program} against ${options.namesrvAddr}`,
              detail: `it ended with ${result.exitCode ?? result.signal}`,
              output: tail(result.stderr)
            })
          )
    )
  )

const defaultTimeoutMillis = 60_000

/** Where `mqadmin` looks for credentials. */
const writeTools = (folder: string, credentials: NonNullable<JavaClientOptions["credentials"]>): Effect.Effect<void> =>
  Effect.promise(() =>
    Fs.writeFile(
      Path.join(folder, "conf", "tools.yml"),
      `accessKey: ${credentials.accessKey}\nsecretKey: ${credentials.secretKey}\n`
    )
  )

const runJava = (
  options: JavaClientOptions,
  mainClass: string,
  jvmOptions: ReadonlyArray<string>,
  args: (folder: string) => Effect.Effect<ReadonlyArray<string>>
): Effect.Effect<ProcessResult, RigError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const path = yield* classPath(options.version ?? "5.5.0")
      const folder = yield* temporaryFolder("effect-rocketmq-java-", tmpdir())
      yield* writeConfiguration(folder)
      if (options.credentials !== undefined) yield* writeTools(folder, options.credentials)
      const words = yield* args(folder)
      const operation = `run ${mainClass} against ${options.namesrvAddr}`
      const timeoutMillis = options.timeoutMillis ?? defaultTimeoutMillis
      return yield* run(
        operation,
        javaTool("java"),
        [
          ...folderOptions(folder),
          ...jvmOptions,
          ...(options.tls === true ? ["-Dtls.enable=true"] : []),
          "-cp",
          path,
          "Attached",
          mainClass,
          ...words
        ],
        { folder, timeoutMillis }
      )
    })
  )
