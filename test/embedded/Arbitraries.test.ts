import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { Arbitraries } from "../../src/testing/index.ts"
import * as MixAll from "../../src/message/MixAll.ts"
import { makeFrameDecoder } from "../../src/protocol/Frame.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import * as FrameCodec from "../../src/protocol/Frame.ts"
import * as TopicRouteData from "../../src/protocol/TopicRouteData.ts"
import { orThrow } from "./support.ts"

const runs = { arbitrary: { runs: 200 } }

describe("arbitraries", () => {
  it.prop(
    "messages are what a send accepts",
    { message: Arbitraries.message },
    ({ message }) => {
      assert.isTrue(MixAll.isValidName(message.topic))
      assert.isAtMost(message.topic.length, MixAll.TOPIC_MAX_LENGTH)
      assert.isFalse(MixAll.isSystemTopic(message.topic))
      assert.isAbove(message.body.length, 0)
      for (const name of Object.keys(message.properties ?? {})) assert.isFalse(MessageProperties.isReserved(name))
      const properties = message.properties ?? {}
      assert.deepStrictEqual({ ...MessageProperties.decode(MessageProperties.encode(properties)) }, properties)
      for (const key of message.keys ?? []) assert.notInclude(key, " ")
      assert.strictEqual((message.flag ?? 0) | 0, message.flag ?? 0)
    },
    runs
  )

  it.prop(
    "routes survive the wire",
    { route: Arbitraries.topicRoute },
    ({ route }) => {
      for (const standardJson of [true, false]) {
        assert.deepStrictEqual(orThrow(TopicRouteData.decode(TopicRouteData.encode(route, { standardJson }))), route)
      }
    },
    runs
  )

  it.prop(
    "frames survive the wire",
    { frame: Arbitraries.frame },
    ({ frame }) => {
      const { commands, error } = makeFrameDecoder().push(FrameCodec.encode(frame))
      assert.isUndefined(error)
      const [command] = commands
      assert.strictEqual(command?.code, frame.code)
      assert.deepStrictEqual(command?.body, frame.body)
      assert.deepStrictEqual(command?.extFields && { ...command.extFields }, frame.extFields && { ...frame.extFields })
      assert.strictEqual(command?.remark, frame.remark)
      assert.strictEqual(command?.opaque, frame.opaque)
    },
    runs
  )

  it.effect("reach text beyond ASCII", () =>
    Effect.gen(function* () {
      const texts = yield* Arbitrary.sampleEffect(Arbitraries.text, { count: 200, seed: 1 })
      assert.isTrue(texts.some((text) => text.includes("😀")))
      assert.isTrue(texts.some((text) => text.includes("中")))
    })
  )
})
