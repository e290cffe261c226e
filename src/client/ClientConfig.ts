import { type Duration, Effect } from "effect"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, DEFAULT_INSTANCE_NAME } from "../message/MixAll.ts"
import * as AddressServerUrl from "./AddressServerUrl.ts"
import type { InvalidConfig } from "./ClientError.ts"
import * as ClientSecurity from "./ClientSecurity.ts"
import { parseNamesrvAddr } from "./NameServerAddresses.ts"
import { type Option, type Resolved, show, type TableOf } from "./options/Option.ts"
import * as Kinds from "./options/OptionKinds.ts"
import * as OptionTable from "./options/OptionTable.ts"
import * as Remoting from "./RemotingOptions.ts"

/**
 * The options of a client instance, with RocketMQ's words and defaults. A time is any `Duration.Input`; a bare number is
 * milliseconds.
 *
 * Source: RocketMQ `ClientConfig`, `NettyClientConfig`.
 */
export interface InstanceOptions {
  /**
   * The name servers, `host:port;host:port` or a list. Host names, IPv4 and `[IPv6]` are accepted. By default the
   * environment variable `NAMESRV_ADDR`, a `NameServerResolver` and {@link namesrvDomain} are asked, in this order.
   */
  readonly namesrvAddr?: string | ReadonlyArray<string> | undefined
  /**
   * Host of an HTTP address server, from which the name server list is read at start and every 2 minutes: Java's
   * `rocketmq.namesrv.domain`. By default there is none. The URL is `http://<domain>:8080/rocketmq/<subgroup>`, without
   * `:8080` when the domain has a port of its own. A whole URL (`https://ns.example/list`) is asked as it is; one without a
   * path gets `/rocketmq/<subgroup>`.
   */
  readonly namesrvDomain?: string | undefined
  /** The last part of that URL; default `nsaddr` (Java `rocketmq.namesrv.domain.subgroup`). */
  readonly namesrvDomainSubgroup?: string | undefined
  /** Part of the client id; default `DEFAULT`, which becomes `<pid>#<number>`. Clients with equal names share one instance (Java `instanceName`). */
  readonly instanceName?: string | undefined
  /** The client address to announce; by default one of this machine's own (Java `clientIP`). */
  readonly clientIP?: string | undefined
  /** Part of the client id and of the address server's URL; by default none (Java `unitName`). */
  readonly unitName?: string | undefined
  /** Time between route updates; default 30 seconds (Java `pollNameServerInterval`). */
  readonly pollNameServerInterval?: Duration.Input | undefined
  /** Time between heartbeats; default 30 seconds (Java `heartbeatBrokerInterval`). */
  readonly heartbeatBrokerInterval?: Duration.Input | undefined
  /** Time between offset commits of consumers; default 5 seconds (Java `persistConsumerOffsetInterval`). */
  readonly persistConsumerOffsetInterval?: Duration.Input | undefined
  /** Time from the start to the first offset commit of timer 4; default 10 seconds, as in Java, which has no option for it. */
  readonly persistConsumerOffsetInitialDelay?: Duration.Input | undefined
  /** Time from the start until timer 5 first fits the number of handlers to the backlog; default 1 minute, as in Java, which has no option for it. */
  readonly adjustThreadPoolInitialDelay?: Duration.Input | undefined
  /** How long a request to a name server, a heartbeat and the like may take; default 3 seconds (Java `mqClientApiTimeout`). */
  readonly mqClientApiTimeout?: Duration.Input | undefined
  /**
   * The template topic: a topic that does not exist yet is sent over its route, and created by the broker from it. Default
   * `TBW102`, which brokers have while they let sends create topics. Another one must exist, with the third permission bit
   * (perm 7). It is in no namespace (Java `createTopicKey`; 5.x clients look up the route of `TBW102` whatever it says, 4.x
   * ones that of the option, as this client does).
   */
  readonly createTopicKey?: string | undefined
  /** Whether there are metrics; default true. They cost a send about one part in twenty. */
  readonly metrics?: boolean | undefined
  /** How connections are opened, held and used, header form, hook; each part has its own default. */
  readonly remoting?: Remoting.RemotingOptions | undefined
}

/** What a user gives: any of a client's options; an absent or undefined option means its default. */
export interface ClientOptions extends InstanceOptions, ClientSecurity.SecurityOptions {}

const isTexts = (value: unknown): value is string | ReadonlyArray<string> =>
  typeof value === "string" || (Array.isArray(value) && value.every((item) => typeof item === "string"))

const addresses = Kinds.entry<string | ReadonlyArray<string>>(
  {
    name: "name-server",
    also: ["namesrv.addr"],
    bareNames: ["namesrv-addr"],
    common: true,
    java: "the same",
    absent: "a resolver, else `namesrvDomain`"
  },
  ({ items, text }) => Effect.succeed(items ?? text),
  { isList: true }
)

const namesrvAddr: Option<string | ReadonlyArray<string> | undefined, string | ReadonlyArray<string>> = {
  default: undefined,
  check: (given, report) => {
    if (!isTexts(given)) {
      report(`must be a text or a list of texts, is ${show(given)}`)
      return undefined
    }
    const { problems } = parseNamesrvAddr(given)
    for (const { path, problem } of problems) report(problem, path.replace("namesrvAddr", ""))
    return problems.length === 0 ? given : undefined
  },
  entries: [addresses],
  read: (find) => find(addresses)
}

/** The table of {@link InstanceOptions}. */
const instanceTable = {
  namesrvAddr,
  namesrvDomain: Kinds.text({
    name: "namesrv.domain",
    common: true,
    java: "`rocketmq.namesrv.domain`, a host; here also a URL",
    absent: "none",
    default: undefined,
    check: AddressServerUrl.problemOf
  }),
  namesrvDomainSubgroup: Kinds.text({
    name: "namesrv.domain.subgroup",
    common: true,
    java: "`rocketmq.namesrv.domain.subgroup`",
    default: "nsaddr"
  }),
  instanceName: Kinds.text({
    name: "instance-name",
    java: "the same",
    default: DEFAULT_INSTANCE_NAME,
    blank: "refused"
  }),
  clientIP: Kinds.text({
    name: "client-ip",
    java: "the same",
    absent: "an address of this machine",
    default: undefined
  }),
  unitName: Kinds.text({ name: "unit-name", java: "the same", absent: "none", default: undefined }),
  pollNameServerInterval: Kinds.time({
    name: "poll-name-server-interval",
    java: "the same",
    default: 30_000,
    least: 1
  }),
  heartbeatBrokerInterval: Kinds.time({
    name: "heartbeat-broker-interval",
    java: "the same",
    default: 30_000,
    least: 1
  }),
  persistConsumerOffsetInterval: Kinds.time({
    name: "persist-consumer-offset-interval",
    java: "the same",
    default: 5_000,
    least: 1
  }),
  persistConsumerOffsetInitialDelay: Kinds.time({
    name: "persist-consumer-offset-initial-delay",
    java: "none, 10 seconds",
    default: 10_000,
    least: 0
  }),
  adjustThreadPoolInitialDelay: Kinds.time({
    name: "adjust-thread-pool-initial-delay",
    java: "none, 1 minute",
    default: 60_000,
    least: 0
  }),
  mqClientApiTimeout: Kinds.time({ name: "mq-client-api-timeout", java: "the same", default: 3_000, least: 1 }),
  createTopicKey: Kinds.text({
    name: "create-topic-key",
    java: "the same; its route is borrowed, as by 4.x clients",
    default: AUTO_CREATE_TOPIC_KEY_TOPIC,
    blank: "refused"
  }),
  metrics: Kinds.boolean({ name: "metrics", java: "none", default: true }),
  remoting: Remoting.definition
} satisfies TableOf<InstanceOptions>

/** The table of {@link ClientOptions}, with what belongs to the client instance of every kind of client. */
export const table = { ...instanceTable, ...ClientSecurity.table }

/** {@link ClientOptions} with a value for each of them, times in milliseconds. */
export interface ClientConfig extends Resolved<typeof instanceTable>, ClientSecurity.SecurityConfig {}

/** The defaults of {@link ClientConfig}. */
export const defaults: ClientConfig = OptionTable.defaultsOf<ClientConfig>(table)

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: ClientOptions): OptionTable.Resolution<ClientConfig> =>
  OptionTable.resolve<ClientConfig>(table, options)

/** The options as a checked configuration; fails with an `InvalidConfig` that lists every problem. */
export const check = (options: ClientOptions): Effect.Effect<OptionTable.Checked<ClientConfig>, InvalidConfig> =>
  OptionTable.accept(resolve(options))

/**
 * Which clients share one instance: those with equal keys. It holds everything that must not be mixed (the name servers
 * above all), which the wire identity, the client id, does not. The manager adds the services that an instance uses.
 */
export const sharingKey = (config: ClientConfig): string =>
  JSON.stringify([
    config.namesrvAddr === undefined ? null : parseNamesrvAddr(config.namesrvAddr).addresses.toSorted(),
    config.namesrvDomain ?? null,
    config.namesrvDomainSubgroup,
    config.instanceName,
    config.clientIP ?? null,
    config.unitName ?? null,
    ...ClientSecurity.sharingKey(config)
  ])
