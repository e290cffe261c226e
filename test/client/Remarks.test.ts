import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Exit, Layer, Logger, Schema } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { RemotingCommand, Response } from "../../src/protocol/RemotingCommand.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import { failureOf, makeProducer, onMemory, text, timed } from "../support/rig.ts"

const control = /\p{Cc}/u

/** Every message of an error and of what it holds. */
const messagesOf = (value: unknown, seen = new Set<unknown>()): ReadonlyArray<string> => {
  if (typeof value !== "object" || value === null || seen.has(value)) return []
  seen.add(value)
  const own = value instanceof Error ? [value.message] : []
  // What a platform's error says stands in `cause` alone and is not ours.
  return [...own, ...Object.entries(value).flatMap(([name, part]) => (name === "cause" ? [] : messagesOf(part, seen)))]
}

/** Keeps what is logged. */
const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ cause, message }) => {
    lines.push([message].flat().map(String).join(" "))
    for (const reason of cause.reasons) if (reason._tag === "Fail") lines.push(...messagesOf(reason.error))
  })
  return { lines, layer: Logger.layer([logger]) }
}

const noControls = (lines: ReadonlyArray<string>) => {
  for (const line of lines) assert.notMatch(line, control, JSON.stringify(line))
}

const failures = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<string> =>
  Exit.isFailure(exit) ? messagesOf(Cause.squash(exit.cause)) : []

/** Text that would do something to a terminal: colours, titles, cursor moves, line breaks, bells. */
const hostile = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(
      Schema.Literals([
        "\u001b[31m",
        "\u001b]0;owned\u0007",
        "\u001b[2J\u001b[H",
        "\r\n2026-01-01 ERROR faked line",
        "\u009b1m",
        "\u0000",
        "\b\b\b",
        "\u007f",
        "AclException: ",
        "check signature failed.",
        "User:\u001b[1mroot is not found",
        "plain words",
        "\ttab",
        "start flow control for a while"
      ])
    ),
    { minLength: 1, maxLength: 8 }
  ),
  (parts) => parts.join("")
)

const codes = Arbitrary.schema(
  Schema.Literals([
    ResponseCode.SYSTEM_ERROR,
    ResponseCode.SYSTEM_BUSY,
    ResponseCode.MESSAGE_ILLEGAL,
    ResponseCode.NO_PERMISSION,
    ResponseCode.TOPIC_NOT_EXIST,
    ResponseCode.FLOW_CONTROL,
    777
  ])
)

describe("what servers say", () => {
  it.effect.prop(
    "B10: no remark brings a control character into an error or a log",
    { remark: hostile, code: codes, where: Arbitrary.schema(Schema.Literals(["namesrv", "broker-a"])) },
    ({ code, remark, where }) => {
      const { layer, lines } = logged()
      return Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: { broker: where }, actions: [FaultScript.answer(code, remark)] })
        const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"], sendMsgTimeout: 300 })
        const started = (yield* timed(producer.start)).exit
        const lazy = yield* makeProducer({ readiness: "lazy", producerGroup: "lazy", sendMsgTimeout: 300 })
        yield* lazy.start
        const sent = (yield* timed(lazy.send(text("orders")))).exit
        const state = JSON.stringify(yield* lazy.state)
        yield* timed(lazy.shutdown)
        assert.strictEqual(failureOf(sent)._tag, "SendError")
        noControls([...failures(started), ...failures(sent), ...lines])
        assert.notMatch(state, /\\u00(?:[01][0-9a-f]|7f|[89][0-9a-f])|\\[bfnrt]/)
      }).pipe(Effect.provide(layer), onMemory({ topics: { orders: {} } }))
    },
    { arbitrary: { runs: 40 } }
  )

  it.effect.prop(
    "nor does a route",
    { name: hostile, address: hostile, order: hostile },
    ({ address, name, order }) => {
      const { layer, lines } = logged()
      const handler = (command: RemotingCommand): Effect.Effect<Response> =>
        Effect.succeed(
          command.code === RequestCode.GET_ROUTEINFO_BY_TOPIC
            ? GetRouteInfoByTopic.response(
                {
                  orderTopicConf: `${order}:4`,
                  queueDatas: ["good", name].map((brokerName) => ({
                    brokerName,
                    readQueueNums: 4,
                    writeQueueNums: 4,
                    perm: 6,
                    topicSysFlag: 0
                  })),
                  brokerDatas: [
                    { cluster: name, brokerName: name, brokerAddrs: new Map([[0, "127.0.0.1:1"]]) },
                    { cluster: name, brokerName: "good", brokerAddrs: new Map([[0, `${address}:10911`]]) }
                  ],
                  filterServerTable: new Map()
                },
                { standardJson: true }
              )
            : { code: ResponseCode.SYSTEM_ERROR }
        )
      return Effect.gen(function* () {
        const { address: namesrvAddr } = yield* RemotingServer.listen({ address: "127.0.0.1:9876", handler })
        const producer = yield* DefaultMQProducer.make({
          producerGroup: "pg",
          namesrvAddr,
          readiness: "lazy",
          sendMsgTimeout: 300
        })
        yield* producer.start
        const { exit } = yield* timed(producer.send(text("orders")))
        yield* timed(producer.shutdown)
        assert.strictEqual(failureOf(exit)._tag, "SendError")
        noControls([...failures(exit), ...lines])
      }).pipe(
        Effect.scoped,
        Effect.provide(layer),
        Effect.provide(MQClientManager.layer.pipe(Layer.provideMerge(MemoryWire.layer)))
      )
    },
    { arbitrary: { runs: 30 } }
  )
})
