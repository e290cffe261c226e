import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Logger, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as AdminConfig from "../../../src/admin/AdminConfig.ts"
import type { InvalidConfig } from "../../../src/client/ClientError.ts"
import { parseNamesrvAddr } from "../../../src/client/NameServerAddresses.ts"
import { kebabCase } from "../../../src/client/options/ConfigNames.ts"
import { Problem } from "../../../src/client/options/Option.ts"
import { entry, readText, time } from "../../../src/client/options/OptionKinds.ts"
import * as ProducerConfig from "../../../src/producer/ProducerConfig.ts"

const reading = (provider: ConfigProvider.ConfigProvider) =>
  Effect.provideService(ProducerConfig.fromConfig(), ConfigProvider.ConfigProvider, provider)

const group = { ROCKETMQ_PRODUCER_GROUP: "pg" }

const fromEnvironment = (env: Readonly<Record<string, string>>) =>
  reading(ConfigProvider.fromEnvRecord({ ...group, ...env }))

const fromFile = (rocketmq: Readonly<Record<string, unknown>>, producer: Readonly<Record<string, unknown>> = {}) =>
  reading(ConfigProvider.fromUnknown({ rocketmq: { ...rocketmq, producer: { group: "pg", ...producer } } }))

const problemsOf = <A, R>(self: Effect.Effect<A, InvalidConfig, R>) =>
  Effect.map(Effect.flip(self), ({ problems }) => problems.map(({ path, problem }) => `${path}: ${problem}`))

describe("names of options in a Config", () => {
  it("turn into words and back", () => {
    for (const [camel, kebab] of [
      ["sendMsgTimeout", "send-msg-timeout"],
      ["retryAnotherBrokerWhenNotStoreOK", "retry-another-broker-when-not-store-ok"],
      ["clientIP", "client-ip"],
      ["useTLS", "use-tls"],
      ["namespaceV2", "namespace-v2"],
      ["send-msg-timeout", "send-msg-timeout"],
      ["rocketmq.producer.tls.caFile", "rocketmq.producer.tls.ca-file"]
    ] as const) {
      assert.strictEqual(kebabCase(camel), kebab)
    }
  })

  it.effect("are both words of an option that has two, in every spelling", () =>
    Effect.gen(function* () {
      for (const [name, value] of [
        ["ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT", "sendMsgTimeout"],
        ["ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT", "sendMsgTimeout"],
        ["ROCKETMQ_PRODUCER_COMPRESS_MESSAGE_BODY_THRESHOLD", "compressMsgBodyOverHowmuch"],
        ["ROCKETMQ_PRODUCER_COMPRESS_MSG_BODY_OVER_HOWMUCH", "compressMsgBodyOverHowmuch"],
        ["ROCKETMQ_PRODUCER_START_TIMEOUT_MILLIS", "startTimeoutMillis"],
        ["ROCKETMQ_PRODUCER_CLIENT_ASYNC_SEMAPHORE_VALUE", "remoting"],
        ["ROCKETMQ_REMOTING_MAX_IN_FLIGHT_REQUESTS", "remoting"]
      ] as const) {
        assert.property(yield* fromEnvironment({ [name]: "5000" }), value, name)
      }
      for (const [word, option, value] of [
        ["sendMessageTimeout", "sendMsgTimeout", 5_000],
        ["send-message-timeout", "sendMsgTimeout", 5_000],
        ["sendMsgTimeout", "sendMsgTimeout", 5_000],
        ["send-msg-timeout", "sendMsgTimeout", 5_000],
        ["retryNextServer", "retryAnotherBrokerWhenNotStoreOK", true],
        ["retryAnotherBrokerWhenNotStoreOK", "retryAnotherBrokerWhenNotStoreOK", true],
        ["clientIP", "clientIP", "10.0.0.9"],
        ["client-ip", "clientIP", "10.0.0.9"],
        ["traceTopic", "traceTopic", "traces"],
        ["enableTrace", "enableTrace", true]
      ] as const) {
        const options = yield* fromFile({}, { [word]: value })
        assert.deepStrictEqual(Reflect.get(options, option), value, word)
      }
      const shaped = { tls: { insecure: true }, remoting: { connectTimeoutMillis: "2 seconds" }, namespaceV2: "v2" }
      const options = yield* fromFile({}, shaped)
      assert.deepInclude(options, {
        namespaceV2: "v2",
        tls: { insecure: true },
        remoting: { connectTimeoutMillis: 2_000 }
      })
    })
  )

  it.effect("that mean the same may not differ, and may say the same in other words", () =>
    Effect.gen(function* () {
      const both = { ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "3000", ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT: "3 seconds" }
      assert.strictEqual((yield* fromEnvironment(both)).sendMsgTimeout, 3_000)
      assert.deepStrictEqual(
        yield* problemsOf(fromEnvironment({ ...both, ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT: "4s" })),
        [
          "ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: is another value than ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT has, which means the same; keep one of them"
        ]
      )
      const twice = yield* problemsOf(fromFile({}, { sendMessageTimeout: 1, sendMsgTimeout: 2, "send-msg-timeout": 1 }))
      assert.deepStrictEqual(twice, [
        "rocketmq.producer.sendMessageTimeout: is another value than rocketmq.producer.sendMsgTimeout has, which means the same; keep one of them"
      ])
      const secrets = yield* problemsOf(
        fromEnvironment({
          ROCKETMQ_ACCESS_KEY: "u",
          ROCKETMQ_SECRET_KEY: "hush-1",
          ROCKETMQ_CREDENTIALS_SECRET_KEY: "hush-2"
        })
      )
      assert.lengthOf(secrets, 1)
      assert.notInclude(secrets.join(), "hush")
      // Each that cannot be used is told by its own name, and is no other value.
      assert.deepStrictEqual(
        (yield* problemsOf(
          fromEnvironment({ ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "x", ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT: "y" })
        )).map((problem) => problem.replace(/:.*/, "")),
        ["ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT", "ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT"]
      )
    })
  )

  it.effect("of a client go before those of all, and the environment before a file", () =>
    Effect.gen(function* () {
      const file = ConfigProvider.fromUnknown({
        rocketmq: { "name-server": "f:1", producer: { group: "pg", sendMsgTimeout: 1, "name-server": "own:1" } }
      })
      const environment = ConfigProvider.fromEnvRecord({ ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "2" })
      const options = yield* reading(ConfigProvider.orElse(environment, file))
      assert.deepInclude(options, { sendMsgTimeout: 2, namesrvAddr: "own:1" })
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "rocketmq-names-"))
      const pem = Path.join(folder, "ca.pem")
      Fs.writeFileSync(pem, "from the file")
      const tls = yield* Effect.result(
        fromEnvironment({ ROCKETMQ_PRODUCER_TLS_CA_FILE: pem, ROCKETMQ_TLS_CA: "of all", ROCKETMQ_TLS_INSECURE: "yes" })
      )
      const differ = yield* problemsOf(fromEnvironment({ ROCKETMQ_TLS_CA_FILE: pem, ROCKETMQ_TLS_CA: "another" }))
      Fs.rmSync(folder, { recursive: true })
      // The client's own file is read, and is no certificate.
      assert.match(tls._tag === "Failure" ? tls.failure.message : "", /ROCKETMQ_PRODUCER_TLS_CA_FILE \(tls\)/)
      assert.match(differ[0] ?? "", /^ROCKETMQ_TLS_CA: is another value than ROCKETMQ_TLS_CA_FILE has/)
    })
  )

  it.effect("may have a list where the option is one, and only there", () =>
    Effect.gen(function* () {
      const servers = ["a:9876", " b:9876 ", "", "c:9876"]
      const { namesrvAddr, topics } = yield* fromFile({ "name-server": servers }, { topics: ["x", "y"] })
      assert.deepStrictEqual(parseNamesrvAddr(namesrvAddr ?? "").addresses, ["a:9876", "b:9876", "c:9876"])
      assert.deepStrictEqual(topics, ["x", "y"])
      const indexed = yield* fromEnvironment({ ROCKETMQ_NAME_SERVER_0: "a:1", ROCKETMQ_NAME_SERVER_1: "b:1" })
      assert.deepStrictEqual(indexed.namesrvAddr, ["a:1", "b:1"])
      assert.deepStrictEqual(
        yield* problemsOf(fromFile({ nameServer: ["a:1", "nonsense"], instanceName: ["a", "b"] })),
        [
          "rocketmq.instanceName: must be one value, is a list",
          'rocketmq.nameServer (namesrvAddr[1]): "nonsense" is no address (the port is missing): write it as host:port or [ipv6]:port'
        ]
      )
    })
  )
})

describe("times in a Config", () => {
  it.effect("are written as people write them, or in the unit of the option's word", () =>
    Effect.gen(function* () {
      for (const [text, millis] of [
        ["3000", 3_000],
        ["3_000", 3_000],
        ["3 seconds", 3_000],
        ["3 SECONDS", 3_000],
        ["3s", 3_000],
        ["1.5 s", 1_500],
        ["2 min", 120_000],
        ["2m", 120_000],
        ["1h", 3_600_000],
        ["1 d", 86_400_000],
        ["250ms", 250],
        ["1 week", 604_800_000]
      ] as const) {
        assert.strictEqual(
          (yield* fromEnvironment({ ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT: text })).sendMsgTimeout,
          millis
        )
      }
      for (const text of ["soon", "3 parsecs", "s", "", "-1", "-3 seconds", "Infinity", "NaN", "0"]) {
        const result = yield* Effect.result(fromEnvironment({ ROCKETMQ_PRODUCER_SEND_MSG_TIMEOUT: text }))
        assert.strictEqual(result._tag, text === "" ? "Success" : "Failure", text)
      }
      const minutes = time({ name: "consume-timeout", java: "the same", default: 900_000, least: 1, unit: 60_000 })
      const [own = entry({ java: "none" }, readText)] = minutes.entries
      assert.strictEqual(own.printed, "15 minutes")
      assert.strictEqual(yield* own.read({ name: "N", text: "2", items: undefined }), 120_000)
      assert.strictEqual(yield* own.read({ name: "N", text: "2 seconds", items: undefined }), 2_000)
      assert.strictEqual(
        minutes.check(2, () => {}),
        120_000
      )
      assert.strictEqual(
        minutes.check("2 seconds", () => {}),
        2_000
      )
      // What was read is checked once more as if it had been given, and must not be counted twice.
      const given = yield* minutes.read((one) =>
        Effect.map(one.read({ name: "N", text: "2", items: undefined }), (value) =>
          value instanceof Problem ? undefined : value
        )
      )
      assert.strictEqual(
        minutes.check(given, () => {}),
        120_000
      )
    })
  )
})

/** The warnings of a reading, and what it gave. */
const warned = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const warnings: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      if (logLevel === "Warn") warnings.push([message].flat().join(" "))
    })
    const exit = yield* Effect.exit(Effect.provide(self, Logger.layer([logger])))
    return { exit, warnings }
  })

describe("names that nobody reads", () => {
  it.effect("are warned of once, with the name that was meant, and nothing fails", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.fromEnvRecord({
        ...group,
        ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMOUT: "1000",
        ROCKETMQ_NAMESERVER: "a:1",
        ROCKETMQ_PRODUCER_QQQQQQQQQQQQQQQQQQQQQQ: "1",
        // Not ours to judge.
        ROCKETMQ_HOME: "/opt/rocketmq",
        ROCKETMQ_CONSUMER_GROUP: "cg",
        ROCKETMQ_PULL_CONSUMER_GROUP: "cg",
        ROCKETMQ_ADMIN_TIMEOUT: "5s",
        ROCKETMQ_PRODUCER_CHECK_TIMEOUT: "5s",
        ROCKETMQ_NAMESRV_PORT: "tcp://10.0.0.1:9876",
        ROCKETMQ_NAMESRV_PORT_9876_TCP_ADDR: "10.0.0.1",
        ROCKETMQ_BROKER_SERVICE_HOST: "10.0.0.1",
        ROCKETMQ_BROKER_SERVICE_PORT_MAIN: "10911",
        OTHER: "x"
      })
      const first = yield* warned(reading(provider))
      assert.strictEqual(first.exit._tag, "Success")
      assert.deepStrictEqual(first.warnings.toSorted(), [
        "ROCKETMQ_NAMESERVER is set and read by nobody; did you mean ROCKETMQ_NAME_SERVER?",
        "ROCKETMQ_PRODUCER_QQQQQQQQQQQQQQQQQQQQQQ is set and read by nobody; docs/configuration.md has the names that are",
        "ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMOUT is set and read by nobody; did you mean ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT?"
      ])
      assert.deepStrictEqual((yield* warned(reading(provider))).warnings, [])
      // Another kind of client judges its own names, once more none of the common ones.
      const asAdmin = AdminConfig.reader
        .readConfig()
        .pipe(Effect.provideService(ConfigProvider.ConfigProvider, provider))
      assert.deepStrictEqual((yield* warned(asAdmin)).warnings, [])
    })
  )

  it.effect("of a file are found in any depth and spelling", () =>
    Effect.gen(function* () {
      const { exit, warnings } = yield* warned(
        fromFile(
          { accessChannel: "LOCAL", "name-server": ["a:1"], pullConsumer: { group: "x" }, tls: { ca_file: "x" } },
          { sendMsgTimeuot: 3, retryTimesWhenSendAsyncFailed: 2, topics: ["a"], group2: { deep: { down: 1 } } }
        )
      )
      assert.strictEqual(exit._tag, "Success")
      const names = warnings.map((warning) => warning.replace(/ is set.*nobody; /, " ")).toSorted()
      assert.deepStrictEqual(names, [
        "rocketmq.accessChannel docs/configuration.md has the names that are",
        "rocketmq.producer.group2.deep.down docs/configuration.md has the names that are",
        "rocketmq.producer.retryTimesWhenSendAsyncFailed did you mean rocketmq.producer.retryTimesWhenSendFailed?",
        "rocketmq.producer.sendMsgTimeuot did you mean rocketmq.producer.sendMsgTimeout?",
        "rocketmq.tls.ca_file did you mean rocketmq.tls-ca-file?"
      ])
    })
  )

  it.effect("are bounded in number and length, and shown clean", () =>
    Effect.gen(function* () {
      const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`ROCKETMQ_ZZZ${index}`, "1"]))
      const odd = { [`ROCKETMQ_PRODUCER_\u001b[31mRED${"X".repeat(5_000)}`]: "1" }
      const { warnings } = yield* warned(fromEnvironment({ ...many, ...odd }))
      assert.isAtMost(warnings.length, 9)
      assert.match(warnings.at(-1) ?? "", /^49\d more names/)
      for (const warning of warnings) {
        assert.isAtMost(warning.length, 300)
        assert.notMatch(warning, /\p{Cc}/u)
      }
    })
  )

  it.effect("are no reason to fail where a source cannot list what it has", () =>
    Effect.gen(function* () {
      const closed = ConfigProvider.make((path) =>
        path.join("_") === "ROCKETMQ_PRODUCER_GROUP"
          ? Effect.succeed(ConfigProvider.makeValue("pg"))
          : path.length === 1 && /^rocketmq$/i.test(String(path[0]))
            ? Effect.fail(new ConfigProvider.SourceError({ message: "not listed" }))
            : Effect.succeed(undefined)
      )
      const { exit, warnings } = yield* warned(reading(closed))
      assert.deepStrictEqual([exit._tag, warnings], ["Success", []])
    })
  )
})

describe("a secret", () => {
  it.effect("stays one, whichever of its names has it", () =>
    Effect.gen(function* () {
      const { credentials } = yield* fromEnvironment({
        ROCKETMQ_CREDENTIALS_ACCESS_KEY: "user",
        ROCKETMQ_SECRET_KEY: "  hush  "
      })
      assert.isTrue(
        credentials !== undefined && "secretKey" in credentials && Redacted.isRedacted(credentials.secretKey)
      )
      assert.notInclude(JSON.stringify(credentials), "hush")
      if (credentials === undefined || !("secretKey" in credentials)) return
      assert.strictEqual(Redacted.value(credentials.secretKey), "hush")
    })
  )
})
