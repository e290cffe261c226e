import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Effect, Exit, Logger, Metric, Redacted, Ref, Schema, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import { AccessDenied, accessProblemOf } from "../../src/client/AccessDenied.ts"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { type Credentials, CredentialsUnavailable, SessionCredentials } from "../../src/client/SessionCredentials.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions, FaultScript } from "../../src/testing/index.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { failureOf, makeProducer, onMemory, runs, settle, startProducer, text, timed } from "../support/rig.ts"

const secret = Redacted.make("writer-secret")
const writer: Credentials = { accessKey: "writer", secretKey: secret }

/** A cluster with a user who may do everything and one who may only write orders. */
const cluster = (over: EmbeddedClusterOptions = {}): EmbeddedClusterOptions => ({
  topics: { orders: {}, secrets: {} },
  acl: {
    users: [
      { accessKey: "admin", secretKey: "admin-secret" },
      { accessKey: "writer", secretKey: "writer-secret", permissions: { "Topic:orders": ["Pub"] } }
    ],
    nameServer: true
  },
  ...over
})

/** What the start was refused with. */
const refusedStart = (given: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"], ...given })
    const { exit, millis } = yield* timed(producer.start)
    const { reason, retryable } = failureOf(exit)
    assert.isFalse(retryable)
    assert.isBelow(millis, 1_000)
    if (reason._tag !== "AccessDenied") throw new Error(reason.message)
    return reason
  })

/** What a send was refused with, after one attempt at most. */
const refusedSend = (given: Partial<ProducerOptions>, topic = "orders") =>
  Effect.gen(function* () {
    const producer = yield* startProducer({ readiness: "lazy", ...given })
    const { exit, millis } = yield* timed(producer.send(text(topic)))
    const error = failureOf(exit)
    assert.isAtMost(error.attempts.length, 1)
    assert.isFalse(error.retryable)
    assert.isBelow(millis, 1_000)
    assert.strictEqual(error.outcome, error.attempts.length === 0 ? "not-sent" : "rejected")
    if (error.reason._tag !== "AccessDenied") throw new Error(error.message)
    yield* producer.shutdown
    return error.reason
  })

describe("signed requests", () => {
  it.effect("every request of an instance is signed, those to name servers, heartbeats and farewells too", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ credentials: writer, readiness: "registered", topics: ["orders"] })
      yield* producer.send(text("orders"))
      yield* producer.sendOneway(text("orders"))
      yield* TestClock.adjust(65_000)
      yield* settle
      yield* producer.shutdown
      const requests = yield* traffic.all
      const codes = new Set(requests.map((request) => request.code))
      for (const code of [
        RequestCode.GET_ROUTEINFO_BY_TOPIC,
        RequestCode.HEART_BEAT,
        RequestCode.SEND_MESSAGE_V2,
        RequestCode.UNREGISTER_CLIENT
      ]) {
        assert.isTrue(codes.has(code), String(code))
      }
      for (const { codeName, extFields, oneway, answer } of requests) {
        assert.strictEqual(extFields?.["AccessKey"], "writer", codeName)
        assert.isString(extFields?.["Signature"], codeName)
        if (!oneway) assert.notStrictEqual(answer?.code, ResponseCode.NO_PERMISSION, codeName)
      }
      const { messages } = yield* EmbeddedCluster
      assert.strictEqual((yield* messages("orders")).length, 2)
    }).pipe(onMemory(cluster()))
  )

  it.effect("a security token goes out and is signed", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ credentials: { ...writer, securityToken: Redacted.make("token-1") } })
      yield* producer.send(text("orders"))
      const [sent] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.strictEqual(sent?.extFields?.["SecurityToken"], "token-1")
    }).pipe(onMemory(cluster()))
  )

  for (const version of [513, 407]) {
    describe(`a server of version ${version}`, () => {
      const wrong: ReadonlyArray<
        readonly [string, Credentials | undefined, AccessDenied["problem"], string | undefined]
      > = [
        ["a wrong secret", { ...writer, secretKey: Redacted.make("guess") }, "signature", undefined],
        ["an unknown user", { ...writer, accessKey: "nobody" }, "unknown-user", "nobody"],
        ["no credentials", undefined, "no-credentials", undefined]
      ]
      for (const [name, credentials, problem, user] of wrong) {
        it.effect(`H3: ${name}: typed at the start and at the send, and not tried again`, () =>
          Effect.gen(function* () {
            const { traffic } = yield* EmbeddedCluster
            const started = yield* refusedStart({ credentials })
            assert.strictEqual(started.problem, problem)
            const sent = yield* refusedSend({ credentials })
            assert.strictEqual(sent.problem, problem)
            assert.strictEqual(sent.request, "SEND_MESSAGE_V2")
            assert.isAtMost((yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)).length, 1)
            if (user !== undefined) assert.strictEqual(sent.user, user)
            for (const { message } of [started, sent]) {
              assert.notInclude(message, "guess")
              assert.notInclude(message, "plain.PlainPermissionManager")
            }
          }).pipe(onMemory(cluster({ version, acl: { users: [{ accessKey: "writer", secretKey: "writer-secret" }] } })))
        )
      }

      it.effect("H3: no permission on a topic, with the user's name where the server says it", () =>
        Effect.gen(function* () {
          const reason = yield* refusedSend({ credentials: writer }, "secrets")
          assert.strictEqual(reason.problem, "permission")
          assert.include(reason.message, "secrets")
          assert.strictEqual(reason.user, version < 413 ? undefined : "writer")
          const other = yield* startProducer({ credentials: writer, producerGroup: "pg2" })
          yield* other.send(text("orders"))
        }).pipe(onMemory(cluster({ version })))
      )
    })
  }

  it.effect("H3: a name server that checks too: the start says so, and so does a send of a lazy one", () =>
    Effect.gen(function* () {
      const credentials = { ...writer, secretKey: Redacted.make("guess") }
      const started = yield* refusedStart({ credentials, readiness: "nameServer" })
      assert.deepStrictEqual([started.problem, started.request], ["signature", "GET_ROUTEINFO_BY_TOPIC"])
      const routed = yield* refusedStart({ credentials, readiness: "routes" })
      assert.strictEqual(routed.problem, "signature")
      const sent = yield* refusedSend({ credentials })
      assert.strictEqual(sent.request, "GET_ROUTEINFO_BY_TOPIC")
    }).pipe(onMemory(cluster()))
  )

  it("H3: code 16 is a refusal of the user only where the server says so", () => {
    // As RocketMQ's processors word what may pass: a permission of the topic or of the broker, a suspended group.
    for (const remark of [
      "the broker[127.0.0.1] sending message is forbidden",
      "the topic[orders] sending message is forbidden",
      "sending message to topic[TBW102] is forbidden",
      "the consumer's subscription group[cg] not permitted",
      "the consumer group[cg] is not allowed to pull",
      "Rejected the transaction message, transaction message is disabled",
      "the broker does not support timestamps that are expired",
      ""
    ]) {
      assert.strictEqual(
        accessProblemOf(ResponseCode.NO_PERMISSION, remark),
        remark.includes("timestamps") ? "clock" : undefined,
        remark
      )
    }
    assert.strictEqual(accessProblemOf(ResponseCode.SYSTEM_ERROR, "check signature failed."), undefined)
    assert.strictEqual(accessProblemOf(ResponseCode.SYSTEM_ERROR, "java.lang.NullPointerException"), undefined)
    const said: ReadonlyArray<readonly [string, AccessDenied["problem"]]> = [
      ["check signature failed.", "signature"],
      ["User:nobody is not found.", "unknown-user"],
      ["User:nobody not found.", "unknown-user"],
      ["User:writer is disabled.", "user-disabled"],
      ["username cannot be null.", "no-credentials"],
      ["User:w has no permission to access Topic:x from 127.0.0.1, the decision is deny.", "permission"],
      ["Authentication failed. Please verify the credentials and try again.", "signature"],
      ["Authorization failed. Please verify your access rights and try again.", "permission"],
      ["authentication header is incorrect.", "other"],
      ["the request timestamp has expired", "clock"]
    ]
    for (const [remark, problem] of said) {
      assert.strictEqual(accessProblemOf(ResponseCode.NO_PERMISSION, remark), problem, remark)
    }
  })

  it.effect("a topic that may not be written is tried elsewhere as before", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ credentials: writer })
      yield* producer.send(text("orders"))
      const forbidden = "the topic[orders] sending message is forbidden"
      yield* faults.add({
        match: { code: RequestCode.SEND_MESSAGE_V2 },
        actions: [FaultScript.answer(ResponseCode.NO_PERMISSION, forbidden)]
      })
      const { exit } = yield* timed(producer.send(text("orders")))
      const error = failureOf(exit)
      assert.isAbove(error.attempts.length, 1)
      const [first] = error.attempts
      assert.strictEqual(first?.cause._tag, "BrokerRejected")
    }).pipe(onMemory(cluster({ brokers: 2 })))
  )
})

describe("a source of credentials", () => {
  it.effect("is asked for every request, so that new credentials need no restart", () =>
    Effect.gen(function* () {
      const current = yield* Ref.make<Credentials>({ ...writer, secretKey: Redacted.make("old") })
      const asked = yield* Ref.make(0)
      const get = Effect.andThen(
        Ref.update(asked, (n) => n + 1),
        Ref.get(current)
      )
      const producer = yield* startProducer({ readiness: "lazy" }).pipe(Effect.provide(SessionCredentials.layer(get)))
      const { exit } = yield* timed(producer.send(text("orders")))
      assert.strictEqual(failureOf(exit).reason._tag, "AccessDenied")
      yield* Ref.set(current, writer)
      const before = yield* Ref.get(asked)
      yield* producer.send(text("orders"))
      assert.isAbove(yield* Ref.get(asked), before)
      assert.strictEqual((yield* producer.state).serviceState, "RUNNING")
    }).pipe(onMemory(cluster()))
  )

  it.effect("that fails or dies: nothing is sent without a signature", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      for (const get of [
        Effect.fail(new CredentialsUnavailable({ detail: "the vault is closed" })),
        Effect.die(new Error("broken"))
      ]) {
        const producer = yield* startProducer({ readiness: "lazy", credentials: { get } })
        const { exit } = yield* timed(producer.send(text("orders")))
        const error = failureOf(exit)
        assert.strictEqual(error.outcome, "not-sent")
        assert.strictEqual(error.reason._tag, "RouteUnavailable")
        if (error.reason._tag === "RouteUnavailable") assert.strictEqual(error.reason.problem, "request-not-signed")
        yield* producer.shutdown
      }
      assert.strictEqual((yield* traffic.all).length, 0)
    }).pipe(onMemory(cluster()))
  )

  it.effect("that fails later on: RpcHookFailed, and well again when it is", () =>
    Effect.gen(function* () {
      const fails = yield* Ref.make(false)
      const get = Effect.flatMap(Ref.get(fails), (failing) =>
        failing ? Effect.fail(new CredentialsUnavailable({ detail: "the vault is closed" })) : Effect.succeed(writer)
      )
      const producer = yield* startProducer({ credentials: { get } })
      yield* producer.send(text("orders"))
      yield* Ref.set(fails, true)
      const error = failureOf(yield* Effect.exit(producer.send(text("orders"))))
      assert.deepStrictEqual([error.reason._tag, error.outcome], ["RpcHookFailed", "not-sent"])
      const oneway = failureOf(yield* Effect.exit(producer.sendOneway(text("orders"))))
      assert.strictEqual(oneway.reason._tag, "RpcHookFailed")
      yield* Ref.set(fails, false)
      yield* producer.send(text("orders"))
    }).pipe(onMemory(cluster()))
  )

  it.effect("that hangs holds a send up no longer than the send may take", () =>
    Effect.gen(function* () {
      const hangs = yield* Ref.make(false)
      const get = Effect.flatMap(Ref.get(hangs), (hanging) => (hanging ? Effect.never : Effect.succeed(writer)))
      const producer = yield* startProducer({ credentials: { get } })
      yield* producer.send(text("orders"))
      yield* Ref.set(hangs, true)
      const { exit, millis } = yield* timed(producer.send(text("orders"), { timeoutMillis: 500 }))
      assert.strictEqual(failureOf(exit).outcome, "not-sent")
      assert.isAtMost(millis, 510)
      yield* Ref.set(hangs, false)
    }).pipe(onMemory(cluster()))
  )
})

const start = (credentials: ProducerOptions["credentials"], producerGroup: string) =>
  startProducer({ credentials, producerGroup, instanceName: "one", readiness: "lazy" })

const problems = (credentials: Credentials) =>
  ClientConfig.resolve({ credentials }).problems.map((p) => `${p.path} ${p.problem}`)

describe("instances and credentials", () => {
  it.effect("are shared by equal credentials only", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      yield* start(writer, "a")
      yield* start({ accessKey: "writer", secretKey: Redacted.make("writer-secret") }, "b")
      assert.strictEqual(yield* manager.size, 1)
      yield* start({ ...writer, secretKey: Redacted.make("another") }, "c")
      assert.strictEqual(yield* manager.size, 2)
      yield* start({ ...writer, securityToken: Redacted.make("t") }, "d")
      assert.strictEqual(yield* manager.size, 3)
      yield* start({ ...writer, accessKey: "admin" }, "e")
      assert.strictEqual(yield* manager.size, 4)
      const source = { get: Effect.succeed(writer) }
      yield* start(source, "f")
      yield* start(source, "g")
      assert.strictEqual(yield* manager.size, 5)
      yield* start({ get: Effect.succeed(writer) }, "h")
      assert.strictEqual(yield* manager.size, 6)
    }).pipe(onMemory(cluster()))
  )

  it("blank or bare credentials are no configuration", () => {
    assert.deepStrictEqual(problems(writer), [])
    assert.deepStrictEqual(problems({ ...writer, accessKey: " " }), ["credentials accessKey is blank"])
    assert.deepStrictEqual(problems({ ...writer, secretKey: Redacted.make("") }), ["credentials secretKey is empty"])
  })
})

const json = (value: unknown) =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "undefined"

/** Everything that a program could write somewhere, as text. */
const watch = () => {
  const seen: Array<string> = []
  const note = (value: unknown) => {
    seen.push(inspect(value, { depth: 20, showHidden: true, getters: true }), json(value))
    if (value instanceof Error) seen.push(value.message, String(value), value.stack ?? "")
  }
  const logger = Logger.make((entry) => {
    note(entry.message)
    note(entry.cause)
    seen.push(Logger.formatLogFmt.log(entry), inspect(Logger.formatStructured.log(entry), { depth: 20 }))
  })
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const spans: Array<Tracer.NativeSpan> = []
  return {
    note,
    noteExit: (exit: Exit.Exit<unknown, unknown>) => {
      note(exit)
      if (Exit.isFailure(exit)) {
        note(Cause.squash(exit.cause))
        seen.push(Cause.pretty(exit.cause))
      }
    },
    layer: Logger.layer([logger]),
    tracer,
    end: Effect.gen(function* () {
      for (const span of spans) note([span.name, [...span.attributes], span.events, span.status, span.links])
      note(yield* Metric.snapshot)
      return seen
    })
  }
}

describe("secrets", () => {
  const word = Arbitrary.map(
    Arbitrary.schema(Schema.String.check(Schema.isPattern(/^[a-zA-Z0-9]{8,40}$/))),
    (rest) => `s3cr3t${rest}`
  )

  it.effect.prop(
    "H3: no secret is in any error, log, span, metric, state, key or JSON, whatever goes wrong",
    { key: word, token: word, passphrase: word },
    ({ key, passphrase, token }) =>
      Effect.gen(function* () {
        const { faults, namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const watched = watch()
        const credentials: Credentials = {
          accessKey: "writer",
          secretKey: Redacted.make(key),
          securityToken: Redacted.make(token)
        }
        const tls = { cert: "no certificate", key: Redacted.make(key), passphrase: Redacted.make(passphrase) }
        const attempt = (given: Partial<ProducerOptions>) =>
          Effect.gen(function* () {
            const producer = yield* makeProducer({ credentials, topics: ["orders"], ...given })
            watched.noteExit((yield* timed(producer.start)).exit)
            watched.noteExit((yield* timed(producer.send(text("orders")))).exit)
            watched.noteExit((yield* timed(producer.sendOneway(text("orders")))).exit)
            watched.note(yield* producer.state)
            yield* timed(producer.shutdown)
            watched.note(producer)
            watched.note(yield* producer.state)
          })
        yield* Effect.gen(function* () {
          // The right secret, so that every path behind the signature is walked too.
          yield* attempt({ readiness: "registered" })
          yield* attempt({ readiness: "lazy", credentials: { ...credentials, accessKey: "nobody" } })
          yield* attempt({ readiness: "registered", credentials: { ...credentials, accessKey: "nobody" } })
          yield* attempt({ readiness: "lazy", credentials: { ...credentials, secretKey: Redacted.make(passphrase) } })
          yield* faults.add({ actions: [FaultScript.answer(16, "the request timestamp has expired")] })
          yield* attempt({ readiness: "lazy" })
          yield* faults.clear
          yield* attempt({ tls })
          yield* attempt({ credentials: { ...credentials, accessKey: " " }, tls })
          yield* attempt({ credentials: { get: Effect.die({ broken: true }) } })
          yield* faults.add({ match: { broker: "broker-a", every: 2 }, actions: [FaultScript.corruptResponse] })
          yield* attempt({ readiness: "lazy" })
          yield* faults.clear
          yield* network.setReachable(namesrvAddr, "refuse")
          yield* attempt({ readiness: "nameServer" })
          watched.note(ClientConfig.sharingKey({ ...ClientConfig.defaults, credentials, tls }))
          watched.note({ ...ClientConfig.defaults, credentials, tls })
        }).pipe(Effect.withTracer(watched.tracer), Effect.provide(watched.layer))
        const seen = yield* watched.end
        assert.isAbove(seen.length, 50)
        // Half a megabyte: an assertion for each of its lines costs more than all the rest.
        const shown = seen.join("\n")
        for (const one of [key, token, passphrase]) {
          const at = shown.indexOf(one)
          assert.strictEqual(at, -1, shown.slice(Math.max(0, at - 200), at + 200))
        }
      }).pipe(
        Effect.provideService(Metric.MetricRegistry, new Map()),
        onMemory(cluster({ acl: { users: [{ accessKey: "writer", secretKey: key }] } }))
      ),
    // Each walks every path; only the texts differ. Fifty starts of producers are a property's time, not a test's.
    runs(5)
  )
})
