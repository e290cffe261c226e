import { assert, describe, it } from "@effect/vitest"
import * as MessageStore from "../../../src/embedded/store/MessageStore.ts"
import * as StoredMessage from "../../../src/embedded/store/StoredMessage.ts"
import * as MessageExt from "../../../src/message/MessageExt.ts"
import { encodeOffsetMessageId } from "../../../src/message/MessageId.ts"
import { golden, goldenCommand, goldenNames } from "../../protocol/goldenFrames.ts"
import { messagesOf } from "../support.ts"

/** Recorded answers of a real broker that carry stored messages. */
const names = goldenNames.filter((name) => (golden(name).decoded.storedMessages ?? []).length > 0)

describe("stored messages as a real broker writes them", () => {
  it.each(names)("%s", (name) => {
    const answer = goldenCommand(golden(name))
    const messages = messagesOf(answer)
    assert.isAbove(messages.length, 0)
    // Each message, taken in again, lies in the log byte for byte as the real broker wrote it.
    const bytes = messages.map((message) => StoredMessage.encode(message, message.queueOffset, message.commitLogOffset))
    assert.strictEqual(Buffer.concat(bytes).toString("hex"), Buffer.from(answer.body).toString("hex"))
    // And through the store: only the offsets are this log's own.
    for (const message of messages) {
      const [entry] = MessageStore.make().append([message])
      assert.deepStrictEqual(entry === undefined ? [] : StoredMessage.decode(entry), [
        MessageExt.make({ ...message, queueOffset: 0, commitLogOffset: 0 })
      ])
    }
  })

  it("has vectors", () => {
    assert.isAtLeast(names.length, 8)
  })

  it("the broker's message id is its address and the log offset", () => {
    assert.strictEqual(encodeOffsetMessageId("127.0.0.1:10911", 4954), "7F00000100002A9F000000000000135A")
    assert.strictEqual(
      encodeOffsetMessageId("[2001:db8::1]:10911", 4954),
      "20010DB800000000000000000000000100002A9F000000000000135A"
    )
  })
})
