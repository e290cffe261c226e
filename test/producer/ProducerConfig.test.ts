import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { InvalidConfig } from "../../src/client/ClientError.ts"
import { defaults, fromConfig, names as configNames } from "../../src/producer/ProducerConfig.ts"
import { table } from "../../src/producer/ProducerOptions.ts"
import { fromConfig as transactionFromConfig } from "../../src/producer/TransactionConfig.ts"

/** Options of which nothing stands in a `Config`. */
const inCodeOnly = new Set(
  Object.entries(table).flatMap(([key, { entries }]) => (entries.every(({ words }) => words.length === 0) ? [key] : []))
)

type Given = Parameters<typeof fromConfig>[0]

/** Reads the options out of environment variables. */
const fromEnvironment = (env: Record<string, string>, given?: Given) =>
  fromConfig(given).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)))

/** Reads the options out of a file's content, as `ConfigProvider.fromUnknown` takes it. */
const fromFile = (root: unknown, given?: Given) =>
  fromConfig(given).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(root)))

const problemsOf = <A, R>(self: Effect.Effect<A, InvalidConfig, R>) =>
  Effect.map(Effect.flip(self), ({ problems }) => problems.map(({ path, problem }) => `${path}: ${problem}`))

const group = { ROCKETMQ_PRODUCER_GROUP: "pg" }

const withVariables = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord({ ...group, ...env }))

const addresses = (env: Record<string, string>) =>
  Effect.map(fromEnvironment({ ...group, ...env }), ({ namesrvAddr }) => namesrvAddr)

describe("options from Config", () => {
  it("have a name each, and a row in docs/configuration.md", () => {
    const named = new Set(configNames.map(({ option }) => option.replace(/\..*/, "")))
    const missing = Object.keys(defaults).filter((key) => !named.has(key) && !inCodeOnly.has(key))
    assert.deepStrictEqual(missing, [])
    const page = Fs.readFileSync(Path.join(import.meta.dirname, "..", "..", "docs", "configuration.md"), "utf8")
    const undocumented = configNames.filter(
      ({ names, option }) =>
        !page
          .split("\n")
          .some((line) => line.startsWith("|") && [option, names[0]].every((word) => line.includes(`\`${word}\``)))
    )
    assert.deepStrictEqual(undocumented, [])
    const codeOnly = Object.keys(defaults).filter((key) => inCodeOnly.has(key) && !page.includes(`\`${key}\``))
    assert.deepStrictEqual(codeOnly, [])
    const all = configNames.flatMap(({ environment }) => environment)
    assert.strictEqual(new Set(all).size, all.length)
  })

  it.effect("take the words of rocketmq-spring, as variables and as a file", () =>
    Effect.gen(function* () {
      const expected = {
        namesrvAddr: "10.0.0.1:9876;10.0.0.2:9876",
        producerGroup: "orders-pg",
        sendMsgTimeout: 5_000,
        compressMsgBodyOverHowmuch: 8_192,
        retryTimesWhenSendFailed: 1,
        retryAnotherBrokerWhenNotStoreOK: true,
        maxMessageSize: 1_048_576,
        enableTrace: true,
        traceTopic: "my-traces",
        namespace: "ns",
        topics: ["a", "b"]
      }
      const variables = yield* fromEnvironment({
        ROCKETMQ_NAME_SERVER: "10.0.0.1:9876;10.0.0.2:9876",
        ROCKETMQ_PRODUCER_GROUP: "orders-pg",
        ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "5000",
        ROCKETMQ_PRODUCER_COMPRESS_MESSAGE_BODY_THRESHOLD: "8192",
        ROCKETMQ_PRODUCER_RETRY_TIMES_WHEN_SEND_FAILED: "1",
        ROCKETMQ_PRODUCER_RETRY_NEXT_SERVER: "true",
        ROCKETMQ_PRODUCER_MAX_MESSAGE_SIZE: "1_048_576",
        ROCKETMQ_PRODUCER_ENABLE_MSG_TRACE: "yes",
        ROCKETMQ_PRODUCER_CUSTOMIZED_TRACE_TOPIC: "my-traces",
        ROCKETMQ_PRODUCER_NAMESPACE: "ns",
        ROCKETMQ_PRODUCER_TOPICS: "a, b"
      })
      assert.deepStrictEqual(variables, expected)
      const kebab = yield* fromFile({
        rocketmq: {
          "name-server": "10.0.0.1:9876;10.0.0.2:9876",
          namespace: "ns",
          producer: {
            group: "orders-pg",
            "send-message-timeout": 5_000,
            "compress-message-body-threshold": 8_192,
            "retry-times-when-send-failed": 1,
            "retry-next-server": true,
            "max-message-size": 1_048_576,
            "enable-msg-trace": true,
            "customized-trace-topic": "my-traces",
            topics: ["a", "b"]
          }
        }
      })
      assert.deepStrictEqual(kebab, expected)
      const camel = yield* fromFile({
        rocketmq: { nameServer: "h:9876", producer: { group: "pg", sendMessageTimeout: "3 seconds" } }
      })
      assert.deepStrictEqual(camel, { namesrvAddr: "h:9876", producerGroup: "pg", sendMsgTimeout: 3_000 })
    })
  )

  it.effect("take NAMESRV_ADDR last, and skip what is empty", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* addresses({ NAMESRV_ADDR: "a:1" }), "a:1")
      assert.strictEqual(yield* addresses({ NAMESRV_ADDR: "a:1", ROCKETMQ_NAMESRV_ADDR: "b:1" }), "b:1")
      assert.strictEqual(yield* addresses({ NAMESRV_ADDR: "a:1", ROCKETMQ_NAME_SERVER: "c:1" }), "c:1")
      assert.strictEqual(yield* addresses({ NAMESRV_ADDR: "a:1", ROCKETMQ_NAME_SERVER: "" }), "a:1")
      assert.isUndefined(yield* addresses({}))
    })
  )

  it.effect("prefer the producer's own name to the one of all clients", () =>
    Effect.gen(function* () {
      const both = yield* fromEnvironment({
        ...group,
        ROCKETMQ_INSTANCE_NAME: "shared",
        ROCKETMQ_PRODUCER_INSTANCE_NAME: "own"
      })
      assert.strictEqual(both.instanceName, "own")
    })
  )

  it.effect("read credentials, TLS and the remoting client's part", () =>
    Effect.gen(function* () {
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "rocketmq-config-"))
      const ca = Path.join(folder, "ca.pem")
      Fs.writeFileSync(ca, "-----BEGIN CERTIFICATE-----\n")
      const problems = yield* problemsOf(
        fromEnvironment({
          ...group,
          ROCKETMQ_ACCESS_KEY: "user",
          ROCKETMQ_SECRET_KEY: "hush-hush",
          ROCKETMQ_TLS_ENABLE: "true",
          ROCKETMQ_TLS_CA_FILE: ca,
          ROCKETMQ_TLS_KEY_FILE: Path.join(folder, "nothing.pem")
        })
      )
      Fs.rmSync(folder, { recursive: true })
      assert.match(problems[0] ?? "", /^ROCKETMQ_TLS_KEY_FILE: names a file that cannot be used: ENOENT/)
      assert.notInclude(problems.join(), "hush")

      const options = yield* fromEnvironment({
        ...group,
        ROCKETMQ_ACCESS_KEY: "user",
        ROCKETMQ_SECRET_KEY: "hush-hush",
        ROCKETMQ_PRODUCER_SECURITY_TOKEN: "token-hush",
        ROCKETMQ_TLS_SERVERNAME: "broker.internal",
        ROCKETMQ_TLS_INSECURE: "false",
        ROCKETMQ_CONNECT_TIMEOUT: "2s",
        ROCKETMQ_RECONNECT_BACKOFF_MAX: "10s",
        ROCKETMQ_SERIALIZE_TYPE: "rocketmq"
      })
      const { credentials } = options
      assert.isTrue(credentials !== undefined && "accessKey" in credentials)
      if (credentials === undefined || "get" in credentials) return
      assert.strictEqual(credentials.accessKey, "user")
      assert.strictEqual(Redacted.value(credentials.secretKey), "hush-hush")
      assert.strictEqual(Redacted.value(credentials.securityToken ?? Redacted.make("")), "token-hush")
      assert.notInclude(JSON.stringify(options), "hush")
      assert.deepInclude(options.tls, { servername: "broker.internal", insecure: false })
      assert.deepStrictEqual(options.remoting, {
        connectTimeoutMillis: 2_000,
        reconnectBackoffMillis: { initial: 100, max: 10_000 },
        serializeType: "ROCKETMQ"
      })
      // Nothing about TLS but a plain no.
      assert.isUndefined((yield* fromEnvironment({ ...group, ROCKETMQ_PRODUCER_TLS_ENABLE: "false" })).tls)
      assert.isDefined((yield* fromEnvironment({ ...group, ROCKETMQ_PRODUCER_TLS_ENABLE: "true" })).tls)
    })
  )

  it.effect("are told all at once when they cannot be used, by the names that the user gave", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf(
        fromEnvironment({
          ROCKETMQ_PRODUCER_GROUP: "not good",
          ROCKETMQ_NAME_SERVER: "10.0.0.1:9876;nonsense",
          ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "soon",
          ROCKETMQ_PRODUCER_RETRY_TIMES_WHEN_SEND_FAILED: "-1",
          ROCKETMQ_PRODUCER_RETRY_NEXT_SERVER: "perhaps",
          ROCKETMQ_PRODUCER_COMPRESS_TYPE: "zip",
          ROCKETMQ_PRODUCER_TOPICS: "fine,not fine",
          ROCKETMQ_MAX_IN_FLIGHT_REQUESTS: "0",
          ROCKETMQ_SECRET_KEY: "hush"
        })
      )
      assert.deepStrictEqual(problems.map((problem) => problem.replace(/:.*/, "")).toSorted(), [
        "ROCKETMQ_MAX_IN_FLIGHT_REQUESTS",
        "ROCKETMQ_NAME_SERVER (namesrvAddr[1])",
        "ROCKETMQ_PRODUCER_COMPRESS_TYPE",
        "ROCKETMQ_PRODUCER_GROUP (producerGroup)",
        "ROCKETMQ_PRODUCER_RETRY_NEXT_SERVER",
        "ROCKETMQ_PRODUCER_RETRY_TIMES_WHEN_SEND_FAILED (retryTimesWhenSendFailed)",
        "ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT",
        "ROCKETMQ_PRODUCER_TOPICS (topics[1])",
        "ROCKETMQ_SECRET_KEY (credentials)"
      ])
      assert.notInclude(problems.join(), "hush")
      assert.include(problems.join(), 'must be milliseconds or a duration such as "3 seconds", is "soon"')
      assert.deepStrictEqual(yield* problemsOf(fromEnvironment({})), [
        "producerGroup: is not set; ROCKETMQ_PRODUCER_GROUP or rocketmq.producer.group"
      ])
      const error = yield* Effect.flip(fromFile({ rocketmq: { producer: { group: "pg", sendMessageTimeout: "x" } } }))
      assert.instanceOf(error, InvalidConfig)
      assert.include(error.message, "rocketmq.producer.sendMessageTimeout: must be")
    })
  )

  it.effect("give way to what stands in code, as a value, as a Config each, or as one Config", () =>
    Effect.gen(function* () {
      const env = { ...group, ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "1000", MY_GROUP: "mine", MY_RETRIES: "many" }
      const given = yield* fromEnvironment(env, { producerGroup: Config.String("MY_GROUP"), sendMsgTimeout: 2_000 })
      assert.deepStrictEqual(given, { producerGroup: "mine", sendMsgTimeout: 2_000 })
      const one = yield* fromEnvironment(env, Config.all({ producerGroup: Config.String("MY_GROUP") }))
      assert.deepStrictEqual(one, { producerGroup: "mine", sendMsgTimeout: 1_000 })
      const problems = yield* problemsOf(
        fromEnvironment(env, {
          producerGroup: Config.String("NO_SUCH"),
          retryTimesWhenSendFailed: Config.Number("MY_RETRIES")
        })
      )
      assert.match(problems[0] ?? "", /^producerGroup: .*NO_SUCH/s)
      assert.match(problems[1] ?? "", /^retryTimesWhenSendFailed: .*MY_RETRIES/s)
      assert.strictEqual(problems.length, 2)
    })
  )

  it.effect("are those of a transactional producer too", () =>
    Effect.gen(function* () {
      const settings = yield* transactionFromConfig({ checkConcurrency: 2 }).pipe(
        withVariables({ ROCKETMQ_PRODUCER_CHECK_TIMEOUT: "5s", ROCKETMQ_PRODUCER_TOPICS: "orders" })
      )
      assert.deepStrictEqual(settings, {
        producerGroup: "pg",
        topics: ["orders"],
        checkConcurrency: 2,
        checkTimeoutMillis: 5_000
      })
      const problems = yield* problemsOf(
        transactionFromConfig().pipe(withVariables({ ROCKETMQ_PRODUCER_CHECK_CONCURRENCY: "0" }))
      )
      assert.deepStrictEqual(problems, ['ROCKETMQ_PRODUCER_CHECK_CONCURRENCY: must be a whole number above 0, is "0"'])
    })
  )

  it.effect("tell a source that cannot be read", () =>
    Effect.gen(function* () {
      const broken = ConfigProvider.make(() =>
        Effect.fail(new ConfigProvider.SourceError({ message: "the vault is closed" }))
      )
      const problems = yield* problemsOf(
        fromConfig({ producerGroup: "pg" }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, broken))
      )
      assert.match(problems[0] ?? "", /cannot be read: .*the vault is closed/)
    })
  )
})
