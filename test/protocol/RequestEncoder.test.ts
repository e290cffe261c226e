import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as OutputBuffer from "../../src/protocol/OutputBuffer.ts"
import { encode, makeFrameDecoder, makeRequestEncoder } from "../../src/protocol/Frame.ts"
import { emptyBody, ONEWAY_FLAG, type Request, type SerializeType } from "../../src/protocol/RemotingCommand.ts"
import * as SendMessage from "../../src/protocol/request/SendMessage.ts"
import { makeSendMessageRequests } from "../../src/protocol/request/SendMessageWriter.ts"
import { text } from "./arbitraries.ts"

const written = (put: (out: OutputBuffer.OutputBuffer) => void, room: number): string => {
  const out = OutputBuffer.make()
  out.reserve(room)
  put(out)
  return Buffer.concat(out.take()).toString("utf8")
}

const settings = { language: "OTHER", version: 513 }

const encoded = (request: Request, serializeType: SerializeType, opaque = 7, flag = 0): Uint8Array => {
  const out = OutputBuffer.make()
  makeRequestEncoder({ ...settings, serializeType })(out, request, opaque, flag)
  return Uint8Array.from(Buffer.concat(out.take()))
}

const int = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -0x8000_0000, maximum: 0x7fff_ffff })))
const millis = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })))
const form = Arbitrary.schema(Schema.Literals(["V2", "V1", "BATCH", "REPLY_V2", "REPLY_V1"]))

describe("OutputBuffer, JSON text", () => {
  it.prop("text as JSON.stringify writes it", [text], ([value]) => {
    const inside = written((out) => out.putText(value), value.length * OutputBuffer.MAX_UNIT_BYTES)
    assert.strictEqual(`"${inside}"`, Buffer.from(JSON.stringify(value)).toString("utf8"))
  })

  it("half of a surrogate pair, too", () => {
    for (const value of ["\ud83d", "a\ude80b", "\u0001\ud83d"]) {
      const inside = written((out) => out.putText(value), value.length * OutputBuffer.MAX_UNIT_BYTES)
      assert.strictEqual(`"${inside}"`, JSON.stringify(value))
    }
  })

  it("numbers as String writes them", () => {
    const numbers = [0, 9, 10, 99, 100, 1795448740995, 2 ** 31, 2 ** 53 - 1, 2 ** 53, -1, -0, 1.5, 1e21, Number.NaN]
    for (const value of [...numbers, -Number.MAX_VALUE, Number.MIN_VALUE, -2.2250738585072014e-308]) {
      assert.strictEqual(
        written((out) => out.putNumber(value), OutputBuffer.MAX_NUMBER_BYTES),
        String(value)
      )
    }
  })

  it("fixed text is UTF-8", () => {
    assert.deepStrictEqual([...OutputBuffer.fixed("é")], [0xc3, 0xa9])
  })
})

describe("RequestEncoder", () => {
  it.prop(
    "a send is written as its record would be, in both header forms",
    [text, text, text, int, int, int, millis, form],
    ([topic, brokerName, properties, queueId, sysFlag, flag, bornTimestamp, sendForm]) => {
      const sender = { producerGroup: "pg", defaultTopic: "TBW102", defaultTopicQueueNums: 4, unitMode: false }
      const body = new Uint8Array([1, 2, 3])
      const requests = makeSendMessageRequests(sender)
      const make = () =>
        requests({ topic, sysFlag, flag, properties, body, form: sendForm }, { brokerName, queueId }, bornTimestamp)
      const plain = SendMessage.request(
        {
          ...sender,
          topic,
          queueId,
          sysFlag,
          bornTimestamp,
          flag,
          properties,
          reconsumeTimes: 0,
          brokerName
        },
        body,
        sendForm
      )
      assert.deepStrictEqual(make().extFields, plain.extFields)
      for (const serializeType of ["JSON", "ROCKETMQ"] as const) {
        const frame = encode({
          ...settings,
          code: plain.code,
          opaque: 7,
          flag: 2,
          remark: undefined,
          extFields: plain.extFields,
          body,
          serializeType
        })
        // Twice: what the first has kept serves the second.
        assert.deepStrictEqual(encoded(make(), serializeType, 7, 2), frame)
        assert.deepStrictEqual(encoded(make(), serializeType, 7, 2), frame)
      }
    }
  )

  it("a large body leaves from where it lies, unless nobody would hear when it has left", () => {
    const sender = { producerGroup: "pg", defaultTopic: "TBW102", defaultTopicQueueNums: 4, unitMode: false }
    const requests = makeSendMessageRequests(sender)
    const encodeRequest = makeRequestEncoder({ ...settings, serializeType: "JSON" })
    for (const length of [OutputBuffer.LENT_BYTES - 1, OutputBuffer.LENT_BYTES, 1_000_000]) {
      const body = new Uint8Array(length).fill(9)
      for (const flag of [0, ONEWAY_FLAG]) {
        const request = requests(
          { topic: "t", sysFlag: 0, flag: 0, properties: "", body, form: "V2" },
          { brokerName: "b", queueId: 0 },
          1
        )
        const out = OutputBuffer.make()
        encodeRequest(out, { code: 105, extFields: undefined }, 1, 0)
        encodeRequest(out, request, 7, flag)
        encodeRequest(out, { code: 105, extFields: undefined }, 2, 0)
        const chunks = out.take()
        assert.strictEqual(chunks.includes(body), length >= OutputBuffer.LENT_BYTES && flag === 0)
        const commands = makeFrameDecoder().push(Buffer.concat(chunks)).commands
        assert.deepStrictEqual(
          commands.map(({ opaque }) => opaque),
          [1, 7, 2]
        )
        assert.deepEqual(Buffer.from(commands[1]?.body ?? []), Buffer.from(body))
      }
    }
  })

  it("a frame that cannot be written leaves nothing behind", () => {
    const out = OutputBuffer.make()
    const encodeRequest = makeRequestEncoder({ ...settings, serializeType: "JSON" })
    const fieldsText = {
      maxBytes: 8,
      put: () => {
        throw new Error("no")
      }
    }
    assert.throws(() => encodeRequest(out, { code: 1, extFields: {}, fieldsText }, 0, 0), "no")
    assert.strictEqual(out.length, 0)
    encodeRequest(out, { code: 105, extFields: undefined }, 3, 0)
    assert.deepStrictEqual(
      Uint8Array.from(Buffer.concat(out.take())),
      encode({
        ...settings,
        code: 105,
        opaque: 3,
        flag: 0,
        remark: undefined,
        extFields: undefined,
        body: emptyBody,
        serializeType: "JSON"
      })
    )
  })
})
