import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as MessageExt from "../../src/message/MessageExt.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { cli } from "../cli/support.ts"

const HALF = "\u{1f600}".slice(0, 1)

/** What asks nobody, and takes messages that were read. */
const askNobody: ReadonlySet<string> = new Set(["unpack", "originOfDeadLetter"])

const isCallResult = (value: unknown): value is Effect.Effect<unknown, unknown> => Effect.isEffect(value)

const onCluster = Effect.provide(
  Layer.unwrap(Effect.map(EmbeddedCluster, ({ namesrvAddr }) => MQAdmin.layer({ namesrvAddr }))).pipe(
    Layer.provide(MQClientManager.layer),
    Layer.provideMerge(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
  )
)

/** A dead letter with properties. */
const deadLetter = (properties: Readonly<Record<string, string>>) =>
  MessageExt.make(
    {
      topic: "%DLQ%billing",
      body: new Uint8Array(),
      properties,
      flag: 0,
      queueId: 0,
      queueOffset: 0,
      commitLogOffset: 0,
      sysFlag: 0,
      bornTimestamp: 0,
      bornHost: "",
      storeTimestamp: 0,
      storeHost: "",
      bodyCRC: 0,
      storeSize: 0,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    },
    ""
  )

describe("half an emoji given to an administrator", () => {
  it.effect("A44: is refused by every call that takes text, wherever it stands, and nothing is asked", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { traffic } = yield* EmbeddedCluster
      const before = (yield* traffic.all).length
      const tried: Array<string> = []
      for (const [name, call] of Object.entries(admin)) {
        if (typeof call !== "function" || askNobody.has(name)) continue
        tried.push(name)
        for (const given of [HALF, { topic: `a${HALF}` }, { attributes: { [HALF]: "x" } }, [{ group: HALF }]]) {
          const result: unknown = Reflect.apply(call, admin, [given])
          if (!isCallResult(result)) throw new Error(`${name} gave no effect`)
          const error = yield* Effect.flip(result)
          assert.strictEqual(error instanceof AdminError ? error.reason._tag : "", "InvalidText", name)
        }
      }
      assert.isAbove(tried.length, 25)
      assert.strictEqual((yield* traffic.all).length, before)
    }).pipe(onCluster)
  )

  it.effect("is a text like another to what asks nobody", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      assert.isUndefined(admin.originOfDeadLetter(deadLetter({})))
      assert.strictEqual(admin.originOfDeadLetter(deadLetter({ RETRY_TOPIC: `orders${HALF}` })), `orders${HALF}`)
      const odd = deadLetter({ TAGS: HALF })
      assert.deepStrictEqual(yield* admin.unpack(odd), odd)
    }).pipe(onCluster)
  )

  it.effect("names where it stands", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { message, reason } = yield* Effect.flip(admin.createTopic({ topic: `orders${HALF}` }))
      assert.deepInclude(reason, { _tag: "InvalidText", at: "[0].topic" })
      assert.strictEqual(
        message,
        "Could not call createTopic: The text at [0].topic of what the call was given holds half of a surrogate pair, such as half an emoji, for which there are no bytes. Nothing was asked; correct the text."
      )
      const key = yield* Effect.flip(admin.queryMessageByKey("orders", HALF))
      assert.deepInclude(key.reason, { at: "[1]" })
    }).pipe(onCluster)
  )

  it.effect("is a mistake in the command line's arguments", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      for (const args of [
        ["topic", "create", "--topic", `t${HALF}`],
        ["message", "query", "--topic", "orders", "--key", HALF],
        ["message", "get", "--topic", "orders", HALF],
        ["group", "create", "--group", HALF],
        ["send", "--topic", "orders", "--body", HALF],
        ["send", "--topic", "orders", "--body", "x", "--tags", HALF]
      ]) {
        const { exitCode, talk } = yield* cli([...args, "--namesrv", namesrvAddr])
        assert.strictEqual(exitCode, 2, args.join(" "))
        assert.isTrue(talk.join("\n").isWellFormed())
      }
    }).pipe(onCluster)
  )
})
