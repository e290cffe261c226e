import { Console, Effect } from "effect"
import type { AclAction } from "../../admin/Acls.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { Refused, reporting, UsageError } from "../Failure.ts"
import { printDone, printTable } from "../Output.ts"
import { toRun } from "../Printed.ts"
import { excerpt, json } from "../Text.ts"

interface Shared extends Connection {
  readonly cluster: string | undefined
  readonly json: boolean
}

/** What `acl list` is asked. */
export interface AclListInput extends Shared {
  readonly username: string | undefined
  readonly resource: string | undefined
}

/** Characters of the rights that a user has already, which a refusal shows. */
const MAX_PRESENT = 1_000

/** A user as brokers name it among those who have rights. */
const subjectOf = (username: string): string => (username.startsWith("User:") ? username : `User:${username}`)

/** `effect-rocketmq acl list`: who may do what. */
export const list = (input: AclListInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { cluster, resource, username } = input
    const rights = yield* admin.listAcl({ subject: username, resource, clusterName: cluster })
    if (input.json) return yield* Console.log(json({ rights }))
    if (rights.length === 0) return yield* Console.error("there are no such rights")
    return yield* printTable(
      ["SUBJECT", "KIND", "RESOURCE", "ACTIONS", "FROM", "DECISION", "BROKERS"],
      rights.map((one) => [
        one.subject,
        one.policyType,
        one.resource,
        one.actions.join(", "),
        one.sourceIps.join(", "),
        one.decision,
        one.brokers.join(", ")
      ])
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `acl create` and `acl update` are asked. */
export interface AclPutInput extends Shared {
  readonly operation: "create" | "update"
  readonly username: string
  readonly resources: ReadonlyArray<string>
  readonly actions: ReadonlyArray<AclAction>
  readonly deny: boolean
  readonly sourceIps: ReadonlyArray<string>
}

/** `effect-rocketmq acl create` and `acl update`: gives rights, and sets them. */
export const put = (input: AclPutInput) =>
  Effect.gen(function* () {
    const { actions, cluster, deny, operation, resources, sourceIps } = input
    const subject = subjectOf(input.username)
    const admin = yield* MQAdmin
    if (operation === "create") {
      const present = (yield* admin.listAcl({ subject, clusterName: cluster }))
        .filter((right) => right.subject === subject && resources.includes(right.resource))
        .map(({ actions: some, decision, resource }) => `${resource} (${decision} ${some.join(", ")})`)
      if (present.length > 0) {
        return yield* new Refused({
          problem: `${subject} has rights already for ${excerpt(present.join("; "), MAX_PRESENT)}. Nothing was changed.`,
          remedy: `Set them anew: ${toRun(input)`acl update ${[input.username, ...resources.flatMap((one) => ["--resource", one]), ...actions.flatMap((one) => ["--action", one]), ...(deny ? ["--deny"] : []), ...sourceIps.flatMap((one) => ["--source-ip", one])]}`}`
        })
      }
    }
    const decision = deny ? ("Deny" as const) : ("Allow" as const)
    const options = { subject, resources, actions, decision, sourceIps, clusterName: cluster }
    const brokers = yield* operation === "create" ? admin.createAcl(options) : admin.updateAcl(options)
    return yield* input.json
      ? Console.log(json({ subject, resources, actions, decision, brokers }))
      : printDone(
          `${subject} ${deny ? "may not" : "may"} ${actions.join(", ")} ${resources.join(", ")}, on ${brokers.join(", ")}`
        )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `acl delete` is asked. */
export interface AclDeleteInput extends Shared {
  readonly username: string
  /** The one resource; all of them when undefined. */
  readonly resource: string | undefined
  /** Whether it is meant. */
  readonly yes: boolean
}

/** `effect-rocketmq acl delete`: takes rights away. */
export const remove = (input: AclDeleteInput) =>
  Effect.gen(function* () {
    const { cluster, resource } = input
    const subject = subjectOf(input.username)
    const what = resource === undefined ? "all of its rights" : `its right for ${resource}`
    if (!input.yes) {
      return yield* new UsageError({
        problem: `${subject} would lose ${what}, on every broker of the cluster.`,
        remedy: "Pass --yes if that is meant."
      })
    }
    const admin = yield* MQAdmin
    const brokers = yield* admin.deleteAcl(subject, { resource, clusterName: cluster })
    return yield* input.json
      ? Console.log(json({ subject, resource: resource ?? null, deleted: true, brokers }))
      : printDone(`${subject} has lost ${what} on ${brokers.join(", ")}`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
