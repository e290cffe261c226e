import { assert, describe, it } from "@effect/vitest"
import * as MessageExt from "../../src/message/MessageExt.ts"
import * as MessageId from "../../src/message/MessageId.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"

const fields = (properties: Readonly<Record<string, string>>, over: Partial<MessageExt.StoredFields> = {}) => ({
  topic: "orders",
  body: new TextEncoder().encode("x"),
  properties,
  flag: 0,
  queueId: 3,
  queueOffset: 4,
  commitLogOffset: 4_954,
  sysFlag: 0,
  bornTimestamp: 1,
  bornHost: "10.1.2.3:5",
  storeTimestamp: 2,
  storeHost: "127.0.0.1:10911",
  bodyCRC: 0,
  storeSize: 0,
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  ...over
})

const OFFSET_ID = "7F00000100002A9F000000000000135A"

/** Read back from the log, as a reader gets it. */
const stored = (...made: Parameters<typeof fields>): MessageExt.MessageExt => {
  const [message] = MessageCodec.decodeAll(MessageCodec.encode(fields(...made))).messages
  return message ?? assert.fail("no message")
}

describe("MessageExt", () => {
  it("has Java's ids: the sender's, the broker's where the sender gave none", () => {
    const named = stored({ UNIQ_KEY: "0A" })
    assert.strictEqual(named.msgId, "0A")
    assert.strictEqual(named.offsetMsgId, OFFSET_ID)
    const nameless = stored({})
    assert.strictEqual(nameless.msgId, OFFSET_ID)
    assert.strictEqual(nameless.offsetMsgId, OFFSET_ID)
  })

  it("the broker's id leads back to the message, whatever the address", () => {
    for (const storeHost of ["127.0.0.1:10911", "255.255.255.255:65535", "[::1]:10911", "[2001:db8::1]:0"]) {
      for (const commitLogOffset of [0, 4_954, Number.MAX_SAFE_INTEGER]) {
        const { offsetMsgId } = stored({}, { storeHost, commitLogOffset })
        assert.strictEqual(offsetMsgId, MessageId.encodeOffsetMessageId(storeHost, commitLogOffset))
        assert.deepStrictEqual(MessageId.decodeOffsetMessageId(offsetMsgId), {
          address: storeHost,
          offset: BigInt(commitLogOffset)
        })
      }
    }
  })

  it("a negative place in the log, which only a broken broker writes, is an id as well", () => {
    assert.strictEqual(stored({}, { commitLogOffset: -1 }).offsetMsgId, `${OFFSET_ID.slice(0, 16)}FFFFFFFFFFFFFFFF`)
  })

  it("has the keys as a list, as they are indexed, and the tag", () => {
    assert.deepStrictEqual(stored({ KEYS: "order-7 customer-3" }).keys, ["order-7", "customer-3"])
    assert.deepStrictEqual(stored({ KEYS: " a  b " }).keys, ["a", "b"])
    assert.deepStrictEqual(stored({}).keys, [])
    assert.strictEqual(stored({ TAGS: "created" }).tags, "created")
    assert.isUndefined(stored({}).tags)
  })

  it("has a transaction id only when it belongs to a transaction", () => {
    assert.strictEqual(stored({ UNIQ_KEY: "0A", TRAN_MSG: "true" }).transactionId, "0A")
    assert.isUndefined(stored({ UNIQ_KEY: "0A", TRAN_MSG: "false" }).transactionId)
    assert.isUndefined(stored({ UNIQ_KEY: "0A" }).transactionId)
    assert.isUndefined(stored({ TRAN_MSG: "true" }).transactionId)
  })

  it("is a plain value: spread, compared and written as JSON with all of it", () => {
    const message = stored({ UNIQ_KEY: "0A", KEYS: "k", TAGS: "t", TRAN_MSG: "true" })
    assert.deepStrictEqual({ ...message }, message)
    assert.deepInclude(JSON.parse(JSON.stringify(message)), {
      msgId: "0A",
      offsetMsgId: OFFSET_ID,
      keys: ["k"],
      tags: "t",
      transactionId: "0A",
      queueOffset: 4
    })
    assert.deepStrictEqual(MessageExt.make(message), message)
  })
})
