/** Where real brokers and embedded ones are compared: text that is no well-formed UTF-16, and pulls after a restart. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as PullMessage from "../../src/protocol/request/PullMessage.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { sendHeader } from "../embedded/support.ts"
import { eventually } from "../conformance/support.ts"
import * as RawRemoting from "./RawRemoting.ts"
import { tests as restartPulls } from "./restartPulls.ts"
import { RocketMQ } from "./RocketMQServer.ts"

const TOPIC = "TBW102-made"
const body = Buffer.from("x")
const EMOJI = "\u{1f600}"

const texts = [
  `whole ${EMOJI}`,
  `first ${EMOJI.slice(0, 1)} half`,
  `second ${EMOJI.slice(1)} half`,
  `halves ${EMOJI.slice(1)}${EMOJI.slice(0, 1)}${EMOJI.slice(0, 1)}`
]

/** Bytes that are no UTF-8: cut off, a surrogate, too long a form, what never occurs, a lonely continuation. */
const bytes = ["c3", "eda080", "f09f98", "c080", "ff", "80", "f8888080", "e28262"].map((hex) => Buffer.from(hex, "hex"))

/** Stands for no answer. */
const CLOSED = "closed"

/** What is kept of the bytes between `a` and `z`. */
const ofBytes = {
  "5.5.0": ["a\u00fa", "a?z", CLOSED, "a\0z", CLOSED, CLOSED, CLOSED, "a\u20a2z"],
  "4.9.7": [...[1, 1, 1, 2, 1, 1, 4].map((count) => `a${"\ufffd".repeat(count)}z`), "a\ufffdbz"]
}

const PLACE = "@PLACE@"

const inPlace = (value: Buffer) => (header: Buffer) => {
  const at = header.indexOf(PLACE)
  return Buffer.concat([header.subarray(0, at), value, header.subarray(at + PLACE.length)])
}

/** Sends each as a property, and in hex what is stored of it. */
const observe = Effect.fnUntraced(function* (address: string) {
  const kept: Array<string> = []
  const cases = [
    ...texts.map((text) => ({ text, spoil: (header: Buffer) => header })),
    ...bytes.map((value) => ({ text: `a${PLACE}z`, spoil: inPlace(value) }))
  ]
  for (const [n, { spoil, text }] of cases.entries()) {
    const properties = MessageProperties.encode({ UNIQ_KEY: `ID-${n}`, p: text })
    const { code, extFields } = SendMessage.request(sendHeader({ topic: TOPIC, properties }), body, "V2")
    const tried = RawRemoting.request(address, { code, extFields, body, spoil }, 10_000)
    // The first of all waits for the broker; a broker that cannot read a header closes the connection.
    const answer = yield* n > 0
      ? tried
      : eventually(
          Effect.flatMap(tried, (sent) =>
            sent?.code === 0 ? Effect.succeed(sent) : Effect.fail(`not sent: ${sent?.code}`)
          )
        )
    if (answer === undefined) {
      kept.push(CLOSED)
      continue
    }
    const pull = PullMessage.request({
      consumerGroup: "TOOLS_CONSUMER",
      topic: TOPIC,
      queueId: 0,
      queueOffset: Number(answer.extFields["queueOffset"]),
      maxMsgNums: 1,
      sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: "*",
      subVersion: 0,
      expressionType: "TAG"
    })
    const found = yield* eventually(
      Effect.flatMap(RawRemoting.request(address, { code: pull.code, extFields: pull.extFields }, 10_000), (pulled) =>
        pulled?.code === 0 ? Effect.succeed(pulled) : Effect.fail("not there yet")
      )
    )
    const at = found.body.indexOf("p\u0001")
    kept.push(found.body.subarray(at + 2, found.body.indexOf(2, at)).toString())
  }
  return kept
})

/** Locks a queue of each name, and gives the name as the answer tells it, or the code where there is none. */
const observeBodies = (address: string) =>
  Effect.forEach(bytes, (value) => {
    const text = `{"clientId":"1@1","consumerGroup":"cg","mqSet":[{"brokerName":"b","queueId":0,"topic":"a${PLACE}z"}]}`
    return Effect.map(
      RawRemoting.request(
        address,
        { code: RequestCode.LOCK_BATCH_MQ, body: inPlace(value)(Buffer.from(text)) },
        10_000
      ),
      (answer) =>
        answer === undefined ? CLOSED : answer.code === 0 ? answer.body.toString() : `${answer.code} ${answer.remark}`
    )
  })

describe.each(["5.5.0", "4.9.7"] as const)("RocketMQ %s and the embedded cluster", (version) => {
  const number = version === "5.5.0" ? MQVersion.V5_5_0 : MQVersion.V4_9_7
  const clusterName = "DefaultCluster"
  const both = Layer.merge(
    RocketMQ.layer({ version, clusterName }),
    EmbeddedCluster.layerTcp({ version: number, clusterName })
  )
  layer(both, { excludeTestServices: true, timeout: "10 minutes" })((test) => {
    test.effect("A45: keep the same of text that is none", () =>
      Effect.gen(function* () {
        const brokers = [(yield* RocketMQ).brokers[0], (yield* EmbeddedCluster).brokers[0]]
        const [real, embedded] = yield* Effect.forEach(brokers, (broker) => observe(broker?.address ?? ""))
        assert.deepStrictEqual(real, [
          "whole \u{1f600}",
          "first ? half",
          "second ? half",
          "halves ???",
          ...ofBytes[version]
        ])
        assert.deepStrictEqual(embedded, real)
      })
    )
    test.effect("A45: read the same of bodies that are no UTF-8", () =>
      Effect.gen(function* () {
        const brokers = [(yield* RocketMQ).brokers[0], (yield* EmbeddedCluster).brokers[0]]
        const [real, embedded] = yield* Effect.forEach(brokers, (broker) => observeBodies(broker?.address ?? ""))
        assert.strictEqual(real?.filter((answer) => answer.startsWith("1 ")).length, version === "5.5.0" ? 3 : 0)
        assert.deepStrictEqual(embedded, real)
      })
    )
    restartPulls(test)
  })
})
