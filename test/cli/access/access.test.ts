import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { onCluster } from "../support.ts"

const cluster = Effect.provide(EmbeddedCluster.layerMemory({}))

const body = (value: unknown) => Buffer.from(JSON.stringify(value))

const zoe = { username: "zoe", password: "very-secret", userType: "Normal", userStatus: "enable" }
const acl = {
  subject: "User:zoe",
  policies: [{ policyType: "Custom", entries: [{ resource: "Topic:orders", actions: ["Pub"], decision: "Allow" }] }]
}

/** A broker that has a user with a right, and says yes to everything. */
const withAccess = Effect.flatMap(EmbeddedCluster, ({ faults }) =>
  Effect.forEach(
    [
      [RequestCode.AUTH_LIST_USER, body([zoe])],
      [RequestCode.AUTH_LIST_ACL, body([acl])],
      ...[
        RequestCode.AUTH_CREATE_USER,
        RequestCode.AUTH_UPDATE_USER,
        RequestCode.AUTH_DELETE_USER,
        RequestCode.AUTH_CREATE_ACL,
        RequestCode.AUTH_UPDATE_ACL,
        RequestCode.AUTH_DELETE_ACL
      ].map((code) => [code, undefined] as const)
    ] as ReadonlyArray<readonly [number, Uint8Array | undefined]>,
    ([code, answer]) =>
      faults.add({
        match: { code },
        actions: [{ _tag: "Answer", response: { code: 0, ...(answer === undefined ? {} : { body: answer }) } }]
      })
  )
)

describe("user", () => {
  it.effect("lists without secrets, changes what is named, deletes who is there when that is meant", () =>
    Effect.gen(function* () {
      yield* withAccess
      const listed = yield* onCluster(["user", "list"])
      assert.deepStrictEqual(listed.out, ["USER  TYPE    STATUS  BROKERS", "zoe   Normal  enable  broker-a"])
      assert.notInclude((yield* onCluster(["user", "list", "--json"])).out.join(), "very-secret")
      const created = yield* onCluster(["user", "create", "zoe"], { env: { ROCKETMQ_USER_PASSWORD: "x" } })
      assert.deepStrictEqual(created.out, ["ok user zoe is created on broker-a"])
      assert.match((yield* onCluster(["user", "create", "zoe"])).talk.join(), /password/)
      assert.strictEqual((yield* onCluster(["user", "update", "zoe"])).exitCode, 2)
      assert.strictEqual((yield* onCluster(["user", "update", "zoe", "--status", "disable"])).exitCode, 0)
      assert.strictEqual((yield* onCluster(["user", "delete", "zoe"])).exitCode, 2)
      assert.strictEqual((yield* onCluster(["user", "delete", "zo", "--yes"])).exitCode, 4)
      assert.strictEqual((yield* onCluster(["user", "delete", "zoe", "--yes"])).exitCode, 0)
    }).pipe(cluster)
  )

  it.effect("says what a broker without access control lacks", () =>
    Effect.gen(function* () {
      const refused = yield* onCluster(["user", "list"])
      assert.strictEqual(refused.exitCode, 4)
      assert.match(refused.talk.join("\n"), /does not know users and rights[^]*5\.3\.0/)
    }).pipe(cluster)
  )
})

describe("acl", () => {
  it.effect("lists, does not replace by create, sets by update, takes away when that is meant", () =>
    Effect.gen(function* () {
      yield* withAccess
      const listed = yield* onCluster(["acl", "list", "--json"])
      assert.deepStrictEqual(JSON.parse(listed.out.join()), {
        rights: [
          {
            subject: "User:zoe",
            policyType: "Custom",
            resource: "Topic:orders",
            actions: ["Pub"],
            sourceIps: [],
            decision: "Allow",
            brokers: ["broker-a"]
          }
        ]
      })
      const right = ["zoe", "--resource", "Topic:orders", "--action", "Pub"]
      const present = yield* onCluster(["acl", "create", ...right])
      assert.strictEqual(present.exitCode, 4)
      assert.include(present.talk.join(), "acl update zoe --resource Topic:orders --action Pub")
      const other = yield* onCluster(["acl", "create", "User:zoe", "--resource", "Topic:*", "--action", "Sub"])
      assert.deepStrictEqual(other.out, ["ok User:zoe may Sub Topic:*, on broker-a"])
      assert.deepStrictEqual((yield* onCluster(["acl", "update", ...right, "--deny"])).out, [
        "ok User:zoe may not Pub Topic:orders, on broker-a"
      ])
      assert.match((yield* onCluster(["acl", "delete", "zoe"])).talk.join(), /would lose all of its rights/)
      assert.strictEqual((yield* onCluster(["acl", "delete", "zoe", "--yes"])).exitCode, 0)
    }).pipe(cluster)
  )
})
