import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { promisify } from "node:util"
import { EmbeddedCluster, TcpWire } from "../src/testing/index.ts"
import { cli } from "./cli/support.ts"

/**
 * Keeps README and docs true: every code block compiles against the sources, every link points at something, every command
 * and every example runs.
 */

const root = Path.join(import.meta.dirname, "..")
const docs = Path.join(root, "docs")
const examples = Path.join(docs, "examples")
const run = promisify(execFile)

const pages = [
  "README.md",
  ...Fs.readdirSync(docs)
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`)
]

const blocks = pages.flatMap((page) =>
  [...Fs.readFileSync(Path.join(root, page), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match, index) => ({
    name: `${page.replace(/\W+/g, "-")}-${index}.ts`,
    text: match[1] ?? ""
  }))
)

/** What Java's DefaultMQPushConsumer of 5.5.0 can be told and asked: its public methods, without set, get and is. */
const pushConsumerWords =
  "adjustThreadPoolNumsThreshold allocateMessageQueueStrategy awaitTerminationMillisWhenShutdown clientRebalance consumeConcurrentlyMaxSpan consumeFromWhere consumeMessageBatchMaxSize consumeOrderly consumeThreadMax consumeThreadMin consumeTimeout consumeTimestamp consumerGroup createTopic defaultMQPushConsumerImpl earliestMsgStoreTime fetchSubscribeMessageQueues maxOffset maxReconsumeTimes messageListener messageModel messageQueueListener minOffset offsetStore pause popBatchNums popInvisibleTime popThresholdForQueue postSubscriptionWhenPull pullBatchSize pullBatchSizeInBytes pullInterval pullThresholdForQueue pullThresholdForTopic pullThresholdSizeForQueue pullThresholdSizeForTopic queryMessage registerConsumeMessageHook registerMessageListener resume searchOffset sendMessageBack shutdown start subscribe subscription suspend suspendCurrentQueueTimeMillis traceDispatcher unitMode unsubscribe updateCorePoolSize useTLS viewMessage"

/** The same of its DefaultLitePullConsumer. */
const litePullWords =
  "allocateMessageQueueStrategy assign assignment autoCommit autoCommitIntervalMillis brokerSuspendMaxTimeMillis commit commitSync committed connectBrokerByUser consumeFromWhere consumeMaxSpan consumeTimestamp consumerGroup consumerPullTimeoutMillis consumerTimeoutMillisWhenSuspend customizedTraceTopic defaultBrokerId enableMsgTrace fetchMessageQueues isRunning messageModel messageQueueListener offsetForTimestamp offsetStore pause poll pollTimeoutMillis pullBatchSize pullThreadNums pullThresholdForAll pullThresholdForQueue pullThresholdSizeForQueue registerTopicMessageQueueChangeListener resume seek seekToBegin seekToEnd setSubExpressionForAssign shutdown start subscribe topicMetadataCheckIntervalMillis traceDispatcher unitMode unsubscribe updateNameServerAddress"

describe("docs", () => {
  it("java-names.md or configuration.md has every word of Java's DefaultMQPushConsumer", () => {
    const text = ["java-names.md", "configuration.md"]
      .map((page) => Fs.readFileSync(Path.join(docs, page), "utf8").toLowerCase())
      .join()
    const missing = pushConsumerWords.split(" ").filter((word) => !text.includes(word.toLowerCase()))
    assert.deepStrictEqual(missing, [])
  })

  it("java-names.md has every word of Java's DefaultLitePullConsumer", () => {
    const page = Fs.readFileSync(Path.join(docs, "java-names.md"), "utf8")
    const text = page.slice(page.indexOf("## Lite pull consumers")).toLowerCase()
    const missing = litePullWords.split(" ").filter((word) => !text.includes(word.toLowerCase()))
    assert.deepStrictEqual(missing, [])
  })

  it("every code block compiles", { timeout: 120_000 }, async () => {
    assert.isAbove(blocks.length, 1)
    const folder = Fs.mkdtempSync(Path.join(root, "node_modules", ".docs-"))
    try {
      for (const { name, text } of blocks) Fs.writeFileSync(Path.join(folder, name), text)
      // The package refers to itself by name, through the source condition of tsconfig.json.
      Fs.writeFileSync(
        Path.join(folder, "tsconfig.json"),
        JSON.stringify({
          extends: "../../tsconfig.json",
          compilerOptions: {
            paths: {
              "effect-rocketmq": ["../../src/index.ts"],
              "effect-rocketmq/testing": ["../../src/testing/index.ts"],
              "effect-rocketmq/promise": ["../../src/promise/index.ts"],
              "effect-rocketmq/protocol": ["../../src/protocol/index.ts"]
            }
          },
          include: ["*.ts"],
          exclude: []
        })
      )
      const tsc = Path.join(root, "node_modules", "typescript", "bin", "tsc")
      const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch(
        (error: { readonly stdout: string; readonly stderr: string }) => ({ stdout: error.stdout + error.stderr })
      )
      assert.strictEqual(stdout, "")
    } finally {
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  })

  it("every link inside the project points at something", () => {
    const broken = pages.flatMap((page) =>
      [...Fs.readFileSync(Path.join(root, page), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map((match) => Path.join(Path.dirname(Path.join(root, page)), match[1] ?? ""))
        .filter((target) => !Fs.existsSync(target))
        .map((target) => `${page} -> ${Path.relative(root, target)}`)
    )
    assert.deepStrictEqual(broken, [])
  })

  it.live(
    "every command of this package that stands in a block runs as it is written",
    () =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const program = /^(?:npx effect-rocketmq|npm run --silent cli --) (.*?)(?: +# .*)?$/
        let count = 0
        for (const page of pages) {
          const text = Fs.readFileSync(Path.join(root, page), "utf8")
          for (const [, block = ""] of text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
            for (const line of block.split("\n")) {
              const [, words] = program.exec(line) ?? []
              // It goes on until it is interrupted, and is the cluster that all others of its page are run against.
              if (words === undefined || words === "dev") continue
              const args = words.split(/ +/).map((word) => word.replace("127.0.0.1:9876", namesrvAddr))
              const { exitCode, talk } = yield* cli(args, { env: { NAMESRV_ADDR: namesrvAddr } })
              assert.strictEqual(exitCode, 0, `${page}: ${line}: ${talk.join("\n")}`)
              count++
            }
          }
        }
        assert.isAbove(count, 6)
      }).pipe(Effect.provide(EmbeddedCluster.layerTcp()), Effect.provide(TcpWire.layer)),
    60_000
  )

  it.live(
    "every flag of a command that stands in a block is the command's",
    () =>
      Effect.gen(function* () {
        let count = 0
        for (const page of pages) {
          const text = Fs.readFileSync(Path.join(root, page), "utf8")
          for (const [, block = ""] of text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
            const calls = /effect-rocketmq ((?:(?:topic|group|message|cluster|broker|dlq) )?[a-z]+)\b(.*)/g
            // What stands in quotes is somebody else's.
            for (const [, command = "", rest = ""] of block.replaceAll(/'[^']*'/g, "''").matchAll(calls)) {
              const { out } = yield* cli([...command.split(" "), "--help"])
              for (const [, flag = ""] of rest.matchAll(/ (-[a-z]|--[a-z-]+)(?= |$)/g)) {
                assert.match(out.join("\n"), new RegExp(`(^|[ ,])${flag}([ ,]|$)`, "m"), `${page}: ${command} ${flag}`)
                count++
              }
            }
          }
        }
        assert.isAbove(count, 10)
      }).pipe(Effect.provide(TcpWire.layer)),
    60_000
  )

  it.live(
    "every command of this package that stands in a sentence is there",
    () =>
      Effect.gen(function* () {
        const named = new Set<string>()
        for (const page of pages) {
          const text = Fs.readFileSync(Path.join(root, page), "utf8")
          const inline =
            /`(?:effect-rocketmq )?((?:topic|group|message|cluster|broker|dlq) [a-z]+|doctor|decode|peek)\b/g
          for (const [, command = ""] of text.matchAll(inline)) named.add(command)
        }
        assert.isAbove(named.size, 10)
        for (const command of named) {
          const { out } = yield* cli([...command.split(" "), "--help"])
          assert.include(out.join("\n"), `effect-rocketmq ${command}`, command)
        }
      }).pipe(Effect.provide(TcpWire.layer)),
    60_000
  )

  it("every npm script that the pages name is there", () => {
    const { scripts } = Schema.decodeUnknownSync(
      Schema.fromJsonString(Schema.Struct({ scripts: Schema.Record(Schema.String, Schema.String) }))
    )(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
    const named = pages.flatMap((page) =>
      [...Fs.readFileSync(Path.join(root, page), "utf8").matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(
        (m) => m[1] ?? ""
      )
    )
    assert.deepStrictEqual(
      [...new Set(named)].filter((name) => scripts[name] === undefined),
      []
    )
  })

  for (const example of Fs.readdirSync(examples).filter((name) => name.endsWith(".ts"))) {
    it(`examples/${example} runs`, { timeout: 60_000 }, async () => {
      const { stdout } = await run(
        process.execPath,
        ["--conditions=@effect-rocketmq/source", Path.join(examples, example)],
        { cwd: root, timeout: 50_000, env: { ...process.env, NO_COLOR: "1" } }
      )
      assert.match(stdout, /\S/)
    })
  }
})
