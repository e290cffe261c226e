import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as TraceData from "../../src/protocol/TraceData.ts"
import { golden, goldenCommand } from "./goldenFrames.ts"

const storedTrace = (name: string) => {
  const [message] = MessageCodec.decodeAll(goldenCommand(golden(name)).body).messages
  return message ?? assert.fail("no message")
}

const read = (text: string) => {
  const { error, records } = TraceData.decode(text)
  if (error !== undefined) assert.fail(error.message)
  return records
}

/** A record as the wire has it, with `|` and `$` for the separators. */
const wire = (text: string) => text.replaceAll("|", "\u0001").replaceAll("$", "\u0002")

const word = Arbitrary.map(
  Arbitrary.schema(Schema.NonEmptyString),
  (text) =>
    text
      .toWellFormed()
      .replaceAll("\u0001", "_")
      .replaceAll("\u0002", "_")
      .replace(/^null$/, "_") || "_"
)
const maybe = Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (present) =>
  present ? word : Arbitrary.Constant(undefined)
)
const number = Arbitrary.map(Arbitrary.schema(Schema.Int), (value) => (value === 0 ? 0 : value))
const boolean = Arbitrary.schema(Schema.Boolean)
const where = { timeStamp: number, regionId: word, groupName: word }

const pub = Arbitrary.map(
  Arbitrary.all({
    ...where,
    topic: word,
    msgId: word,
    tags: maybe,
    keys: maybe,
    storeHost: word,
    bodyLength: number,
    costTime: number,
    msgType: number,
    offsetMsgId: maybe,
    isSuccess: boolean
  }),
  (fields): TraceData.TraceRecord => ({ type: "Pub", ...fields })
)
const subBefore = Arbitrary.map(
  Arbitrary.all({ ...where, requestId: word, msgId: word, retryTimes: number, keys: maybe }),
  (fields): TraceData.TraceRecord => ({ type: "SubBefore", ...fields })
)
const subAfter = Arbitrary.map(
  Arbitrary.all({
    requestId: word,
    msgId: word,
    costTime: number,
    isSuccess: boolean,
    keys: maybe,
    contextCode: number,
    timeStamp: number,
    groupName: word
  }),
  (fields): TraceData.TraceRecord => ({ type: "SubAfter", ...fields })
)
const endTransaction = Arbitrary.map(
  Arbitrary.all({
    ...where,
    topic: word,
    msgId: word,
    tags: maybe,
    keys: maybe,
    storeHost: word,
    msgType: number,
    transactionId: maybe,
    transactionState: Arbitrary.schema(Schema.Literals(["COMMIT_MESSAGE", "ROLLBACK_MESSAGE", "UNKNOW"])),
    fromTransactionCheck: boolean
  }),
  (fields): TraceData.TraceRecord => ({ type: "EndTransaction", ...fields })
)
const recall = Arbitrary.map(
  Arbitrary.all({ ...where, topic: word, msgId: word, isSuccess: boolean }),
  (fields): TraceData.TraceRecord => ({ type: "Recall", ...fields })
)
const anyRecord = Arbitrary.flatMap(
  Arbitrary.schema(Schema.Literals([0, 1, 2, 3, 4])),
  (choice): Arbitrary.Arbitrary<TraceData.TraceRecord> =>
    [pub, subBefore, subAfter, endTransaction, recall][choice] ?? recall
)

const recallOf = (msgId: string): TraceData.TraceRecord => ({
  type: "Recall",
  timeStamp: 1,
  regionId: "R",
  groupName: "g",
  topic: "t",
  msgId,
  isSuccess: true
})

describe("TraceData", () => {
  it("reads and writes the trace of a send that the Java client recorded", () => {
    const message = storedTrace("stored-trace-pub")
    const { error, records } = TraceData.decode(message.body)
    assert.isUndefined(error)
    assert.deepEqual(records, [
      {
        type: "Pub",
        timeStamp: 1_795_410_082_342,
        regionId: "DefaultRegion",
        groupName: "facts-trace-pg",
        topic: "facts-t9969",
        msgId: "FD0000000000000000000000000000023E8630946E09725FD2140017",
        tags: "TRC",
        keys: "trk",
        storeHost: "127.0.0.1:10911",
        bodyLength: 6,
        costTime: 19,
        msgType: TraceData.TraceMessageType.NORMAL,
        offsetMsgId: "7F00000100002A9F0000000000003E2D",
        isSuccess: true
      }
    ])
    assert.strictEqual(records.map(TraceData.encode).join(""), Buffer.from(message.body).toString())
    assert.deepEqual(TraceData.keysOf(records).toSorted(), message.properties["KEYS"]?.split(" ").toSorted())
  })

  it("reads and writes the trace of a consumption", () => {
    const message = storedTrace("stored-trace-sub")
    const { error, records } = TraceData.decode(message.body)
    assert.isUndefined(error)
    assert.deepEqual(
      records.map((record) => record.type),
      ["SubBefore", "SubAfter"]
    )
    const [before, after] = records
    if (before?.type !== "SubBefore" || after?.type !== "SubAfter") assert.fail("other records")
    assert.strictEqual(before.requestId, after.requestId)
    assert.strictEqual(before.msgId, after.msgId)
    assert.strictEqual(after.contextCode, TraceData.TraceContextCode.SUCCESS)
    assert.strictEqual(after.groupName, "facts-trace-cg")
    assert.strictEqual(records.map(TraceData.encode).join(""), Buffer.from(message.body).toString())
    assert.deepEqual(TraceData.keysOf(records).toSorted(), message.properties["KEYS"]?.split(" ").toSorted())
  })

  it("reads older forms", () => {
    const [a, b] = read(
      wire("Pub|1|R|g|t|ID|null|null|h:1|6|19|0|true$Pub|1|R|g|t|ID|tag||h:1|6|19|3|OFF|false|10.0.0.1$")
    )
    assert.deepInclude(a, { offsetMsgId: undefined, isSuccess: true, tags: undefined, keys: undefined })
    assert.deepInclude(b, { offsetMsgId: "OFF", isSuccess: false, clientHost: "10.0.0.1", keys: "", msgType: 3 })

    const after = read(wire("SubAfter|RQ|ID|3|true|k$SubAfter|RQ|ID|3|true|k|4$SubAfter|RQ|ID|3|true|k|4|$"))
    assert.deepInclude(after[0], { contextCode: undefined, timeStamp: undefined, keys: "k" })
    // The second as older clients write it, the third as clients of the cloud do.
    for (const record of after.slice(1)) {
      assert.deepInclude(record, { contextCode: 4, timeStamp: undefined, groupName: undefined })
    }
    // What Java's own reader cannot: no keys at the end.
    assert.deepInclude(read(wire("SubBefore|1|R|g|RQ|ID|2|$"))[0], { keys: "", retryTimes: 2 })
  })

  it("leaves out what it does not know, and tells of the first record that it cannot read", () => {
    assert.deepEqual(TraceData.decode(""), { records: [], error: undefined })
    assert.deepEqual(read(wire("Later|1|2$$")), [])
    const { error, records } = TraceData.decode(
      wire("Recall|soon|R|g|t|ID|true$Recall|5|R|g|t|ID|true$EndTransaction|1|R|g|t|ID|||h|2|TX|MAYBE|true$Pub$")
    )
    assert.deepEqual(records, [
      { type: "Recall", timeStamp: 5, regionId: "R", groupName: "g", topic: "t", msgId: "ID", isSuccess: true }
    ])
    assert.strictEqual(error?.field, "Recall[0].timeStamp")
    const state = TraceData.decode(wire("EndTransaction|1|R|g|t|ID|||h|2|TX|MAYBE|true$")).error
    assert.strictEqual(state?.field, "EndTransaction[0].transactionState")
    assert.strictEqual(TraceData.decode(wire("Pub$")).error?.field, "Pub[0].timeStamp")
  })

  it("a separator inside a text does not shift what follows", () => {
    const record: TraceData.TraceRecord = {
      type: "Recall",
      timeStamp: 1,
      regionId: "R\u0001\u0002",
      groupName: "g",
      topic: "t",
      msgId: "ID",
      isSuccess: true
    }
    assert.deepEqual(read(TraceData.encode(record)), [{ ...record, regionId: "R  " }])
  })

  it("keys are the ids and keys of all records, each once", () => {
    assert.deepEqual(TraceData.keysOf([recallOf("A,B"), recallOf("B"), recallOf("")]), ["A", "B"])
  })

  it.prop("reading undoes writing", [Arbitrary.array(anyRecord, { maxLength: 6 })], ([records]) => {
    const back = read(records.map(TraceData.encode).join(""))
    assert.deepEqual(back, records)
  })

  it.prop("any bytes are read without an exception", [Schema.Uint8Array], ([bytes]) => {
    const { records } = TraceData.decode(bytes)
    assert.isTrue(Array.isArray(records))
  })
})
