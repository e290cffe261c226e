import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AclSignature from "../../../src/protocol/AclSignature.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import { headerText, malformedAt } from "../../../src/embedded/server/JavaText.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { brokerAddress, rawClient, sendRequest } from "../support.ts"

const EMOJI = "\u{1f600}"
const [FIRST = "", SECOND = ""] = EMOJI.split("")

const send = (text: string, sign: (request: ReturnType<typeof sendRequest>) => ReturnType<typeof sendRequest>) =>
  Effect.gen(function* () {
    const client = yield* rawClient()
    const properties = MessageProperties.encode({ UNIQ_KEY: "ID", [`p${text}`]: text })
    return yield* client.call(yield* brokerAddress(), sign(sendRequest({ properties })))
  })

describe("half an emoji in a header", () => {
  it.effect("A45: is a question mark in what is stored, one for each half", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const cases = [
        [`whole ${EMOJI}`, `whole ${EMOJI}`],
        [`a${FIRST}b`, "a?b"],
        [`a${SECOND}`, "a?"],
        [`${SECOND}${FIRST}${FIRST}`, "???"],
        [`${FIRST}${EMOJI}`, `?${EMOJI}`]
      ] as const
      for (const [text] of cases) assert.strictEqual((yield* send(text, (request) => request)).code, 0)
      assert.deepStrictEqual(
        (yield* messages("orders")).map(({ properties }) =>
          Object.entries(properties).find(([name]) => name.startsWith("p"))
        ),
        cases.map(([, kept]): [string, string] => [`p${kept}`, kept])
      )
    }).pipe(
      Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }))
    )
  )

  it.effect("A45: under access control the signature of another writer does not fit, as on a real broker", () =>
    Effect.gen(function* () {
      const credentials = { accessKey: "writer", secretKey: "writer-secret" }
      const sign = (request: ReturnType<typeof sendRequest>) => AclSignature.sign(credentials, request)
      assert.strictEqual((yield* send(EMOJI, sign)).code, 0)
      const refused = yield* send(FIRST, sign)
      assert.strictEqual(refused.code, ResponseCode.NO_PERMISSION)
      assert.deepStrictEqual((yield* (yield* EmbeddedCluster).messages("orders")).length, 1)
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({
          topics: { orders: {} },
          acl: { users: [{ accessKey: "writer", secretKey: "writer-secret" }] }
        })
      )
    )
  )
})

describe("bytes that are no UTF-8 in a header", () => {
  it("are read as a server of 5.5.0 reads them", () => {
    const cases: Readonly<Record<string, string | undefined>> = {
      "61c37a": "a\u00fa",
      eda080: "\ud800",
      f09f9862: undefined,
      c080: "\\u0000",
      c0a2: "\\u0022",
      ff: undefined,
      "80": undefined,
      f8888080: undefined,
      e28262: "\u20a2",
      e282: undefined,
      f09f9880ff: undefined,
      c3bff09f9880c37a: "\u00ff\u{1f600}\u00fa",
      f4908080c3: undefined,
      efbfbd: "\ufffd"
    }
    for (const [hex, text] of Object.entries(cases)) {
      assert.strictEqual(headerText(Buffer.from(hex, "hex"), 0, hex.length / 2), text, hex)
    }
  })
})

describe("bytes that are no UTF-8 in a body", () => {
  it("are refused by 5.x where no character can begin, and nowhere else", () => {
    const cases: Readonly<Record<string, number | undefined>> = {
      "61c3bf7a": undefined,
      "61c37a": undefined,
      eda080: undefined,
      "6180": 1,
      ff: 0,
      "61f8888080": 1,
      c380ff: 2,
      "": undefined
    }
    for (const [hex, at] of Object.entries(cases)) assert.strictEqual(malformedAt(Buffer.from(hex, "hex")), at, hex)
  })
})
