import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import type { Response } from "../../src/protocol/RemotingCommand.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"

const withAdmin = (version: number = MQVersion.V5_5_0) =>
  Effect.provide(
    Layer.unwrap(Effect.map(EmbeddedCluster, ({ namesrvAddr }) => MQAdmin.layer({ namesrvAddr }))).pipe(
      Layer.provide(MQClientManager.layer),
      Layer.provideMerge(EmbeddedCluster.layerMemory({ version, brokers: 2 }))
    )
  )

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    return error.reason
  })

const body = (value: unknown) => Buffer.from(JSON.stringify(value))

/** Has the brokers, or the one that is named, answer a request as a real one does. */
const answering = (code: number, response: Response, broker?: string) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    faults.add({ match: { code, broker }, actions: [{ _tag: "Answer", response }] })
  )

/** What was sent under a code, to each broker. */
const sent = (code: number) =>
  Effect.map(
    Effect.flatMap(EmbeddedCluster, ({ traffic }) => traffic.all),
    (all) => all.filter((one) => one.code === code)
  )

const user = (username: string, userType: string) => ({
  username,
  password: "secret",
  userType,
  userStatus: "enable"
})

describe("users and rights", () => {
  it.effect("users are listed once, with the brokers that have them, and without their passwords", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      yield* answering(
        RequestCode.AUTH_LIST_USER,
        { code: 0, body: body([user("zoe", "Normal"), user("admin", "Super")]) },
        "broker-a"
      )
      yield* answering(RequestCode.AUTH_LIST_USER, { code: 0, body: body([user("zoe", "Normal")]) }, "broker-b")
      assert.deepStrictEqual(yield* admin.listUser({ filter: "o" }), [
        { username: "admin", userType: "Super", userStatus: "enable", brokers: ["broker-a"] },
        { username: "zoe", userType: "Normal", userStatus: "enable", brokers: ["broker-a", "broker-b"] }
      ])
    }).pipe(withAdmin())
  )

  it.effect("every broker is told, and the first that says no ends it with those that were told", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const password = Redacted.make("secret")
      yield* answering(RequestCode.AUTH_CREATE_USER, { code: 0 })
      assert.deepStrictEqual(yield* admin.createUser({ username: "zoe", password }), ["broker-a", "broker-b"])
      const [first] = yield* sent(RequestCode.AUTH_CREATE_USER)
      assert.isDefined(first)
      yield* answering(RequestCode.AUTH_UPDATE_USER, { code: 0 }, "broker-a")
      yield* answering(
        RequestCode.AUTH_UPDATE_USER,
        { code: ResponseCode.NO_PERMISSION, remark: "The user is not exist" },
        "broker-b"
      )
      const error = yield* Effect.flip(admin.updateUser({ username: "zoe", userStatus: "disable" }))
      assert.deepStrictEqual([error.done, error.reason._tag], [["broker-a"], "BrokerRejected"])
    }).pipe(withAdmin())
  )

  it.effect("rights are listed one by one, the same of several brokers once", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const entry = { resource: "Topic:orders", actions: ["Pub"], decision: "Allow" }
      yield* answering(RequestCode.AUTH_LIST_ACL, {
        code: 0,
        body: body([
          { subject: "User:zoe", policies: [{ policyType: "Custom", entries: [entry] }] },
          { subject: "User:a" }
        ])
      })
      assert.deepStrictEqual(yield* admin.listAcl(), [
        { ...entry, subject: "User:zoe", policyType: "Custom", sourceIps: [], brokers: ["broker-a", "broker-b"] }
      ])
      yield* answering(RequestCode.AUTH_DELETE_ACL, { code: 0 })
      assert.deepStrictEqual(yield* admin.deleteAcl("User:zoe", { resource: "Topic:orders" }), ["broker-a", "broker-b"])
    }).pipe(withAdmin())
  )

  it.effect("a broker that has no access control is told from one that refuses", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      assert.deepInclude(yield* reasonOf(admin.listUser()), { _tag: "NoAccessControl", problem: "release" })
      for (const remark of [
        "An system error occurred, please try again later.",
        "java.lang.IllegalStateException: The authorizationMetadataProvider is not configured., org.apache"
      ]) {
        yield* answering(RequestCode.AUTH_LIST_ACL, { code: ResponseCode.SYSTEM_ERROR, remark })
        assert.deepInclude(yield* reasonOf(admin.listAcl()), { _tag: "NoAccessControl", problem: "disabled" })
        yield* Effect.flatMap(EmbeddedCluster, ({ faults }) => faults.clear)
      }
    }).pipe(withAdmin())
  )

  it.effect("a broker of 4.x is not asked", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const password = Redacted.make("secret")
      for (const call of [
        admin.listUser(),
        admin.createUser({ username: "zoe", password }),
        admin.deleteAcl("User:zoe")
      ]) {
        assert.deepInclude(yield* reasonOf<unknown, unknown, never>(call), {
          _tag: "NoAccessControl",
          problem: "release"
        })
      }
      const codes: ReadonlyArray<number> = [
        RequestCode.AUTH_LIST_USER,
        RequestCode.AUTH_CREATE_USER,
        RequestCode.AUTH_DELETE_ACL
      ]
      for (const code of codes) assert.lengthOf(yield* sent(code), 0)
    }).pipe(withAdmin(MQVersion.V4_9_7))
  )
})
