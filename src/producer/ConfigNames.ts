import { Config, ConfigProvider, Effect, Redacted } from "effect"
import { withDefaults } from "../client/ClientConfig.ts"
import { ConfigProblem, InvalidConfig } from "../client/ClientError.ts"
import type { Credentials } from "../client/SessionCredentials.ts"
import type { RemotingClientConfig } from "../transport/RemotingClient.ts"
import type { TlsOptions } from "../transport/Tls.ts"
import { checkGroup } from "../client/Names.ts"
import { RESERVED_PRODUCER_GROUPS } from "../message/MixAll.ts"
import * as Read from "../client/ConfigReader.ts"
import type { ConfigOption, Parse } from "../client/ConfigReader.ts"
import * as ProducerConfigs from "./ProducerConfig.ts"
import type { ProducerConfig, ProducerOptions } from "./ProducerConfig.ts"
import type { TransactionSettings } from "./TransactionConfig.ts"

/**
 * The names under which a producer's options stand in a `Config`: those of rocketmq-spring where it has the option, else
 * Java's or our own, in kebab-case, below `rocketmq.producer`. What belongs to the client instance may also stand below
 * `rocketmq`. In the environment, `rocketmq.producer.send-message-timeout` is `ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT`.
 *
 * Source: rocketmq-spring `RocketMQProperties`, RocketMQ `DefaultMQProducer`, `ClientConfig`.
 */

/** Options that are functions, and so stand in no `Config`. */
export const inCodeOnly: ReadonlySet<string> = new Set<InCodeOnly>(["allowAddress", "retryPolicy"])

type InCodeOnly = "allowAddress" | "retryPolicy"

/** How options are read: each is in it, or this does not compile. */
type Table<C> = { readonly [K in keyof C]-?: ConfigOption<C[K]> }

const producer = <A>(key: string, name: string, parse: Parse<A>) =>
  Read.option(key, [`rocketmq.producer.${name}`], parse)

const clientNames = (name: string) => [`rocketmq.producer.${name}`, `rocketmq.${name}`]

const client = <A>(key: string, name: string, parse: Parse<A>) => Read.option(key, clientNames(name), parse)

const clientFile = (key: string, name: string) => Read.file(key, clientNames(name))

const credentials: ConfigOption<Credentials> = Read.group(
  {
    accessKey: client("credentials.accessKey", "access-key", Read.text),
    secretKey: client("credentials.secretKey", "secret-key", Read.secret),
    securityToken: client("credentials.securityToken", "security-token", Read.secret)
  },
  // What is missing is left blank, which the check of the whole refuses.
  ({ accessKey = "", secretKey = Redacted.make(""), securityToken }) => ({ accessKey, secretKey, securityToken })
)

const tls: ConfigOption<TlsOptions> = Read.group(
  {
    enable: client("tls", "tls-enable", Read.boolean),
    ca: client("tls.ca", "tls-ca", Read.text),
    caFile: clientFile("tls.ca", "tls-ca-file"),
    cert: client("tls.cert", "tls-cert", Read.text),
    certFile: clientFile("tls.cert", "tls-cert-file"),
    key: client("tls.key", "tls-key", Read.secret),
    keyFile: clientFile("tls.key", "tls-key-file"),
    passphrase: client("tls.passphrase", "tls-passphrase", Read.secret),
    servername: client("tls.servername", "tls-servername", Read.text),
    insecure: client("tls.insecure", "tls-insecure", Read.boolean)
  },
  // Whoever names a certificate means TLS; only a plain "no" keeps it off.
  ({ ca, caFile, cert, certFile, enable = true, insecure, key, keyFile, passphrase, servername }) =>
    enable
      ? {
          ca: ca ?? caFile,
          cert: cert ?? certFile,
          key: key ?? (keyFile === undefined ? undefined : Redacted.make(keyFile)),
          passphrase,
          servername,
          insecure
        }
      : undefined
)

const remoting: ConfigOption<Partial<RemotingClientConfig>> = Read.group(
  {
    connectTimeoutMillis: client("remoting.connectTimeoutMillis", "connect-timeout", Read.millis),
    maxInFlightRequests: client("remoting.maxInFlightRequests", "max-in-flight-requests", Read.positive),
    maxInFlightBytes: client("remoting.maxInFlightBytes", "max-in-flight-bytes", Read.positive),
    idleTimeoutMillis: client("remoting.idleTimeoutMillis", "idle-timeout", Read.millis),
    maxFrameLength: client("remoting.maxFrameLength", "max-frame-length", Read.positive),
    silentTimeoutsBeforeClose: client(
      "remoting.silentTimeoutsBeforeClose",
      "silent-timeouts-before-close",
      Read.positive
    ),
    reconnectBackoffMillis: Read.group(
      {
        initial: client("remoting.reconnectBackoffMillis.initial", "reconnect-backoff-initial", Read.millis),
        max: client("remoting.reconnectBackoffMillis.max", "reconnect-backoff-max", Read.millis)
      },
      ({ initial = 100, max = 3_000 }) => ({ initial, max })
    ),
    language: client("remoting.language", "client-language", Read.text),
    version: client("remoting.version", "client-version", Read.number),
    serializeType: client("remoting.serializeType", "serialize-type", Read.oneOf("JSON", "ROCKETMQ"))
  },
  (values) => values
)

const table: Table<Omit<ProducerConfig, InCodeOnly>> = {
  producerGroup: producer("producerGroup", "group", Read.text),
  readiness: producer("readiness", "readiness", Read.oneOf("lazy", "nameServer", "routes", "registered")),
  topics: producer("topics", "topics", Read.list),
  startTimeoutMillis: producer("startTimeoutMillis", "start-timeout", Read.millis),
  sendMsgTimeout: producer("sendMsgTimeout", "send-message-timeout", Read.millis),
  sendMsgMaxTimeoutPerRequest: producer(
    "sendMsgMaxTimeoutPerRequest",
    "send-message-max-timeout-per-request",
    Read.millis
  ),
  retryTimesWhenSendFailed: producer("retryTimesWhenSendFailed", "retry-times-when-send-failed", Read.number),
  retryAnotherBrokerWhenNotStoreOK: producer("retryAnotherBrokerWhenNotStoreOK", "retry-next-server", Read.boolean),
  maxMessageSize: producer("maxMessageSize", "max-message-size", Read.number),
  defaultTopicQueueNums: producer("defaultTopicQueueNums", "default-topic-queue-nums", Read.number),
  borrowRoute: producer("borrowRoute", "borrow-route", Read.boolean),
  orderingHash: producer("orderingHash", "ordering-hash", Read.oneOf("java", "go", "ali-ons", "siphash", "proxy")),
  compressMsgBodyOverHowmuch: producer("compressMsgBodyOverHowmuch", "compress-message-body-threshold", Read.number),
  compressType: producer("compressType", "compress-type", Read.oneOf("ZLIB", "LZ4", "ZSTD")),
  compressLevel: producer("compressLevel", "compress-level", Read.number),
  timerMaxDelayMillis: producer("timerMaxDelayMillis", "timer-max-delay", Read.millis),
  maxDelayLevel: producer("maxDelayLevel", "max-delay-level", Read.number),
  autoBatch: producer("autoBatch", "auto-batch", Read.boolean),
  batchMaxDelayMs: producer("batchMaxDelayMs", "batch-max-delay", Read.millis),
  batchMaxBytes: producer("batchMaxBytes", "batch-max-bytes", Read.number),
  totalBatchMaxBytes: producer("totalBatchMaxBytes", "total-batch-max-bytes", Read.number),
  maxQueuedSends: producer("maxQueuedSends", "max-queued-sends", Read.number),
  backPressureForAsyncSendNum: producer("backPressureForAsyncSendNum", "back-pressure-for-async-send-num", Read.number),
  backPressureForAsyncSendSize: producer(
    "backPressureForAsyncSendSize",
    "back-pressure-for-async-send-size",
    Read.number
  ),
  sendLatencyEnable: producer("sendLatencyEnable", "send-latency-enable", Read.boolean),
  startDetectorEnable: producer("startDetectorEnable", "start-detector-enable", Read.boolean),
  detectInterval: producer("detectInterval", "detect-interval", Read.millis),
  detectTimeout: producer("detectTimeout", "detect-timeout", Read.millis),
  enableTrace: producer("enableTrace", "enable-msg-trace", Read.boolean),
  traceTopic: producer("traceTopic", "customized-trace-topic", Read.text),
  drainTimeoutMillis: producer("drainTimeoutMillis", "drain-timeout", Read.millis),

  namesrvAddr: Read.option("namesrvAddr", ["rocketmq.name-server", "rocketmq.namesrv.addr", "namesrv-addr"], Read.text),
  namesrvDomain: Read.option("namesrvDomain", ["rocketmq.namesrv.domain"], Read.text),
  namesrvDomainSubgroup: Read.option("namesrvDomainSubgroup", ["rocketmq.namesrv.domain.subgroup"], Read.text),
  instanceName: client("instanceName", "instance-name", Read.text),
  clientIP: client("clientIP", "client-ip", Read.text),
  unitName: client("unitName", "unit-name", Read.text),
  unitMode: client("unitMode", "unit-mode", Read.boolean),
  pollNameServerInterval: client("pollNameServerInterval", "poll-name-server-interval", Read.millis),
  heartbeatBrokerInterval: client("heartbeatBrokerInterval", "heartbeat-broker-interval", Read.millis),
  persistConsumerOffsetInterval: client(
    "persistConsumerOffsetInterval",
    "persist-consumer-offset-interval",
    Read.millis
  ),
  mqClientApiTimeout: client("mqClientApiTimeout", "mq-client-api-timeout", Read.millis),
  createTopicKey: client("createTopicKey", "create-topic-key", Read.text),
  metrics: client("metrics", "metrics", Read.boolean),
  namespace: client("namespace", "namespace", Read.text),
  namespaceV2: client("namespaceV2", "namespace-v2", Read.text),
  vipChannelEnabled: client("vipChannelEnabled", "vip-channel-enabled", Read.boolean),
  credentials,
  tls,
  remoting
}

const transactionTable: Table<TransactionSettings> = {
  checkConcurrency: producer("checkConcurrency", "check-concurrency", Read.positive),
  checkRequestHoldMax: producer("checkRequestHoldMax", "check-request-hold-max", Read.positive),
  checkTimeoutMillis: producer("checkTimeoutMillis", "check-timeout", Read.millis),
  transactionTimeoutMillis: producer("transactionTimeoutMillis", "transaction-timeout", Read.millis)
}

/** One option as `Config` knows it. */
export interface ConfigName {
  /** The option of {@link ProducerConfig}, with the parts of a group behind a dot: `tls.ca`. */
  readonly option: string
  /** Its names, the preferred one first: `rocketmq.producer.group`. */
  readonly names: ReadonlyArray<string>
  /** The same names as environment variables: `ROCKETMQ_PRODUCER_GROUP`. */
  readonly environment: ReadonlyArray<string>
}

/** Every option that can come from `Config`, with its names; the table of docs/configuration.md. */
export const configNames: ReadonlyArray<ConfigName> = [
  ...Object.values<ConfigOption<unknown>>(table),
  ...Object.values<ConfigOption<unknown>>(transactionTable)
].flatMap((entry) =>
  entry.names.map(({ names, option }) => ({ option, names, environment: names.map(Read.environmentName) }))
)

/** Options of which each may be a `Config` of its own; those that are left out are read under their documented names. */
export type Overrides<C> = {
  readonly [K in keyof C]?: C[K] | Config.Config<Exclude<C[K], undefined>> | undefined
}

/** {@link Overrides} of a producer's options, or one `Config` of any of them. */
export type ConfigOverrides = Overrides<ProducerConfig> | Config.Config<Partial<ProducerConfig>>

/** {@link Overrides} of the options of a transactional producer, or one `Config` of any of them. */
export type TransactionOverrides =
  Overrides<ProducerConfig & TransactionSettings> | Config.Config<Partial<ProducerConfig & TransactionSettings>>

type ParseGiven = <A>(config: Config.Config<A>, path: string) => Effect.Effect<A | undefined>

const isConfigOf = <A>(value: A | Config.Config<A> | undefined): value is Config.Config<A> => Config.isConfig(value)

/** The values of options that were given in code, each by itself. */
const givenOneByOne = Effect.fnUntraced(function* <C extends object>(given: Overrides<C>, parse: ParseGiven) {
  const values: { [K in keyof C]?: C[K] } = {}
  for (const key in given) {
    const item: C[typeof key] | Config.Config<C[typeof key]> | undefined = given[key]
    const value = isConfigOf(item) ? yield* parse(item, key) : item
    if (value !== undefined) values[key] = value
  }
  return values
})

const read = Effect.fnUntraced(function* <C extends ProducerConfig>(
  tables: { readonly [K in keyof C]?: ConfigOption<C[K]> },
  given: Overrides<C> | Config.Config<Partial<C>>
) {
  const provider = yield* ConfigProvider.ConfigProvider
  const { found, problems, reader } = Read.make(provider)
  const parse: ParseGiven = (config, path) =>
    config.parse(provider).pipe(
      Effect.catch((error) => {
        problems.push(new ConfigProblem({ path, problem: error.message }))
        return Effect.succeed(undefined)
      })
    )
  const fromNames = yield* Read.readAll<C>(tables, reader)
  const fromCode: Partial<C> = isConfigOf(given)
    ? ((yield* parse(given, "options")) ?? {})
    : yield* givenOneByOne<C>(given, parse)
  const options: Partial<C> = { ...fromNames, ...fromCode }

  const nameOf = (path: string): string => {
    const root = /^[a-zA-Z0-9]+/.exec(path)?.[0] ?? path
    const part = [...found.keys()].find((key) => key.startsWith(`${root}.`))
    const name = found.get(path) ?? found.get(root) ?? found.get(part ?? "")
    return name === undefined ? path : `${name} (${path})`
  }
  const { producerGroup } = options
  if (producerGroup !== undefined) {
    const group = checkGroup(producerGroup, RESERVED_PRODUCER_GROUPS)
    if (group !== undefined) problems.push(new ConfigProblem({ path: nameOf("producerGroup"), problem: group.detail }))
  } else if (problems.every(({ path }) => path !== "producerGroup" && path !== "options")) {
    const problem = "is not set; ROCKETMQ_PRODUCER_GROUP or rocketmq.producer.group"
    problems.push(new ConfigProblem({ path: "producerGroup", problem }))
  }
  // An option that could not be read has its default here, so nothing is reported twice.
  for (const { path, problem } of ProducerConfigs.problems(
    withDefaults<ProducerConfig>(ProducerConfigs.defaults, options)
  )) {
    problems.push(new ConfigProblem({ path: nameOf(path), problem }))
  }
  if (problems.length > 0 || producerGroup === undefined) return yield* new InvalidConfig({ problems })
  return { ...options, producerGroup }
})

/**
 * A producer's options out of the current `ConfigProvider`, under the names of {@link configNames}. What is given in code
 * wins. Fails with `InvalidConfig`, which lists everything that cannot be used at once, each under the name at which it
 * was found; secrets are `Redacted` and appear in no problem.
 */
export const fromConfig = (given: ConfigOverrides = {}): Effect.Effect<ProducerOptions, InvalidConfig> =>
  read<ProducerConfig>(table, given)

/** {@link fromConfig} for a transactional producer. */
export const transactionFromConfig = (
  given: TransactionOverrides = {}
): Effect.Effect<ProducerOptions & TransactionSettings, InvalidConfig> =>
  read<ProducerConfig & TransactionSettings>({ ...table, ...transactionTable }, given)
