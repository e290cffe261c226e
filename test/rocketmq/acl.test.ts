import { assert, layer } from "@effect/vitest"
import { Effect, Redacted, Ref } from "effect"
import type { AccessProblem } from "../../src/client/AccessDenied.ts"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { type Credentials, SessionCredentials } from "../../src/client/SessionCredentials.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { failureOf, text } from "../support/rig.ts"
import { admin, guardedBy, writer } from "./accessControl.ts"
import { RocketMQ, type RocketMQOptions } from "./RocketMQServer.ts"

/**
 * What brokers with access control answer, as these tests found it. ACL 1.0 (4.9.7) throws, so the code is 1, as for a
 * broker that crashed, and the remark begins with `org.apache.rocketmq.acl.common.AclException:`; ACL 2.0 (5.5.0) answers
 * with 16, as for a topic that may not be written, and the remark alone tells the two apart. Heartbeats are checked as
 * well; name servers check nothing.
 */

const servers: ReadonlyArray<RocketMQOptions> = (["4.9.7", "5.5.0"] as const).map((version) => ({
  version,
  ...guardedBy[version]
}))

const options = (given: Partial<ProducerOptions>) =>
  Effect.map(RocketMQ, ({ namesrvAddr }): ProducerOptions => ({
    producerGroup: "acl-pg",
    namesrvAddr,
    // A Java server that has just started may take seconds to check its first signatures.
    mqClientApiTimeout: 20_000,
    sendMsgTimeout: 20_000,
    startTimeoutMillis: 60_000,
    ...given
  }))

const makeProducer = (given: Partial<ProducerOptions>) => Effect.flatMap(options(given), DefaultMQProducer.make)

const startProducer = (given: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(given)
    yield* producer.start
    yield* Effect.addFinalizer(() => producer.shutdown)
    return producer
  })

/** The users of 5.x are made on the broker, by the calls for it; those of 4.x stand in its file, and the calls say so. */
const makeUsers = Effect.gen(function* () {
  const { namesrvAddr, version } = yield* RocketMQ
  const { accessKey: username, secretKey: password } = writer
  const calls = yield* makeAdmin({ namesrvAddr, credentials: admin, adminTimeoutMillis: 20_000 })
  if (version !== "5.5.0") {
    const { reason } = yield* Effect.flip(calls.createUser({ username, password }))
    assert.deepInclude(reason, { _tag: "NoAccessControl", problem: "release" })
    return
  }
  const subject = `User:${username}`
  yield* calls.createUser({ username, password: Redacted.make("another") })
  yield* calls.updateUser({ username, password })
  const again = yield* Effect.flip(calls.createUser({ username, password }))
  assert.deepInclude(again.reason, { _tag: "BrokerRejected", remark: "The user is existed" })
  yield* calls.createAcl({ subject, resources: ["Topic:orders", "Topic:gone"], actions: ["Pub"] })
  yield* calls.updateAcl({ subject, resources: ["Topic:secrets"], actions: ["Sub"], sourceIps: ["127.0.0.1"] })
  yield* calls.deleteAcl(subject, { resource: "Topic:gone" })
  const right = { subject, policyType: "Custom", decision: "Allow", brokers: ["broker-a"] }
  assert.sameDeepMembers(
    [...(yield* calls.listAcl({ subject }))],
    [
      { ...right, resource: "Topic:orders", actions: ["Pub"], sourceIps: [] },
      { ...right, resource: "Topic:secrets", actions: ["Sub"], sourceIps: ["127.0.0.1"] }
    ]
  )
  yield* calls.createUser({ username: "passing", password })
  yield* calls.updateUser({ username: "passing", userStatus: "disable" })
  assert.deepStrictEqual(yield* calls.listUser({ filter: "passing" }), [
    { username: "passing", userType: "Normal", userStatus: "disable", brokers: ["broker-a"] }
  ])
  yield* calls.deleteUser("passing")
  assert.deepStrictEqual(yield* calls.listUser({ filter: "passing" }), [])
}).pipe(Effect.scoped)

/** What a start and a send are refused with. */
const refusals = (credentials: Credentials | undefined) =>
  Effect.gen(function* () {
    const strict = yield* makeProducer({ credentials, readiness: "registered", topics: ["orders"] })
    const started = failureOf(yield* Effect.exit(strict.start))
    const lazy = yield* startProducer({ credentials, readiness: "nameServer" })
    const sent = failureOf(yield* Effect.exit(lazy.send(text("orders"))))
    assert.deepStrictEqual([sent.attempts.length, sent.outcome, sent.retryable], [1, "rejected", false])
    for (const { message } of [started, sent]) assert.notInclude(message, "guess")
    return [started.reason, sent.reason]
  }).pipe(Effect.scoped)

const wrong: ReadonlyArray<readonly [string, Credentials | undefined, AccessProblem]> = [
  ["a wrong secret", { ...writer, secretKey: Redacted.make("guess") }, "signature"],
  ["an unknown user", { ...writer, accessKey: "nobody" }, "unknown-user"],
  ["no credentials", undefined, "no-credentials"]
]

for (const server of servers) {
  layer(RocketMQ.layer(server), { excludeTestServices: true, timeout: "10 minutes" })(
    `access control of RocketMQ ${server.version}`,
    (it) => {
      it.effect("lets an administrator in, with everything a producer does", () =>
        Effect.gen(function* () {
          yield* makeUsers
          const producer = yield* startProducer({ credentials: admin, readiness: "registered", topics: ["TBW102"] })
          for (const topic of ["orders", "secrets"]) {
            const { status } = yield* producer.send(text(topic))
            assert.strictEqual(status, "SEND_OK")
          }
          yield* producer.sendOneway(text("orders"))
        }).pipe(Effect.scoped, Effect.provide(MQClientManager.layerTcp))
      )

      it.effect("H3: lets a user do what it may, with a security token too, and refuses the rest", () =>
        Effect.gen(function* () {
          const credentials = { ...writer, securityToken: Redacted.make("token") }
          const producer = yield* startProducer({ credentials, readiness: "registered", topics: ["orders"] })
          assert.strictEqual((yield* producer.send(text("orders", "grüße 🚀"))).status, "SEND_OK")
          const { attempts, message, reason } = failureOf(yield* Effect.exit(producer.send(text("secrets"))))
          assert.strictEqual(attempts.length, 1)
          if (reason._tag !== "AccessDenied") throw new Error(message)
          assert.strictEqual(reason.problem, "permission")
          assert.include(message, "secrets")
          assert.notInclude(message, "PlainPermissionManager")
        }).pipe(Effect.scoped, Effect.provide(MQClientManager.layerTcp))
      )

      for (const [name, credentials, problem] of wrong) {
        it.effect(`H3: refuses ${name}, at the start and at the send`, () =>
          Effect.gen(function* () {
            for (const reason of yield* refusals(credentials)) {
              assert.strictEqual(reason._tag === "AccessDenied" ? reason.problem : reason._tag, problem)
            }
          }).pipe(Effect.provide(MQClientManager.layerTcp))
        )
      }

      it.effect("H3: takes rotated credentials without a restart", () =>
        Effect.gen(function* () {
          const current = yield* Ref.make<Credentials>({ ...writer, secretKey: Redacted.make("old") })
          const producer = yield* startProducer({}).pipe(Effect.provide(SessionCredentials.layer(Ref.get(current))))
          const before = failureOf(yield* Effect.exit(producer.send(text("orders"))))
          assert.strictEqual(before.reason._tag, "AccessDenied")
          yield* Ref.set(current, writer)
          assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
        }).pipe(Effect.scoped, Effect.provide(MQClientManager.layerTcp))
      )
    }
  )
}
