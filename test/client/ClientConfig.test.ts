import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type * as os from "node:os"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { buildMQClientId, changeInstanceNameToPID, HostInfo, localAddress } from "../../src/client/ClientId.ts"
import type { Readiness } from "../../src/client/Readiness.ts"
import { resolve as resolveProducer } from "../../src/producer/ProducerOptions.ts"

const { defaults, resolve, sharingKey } = ClientConfig

const keyOf = (options: ClientConfig.ClientOptions) => sharingKey(resolve(options).config)

const face = (address: string, family: "IPv4" | "IPv6", internal = false): os.NetworkInterfaceInfo => {
  const rest = { address, internal, netmask: "", mac: "", cidr: null }
  return family === "IPv6" ? { ...rest, family, scopeid: 0 } : { ...rest, family }
}

describe("options", () => {
  it("fill up with the defaults; undefined counts as absent", () => {
    const { config } = resolve({ namesrvAddr: "a:1", unitName: undefined, mqClientApiTimeout: undefined })
    assert.strictEqual(config.mqClientApiTimeout, 3_000)
    assert.deepStrictEqual({ ...config, namesrvAddr: undefined }, defaults)
  })

  it("report all problems at once, each with its path", () => {
    const { problems } = resolveProducer({
      producerGroup: "pg",
      namesrvAddr: "nope",
      pollNameServerInterval: 0,
      heartbeatBrokerInterval: Number.NaN,
      persistConsumerOffsetInterval: -1,
      mqClientApiTimeout: Number.POSITIVE_INFINITY,
      instanceName: " ",
      createTopicKey: "",
      startTimeoutMillis: 0,
      sendMsgTimeout: 0.5,
      retryTimesWhenSendFailed: -1,
      maxMessageSize: 0,
      defaultTopicQueueNums: 0,
      drainTimeoutMillis: -1,
      sendMsgMaxTimeoutPerRequest: 0
    })
    assert.deepStrictEqual(problems.map((p) => p.path).toSorted(), [
      "createTopicKey",
      "defaultTopicQueueNums",
      "drainTimeoutMillis",
      "heartbeatBrokerInterval",
      "instanceName",
      "maxMessageSize",
      "mqClientApiTimeout",
      "namesrvAddr[0]",
      "persistConsumerOffsetInterval",
      "pollNameServerInterval",
      "retryTimesWhenSendFailed",
      "sendMsgMaxTimeoutPerRequest",
      "sendMsgTimeout",
      "startTimeoutMillis"
    ])
    assert.deepStrictEqual(resolveProducer({ producerGroup: "pg" }).problems, [])
  })

  it("of topics to resolve and of the readiness are checked too", () => {
    const options = { producerGroup: "pg", topics: ["ok", "a b", ""] }
    assert.deepStrictEqual(
      resolveProducer(options).problems.map((p) => p.path),
      ["topics[1]", "topics[2]"]
    )
    const readiness: { readonly readiness: Readiness } = JSON.parse('{"readiness":"soon"}')
    assert.deepStrictEqual(
      resolveProducer({ producerGroup: "pg", ...readiness }).problems.map((p) => p.path),
      ["readiness"]
    )
  })
})

describe("sharingKey", () => {
  it("is equal for the same name servers in any spelling, and does not mind the rest", () => {
    assert.strictEqual(keyOf({ namesrvAddr: "a:1;b:2" }), keyOf({ namesrvAddr: ["b:2", "a:1", "a:1"] }))
    assert.strictEqual(keyOf({ namesrvAddr: "a:1" }), keyOf({ namesrvAddr: "a:1", pollNameServerInterval: 1_000 }))
  })

  it("differs where instances must not be mixed", () => {
    const variants: ReadonlyArray<ClientConfig.ClientOptions> = [
      {},
      { namesrvAddr: "a:1" },
      { namesrvAddr: "b:1" },
      { namesrvAddr: "a:1;b:1" },
      { namesrvAddr: "a:1", instanceName: "x" },
      { namesrvAddr: "a:1", clientIP: "10.0.0.1" },
      { namesrvAddr: "a:1", unitName: "u" },
      { namesrvDomain: "d" },
      { namesrvDomain: "d", namesrvDomainSubgroup: "s" }
    ]
    assert.strictEqual(new Set(variants.map(keyOf)).size, variants.length)
  })
})

describe("client id", () => {
  it("is address, instance name and unit", () => {
    assert.strictEqual(buildMQClientId("10.0.0.1", "7#8", undefined), "10.0.0.1@7#8")
    assert.strictEqual(buildMQClientId("10.0.0.1", "7#8", " "), "10.0.0.1@7#8")
    assert.strictEqual(buildMQClientId("[::1]", "x", "unit1"), "[::1]@x@unit1")
  })

  it.effect("changes only the default instance name, to one that no other client has", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* changeInstanceNameToPID("mine"), "mine")
      const names = yield* Effect.replicateEffect(changeInstanceNameToPID("DEFAULT"), 1_000)
      assert.isTrue(names.every((name) => /^4242#\d+$/.test(name)))
      assert.strictEqual(new Set(names).size, 1_000)
    }).pipe(Effect.provideService(HostInfo, { ip: "10.0.0.1", pid: 4242 }))
  )

  it("takes the machine's public address, else a private one, else IPv6", () => {
    const of = (...list: ReadonlyArray<ReturnType<typeof face>>) => localAddress({ eth0: [...list] })
    assert.strictEqual(
      of(
        face("127.0.0.1", "IPv4", true),
        face("10.0.0.5", "IPv4"),
        face("8.8.4.4", "IPv4"),
        face("192.168.1.1", "IPv4")
      ),
      "8.8.4.4"
    )
    assert.strictEqual(of(face("10.0.0.5", "IPv4"), face("172.20.0.1", "IPv4")), "172.20.0.1")
    assert.strictEqual(of(face("172.32.0.1", "IPv4"), face("10.0.0.5", "IPv4")), "172.32.0.1")
    assert.strictEqual(of(face("fe80::1", "IPv6"), face("2001:db8::1", "IPv6")), "[2001:db8::1]")
    assert.strictEqual(of(face("127.0.0.1", "IPv4", true)), "127.0.0.1")
  })
})
