import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Remedies from "../../../src/cli/doctor/DoctorRemedies.ts"
import { type HostKind, hostKind } from "../../../src/client/HostKind.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as ClusterInfo from "../../../src/protocol/ClusterInfo.ts"
import * as GetBrokerConfig from "../../../src/protocol/request/GetBrokerConfig.ts"
import * as GetBrokerRuntimeInfo from "../../../src/protocol/request/GetBrokerRuntimeInfo.ts"
import * as GetTopicConfig from "../../../src/protocol/request/GetTopicConfig.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../../src/transport/MemoryWire.ts"
import { ConnectFailed } from "../../../src/transport/RemotingError.ts"
import { type Call, cli, onCluster } from "../support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory({ ...options, listen: { namesrvPort: 9_876, brokerPort: 10_911 } }))

/** The lines of the checks without their times. */
const checks = ({ out }: Call) =>
  out.filter((line) => /^[ \d]\d {2}/.test(line)).map((line) => line.replace(/(\S) +\d[\d.]* m?s {2}/, "$1  "))

const last = ({ out }: Call) => out.slice(out.indexOf("") + 1)

describe("doctor", () => {
  it.effect("walks from the addresses to a started producer", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["doctor", "--topic", "orders"])
      assert.strictEqual(call.exitCode, 0)
      assert.deepStrictEqual(checks(call), [
        " 1  addresses known             ok  127.0.0.1:9876",
        " 2  name server resolves        ok  127.0.0.1 is an address",
        call.out[2]?.replace(/(\S) +\d[\d.]* ms {2}/, "$1  ") ?? "",
        " 4  name server answers         ok  127.0.0.1:9876",
        " 5  cluster                     ok  DefaultCluster: broker-a (master 127.0.0.1:10911)",
        " 6  template topic TBW102       ok  a send may create topics (8 queues on broker-a)",
        " 7  topic route                 ok  4 queues on broker-a",
        " 8  master reachable            ok  127.0.0.1:10911 acknowledged a heartbeat",
        " 9  release and clock           ok  127.0.0.1:10911 is RocketMQ 5.5.0; its clock agrees within 5 s",
        "10  producer start              ok  RUNNING after 7 steps",
        "11  send a message              skipped            not asked for (--send)"
      ])
      assert.match(call.out[2] ?? "", /^ 3 {2}name server connects +ok .* 127\.0\.0\.1:9876 from /)
      assert.deepStrictEqual(last(call), ["healthy: a producer on this machine can start and reach every master"])
      // It looked and left nothing: no message, and no group that is still known.
      const { clients, messages } = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* messages("orders"), [])
      assert.deepStrictEqual(yield* clients, [])
    }).pipe(cluster())
  )

  it.effect("sends only when it is asked to", () =>
    Effect.gen(function* () {
      const call = yield* onCluster(["doctor", "--topic", "orders", "--send"])
      assert.match(checks(call).at(-1) ?? "", /^11 {2}send a message +ok {2}SEND_OK at broker-a:\d:0, 7F000001/)
      const { messages } = yield* EmbeddedCluster
      assert.strictEqual((yield* messages("orders")).length, 1)
    }).pipe(cluster())
  )

  it.effect("finds a missing address first", () =>
    Effect.gen(function* () {
      const call = yield* cli(["doctor"])
      assert.strictEqual(call.exitCode, 2)
      assert.deepStrictEqual(last(call), [
        "first failure at step 1, addresses known",
        "  evidence  no --namesrv was passed, and NAMESRV_ADDR is not set",
        "  remedy    Pass --namesrv host:9876, or set NAMESRV_ADDR."
      ])
      const nonsense = yield* cli(["doctor"], { env: { NAMESRV_ADDR: "host-without-port" } })
      assert.strictEqual(nonsense.exitCode, 2)
      assert.match(last(nonsense).join("\n"), /"host-without-port" is no address/)
    }).pipe(cluster())
  )

  it.effect("tells a refused connection from a broker's address", () =>
    Effect.gen(function* () {
      const refused = yield* cli(["doctor", "--namesrv", "127.0.0.1:1"])
      assert.strictEqual(refused.exitCode, 3)
      assert.match(last(refused).join("\n"), /step 3[^]*127\.0\.0\.1:1: refused[^]*Nothing listens at 127\.0\.0\.1:1/)
      const broker = yield* cli(["doctor", "--namesrv", "127.0.0.1:10911"])
      assert.strictEqual(broker.exitCode, 4)
      assert.match(last(broker).join("\n"), /step 4[^]*is no name server[^]*That is how a broker answers/)
    }).pipe(cluster())
  )

  it.effect("is content with one of two name servers, and says which one is silent", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const call = yield* cli(["doctor", "--namesrv", `127.0.0.1:1;${namesrvAddr}`])
      assert.strictEqual(call.exitCode, 0)
      assert.match(checks(call)[3] ?? "", /^ 3 {2}name server connects +warn/)
      assert.match(last(call).join("\n"), /look at step 3: 127\.0\.0\.1:1: refused/)
    }).pipe(cluster())
  )

  it.effect("tells a name server without brokers", () =>
    Effect.gen(function* () {
      const { stopBroker } = yield* EmbeddedCluster
      yield* stopBroker("broker-a")
      const call = yield* onCluster(["doctor"])
      assert.strictEqual(call.exitCode, 3)
      assert.match(last(call).join("\n"), /step 5[^]*no broker is registered[^]*namesrvAddr names this name server/)
    }).pipe(cluster())
  )

  it.effect("tells a server that takes the connection and does not answer", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.dropRequest] })
      const doctor = yield* Effect.forkChild(onCluster(["doctor"]), { startImmediately: true })
      while ((yield* faults.fired).length === 0) yield* Effect.yieldNow
      yield* TestClock.adjust("3 seconds")
      const call = yield* Fiber.join(doctor)
      assert.strictEqual(call.exitCode, 3)
      assert.match(
        last(call).join("\n"),
        /step 4[^]*:9876: connected, and no answer within 3 s[^]*whether TLS is required/
      )
    }).pipe(cluster())
  )

  it.effect("finds a master that this machine cannot reach", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      yield* network.setReachable("127.0.0.1:10911", "refuse")
      const call = yield* onCluster(["doctor", "--topic", "orders"])
      assert.strictEqual(call.exitCode, 3)
      assert.match(
        last(call).join("\n"),
        /step 8, master reachable[^]*:10911: refused[^]*brokerIP1[^]*AddressTranslator/
      )
      assert.notMatch(call.out.join("\n"), /producer start/)
    }).pipe(cluster())
  )

  it.effect.each([
    ["127.0.0.1 :10911", "is no host:port (there is a space in it)", "brokerIP1"],
    ["/127.0.0.1:10911", "is no host:port (it begins with a slash)", "brokerIP1"],
    ["", "is no host:port (it is empty)", "AddressTranslator"],
    ["169.254.1.1:10911", "is a link-local address", "brokerIP1"],
    ["0.0.0.0:10911", "is the unspecified address", "brokerIP1"]
  ] as const)("says what is wrong with a master at %j, in a sentence", ([address, words, remedy]) =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const brokerData = { brokerName: "broker-a", cluster: "c", brokerAddrs: new Map([[0, address]]) }
      const body = ClusterInfo.encode({
        brokerAddrTable: new Map([["broker-a", brokerData]]),
        clusterAddrTable: new Map([["c", ["broker-a"]]])
      })
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_CLUSTER_INFO },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      const call = yield* onCluster(["doctor"])
      assert.strictEqual(call.exitCode, 3)
      const said = last(call).join("\n")
      assert.match(said, /step 8, master reachable/)
      assert.include(said, `The address "${address}" of broker broker-a ${words}`)
      assert.match(said, new RegExp(`remedy .*${remedy}`))
    }).pipe(cluster())
  )

  it.effect("A14: judges a topic by its route", () =>
    Effect.gen(function* () {
      const { setPermission } = yield* EmbeddedCluster
      const absent = yield* onCluster(["doctor", "--topic", "nope"])
      assert.strictEqual(absent.exitCode, 4)
      assert.match(last(absent).join("\n"), /step 7[^]*nope does not exist[^]*topic create --topic nope/)
      assert.match(checks(absent)[5] ?? "", /template topic TBW102 +warn {2}no broker has TBW102/)
      yield* setPermission("orders", 4)
      const readOnly = yield* onCluster(["doctor", "--topic", "orders"])
      assert.strictEqual(readOnly.exitCode, 4)
      assert.match(last(readOnly).join("\n"), /orders has no queue to write: broker-a read-only/)
      assert.match(last(readOnly).join("\n"), /remedy +If that is not meant: .*topic update --topic orders --perm rw/)
    }).pipe(cluster({ topics: { orders: {} }, autoCreateTopicEnable: false }))
  )

  it.effect("A14: tells a topic that is closed from a broker that is, and has a remedy for the first only", () =>
    Effect.gen(function* () {
      const { faults, setPermission } = yield* EmbeddedCluster
      yield* setPermission("orders", 4)
      // The topic as its broker keeps it: the name server alone says that it may not be written.
      const config = { topicName: "orders", readQueueNums: 4, writeQueueNums: 4, perm: 6, order: false }
      yield* faults.add({
        match: { code: RequestCode.GET_TOPIC_CONFIG },
        actions: [
          {
            _tag: "Answer",
            response: GetTopicConfig.response({
              ...config,
              topicFilterType: "SINGLE_TAG",
              topicSysFlag: 0,
              attributes: {}
            })
          }
        ]
      })
      const wiped = last(yield* onCluster(["doctor", "--topic", "orders"])).join("\n")
      assert.match(
        wiped,
        /remedy +The topic and broker-a allow writing;[^]*wipeWritePerm[^]*effect-rocketmq cluster writable broker-a --namesrv \S+$/m
      )
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_CONFIG },
        actions: [{ _tag: "Answer", response: GetBrokerConfig.response(new Map([["brokerPermission", "4"]]), "{}") }]
      })
      const closed = last(yield* onCluster(["doctor", "--topic", "orders"])).join("\n")
      assert.match(closed, /remedy +The topic allows writing; broker-a itself does not \(brokerPermission\)/)
      for (const said of [wiped, closed]) assert.notMatch(said, /topic (?:create|update) --topic/)
    }).pipe(cluster({ topics: { orders: {} }, autoCreateTopicEnable: false }))
  )

  it.effect("sees a clock that differs", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* TestClock.adjust("1 hour")
      const { body } = GetBrokerRuntimeInfo.response({
        table: new Map([
          ["brokerVersionDesc", "V4_9_7"],
          ["bootTimestamp", "0"],
          ["runtime", "[ 0 days, 1 hours, 2 minutes, 3 seconds ]"]
        ])
      })
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_RUNTIME_INFO },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      const call = yield* onCluster(["doctor"])
      assert.strictEqual(call.exitCode, 0)
      assert.match(last(call).join("\n"), /is RocketMQ 4\.9\.7; its clock is 2\.1 min ahead[^]*NTP/)
      yield* faults.clear
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_RUNTIME_INFO },
        actions: [FaultScript.answer(1, "no")]
      })
      assert.match((yield* onCluster(["doctor"])).out.join("\n"), /release and clock +skipped/)
    }).pipe(cluster())
  )

  it.effect("tells a program the same in one object", () =>
    Effect.gen(function* () {
      const healthy = yield* onCluster(["doctor", "--json"])
      assert.strictEqual(healthy.out.length, 1)
      const told = JSON.parse(healthy.out.join())
      assert.deepInclude(told, { ok: true, failure: null })
      assert.deepStrictEqual(Object.keys(told.steps[0]), ["step", "name", "verdict", "millis", "detail", "remedy"])
      const failed = yield* cli(["doctor", "--json", "--namesrv", "127.0.0.1:1"])
      assert.strictEqual(failed.exitCode, 3)
      assert.deepInclude(JSON.parse(failed.out.join()).failure, { step: 3, verdict: "failed" })
    }).pipe(cluster())
  )
})

describe("what an address is good for", () => {
  it("knows containers' and private networks", () => {
    const kinds: Readonly<Record<string, HostKind>> = {
      "127.0.0.1": "loopback",
      localhost: "loopback",
      "[::1]": "loopback",
      "0.0.0.0": "unspecified",
      "::": "unspecified",
      "172.17.0.3": "container",
      "10.244.1.7": "container",
      "10.0.0.5": "private",
      "172.16.4.4": "private",
      "192.168.1.9": "private",
      "100.64.0.1": "private",
      "fd00::1": "private",
      "169.254.3.3": "link-local",
      "fe80::1%eth0": "link-local",
      "febf::1": "link-local",
      "fec0::1": "private",
      "::ffff:169.254.169.254": "link-local",
      "[::ffff:a9fe:a9fe]": "link-local",
      "::169.254.169.254": "link-local",
      "64:ff9b::a9fe:a9fe": "link-local",
      "::ffff:10.0.0.1": "private",
      "::ffff:0.0.0.0": "unspecified",
      "0.1.2.3": "unspecified",
      "224.0.0.1": "multicast",
      "239.255.255.250": "multicast",
      "ff02::1": "multicast",
      "255.255.255.255": "broadcast",
      "240.0.0.1": "public",
      "8.8.8.8": "public",
      "172.32.0.1": "public",
      "2001:db8::1": "public",
      "rmq-broker": "name"
    }
    assert.deepStrictEqual(Object.fromEntries(Object.keys(kinds).map((host) => [host, hostKind(host)])), kinds)
  })

  it("turns it into the remedy", () => {
    const refused = new ConnectFailed({ address: "", kind: "refused", retryAfterMillis: 0, cause: undefined })
    const timeout = new ConnectFailed({ address: "", kind: "timeout", retryAfterMillis: 0, cause: undefined })
    assert.match(Remedies.brokerUnreachable("172.18.0.2:10911", refused), /inside a container network.*brokerIP1/)
    assert.match(Remedies.brokerUnreachable("10.0.0.2:10911", refused), /is a private address.*AddressTranslator/)
    assert.match(Remedies.brokerUnreachable("broker:10911", refused), /announces the name broker/)
    assert.match(Remedies.brokerUnreachable("8.8.8.8:10911", timeout), /firewall/)
    assert.match(Remedies.brokerUnreachable("8.8.8.8:10911", refused), /runs and listens/)
  })
})
