import { Console, Effect, type Redacted } from "effect"
import type { UserStatus, UserType } from "../../admin/Users.ts"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { NotThere, reporting, UsageError } from "../Failure.ts"
import { printDone, printTable } from "../Output.ts"
import { toRun } from "../Printed.ts"
import { json } from "../Text.ts"

interface Shared extends Connection {
  readonly cluster: string | undefined
  readonly json: boolean
}

/** What a `user` command for one user is asked. */
export interface OneUserInput extends Shared {
  readonly username: string
}

/** `effect-rocketmq user list`: who there is, without secrets. */
export const list = (input: Shared & { readonly filter: string | undefined }) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const users = yield* admin.listUser({ clusterName: input.cluster, filter: input.filter })
    if (input.json) return yield* Console.log(json({ users }))
    if (users.length === 0) return yield* Console.error("there is no such user")
    return yield* printTable(
      ["USER", "TYPE", "STATUS", "BROKERS"],
      users.map(({ brokers, username, userStatus = "-", userType = "-" }) => [
        username,
        userType,
        userStatus,
        brokers.join(", ")
      ])
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

const printTold = (input: OneUserInput, done: "created" | "changed" | "deleted", brokers: ReadonlyArray<string>) =>
  input.json
    ? Console.log(json({ username: input.username, [done]: true, brokers }))
    : printDone(`user ${input.username} is ${done} on ${brokers.join(", ")}`)

/** `effect-rocketmq user create`: a user on every broker of a cluster. */
export const create = (input: OneUserInput & { readonly password: Redacted.Redacted; readonly userType: UserType }) =>
  Effect.gen(function* () {
    const { cluster, password, username, userType } = input
    const admin = yield* MQAdmin
    const brokers = yield* admin.createUser({ username, password, userType, clusterName: cluster })
    yield* printTold(input, "created", brokers)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `user update` is asked; what is absent stays as it is. */
export interface UserUpdateInput extends OneUserInput {
  readonly password: Redacted.Redacted | undefined
  readonly userType: UserType | undefined
  readonly status: UserStatus | undefined
}

/** `effect-rocketmq user update`: changes a user on every broker of a cluster. */
export const update = (input: UserUpdateInput) =>
  Effect.gen(function* () {
    const { cluster, password, status, username, userType } = input
    if (password === undefined && status === undefined && userType === undefined) {
      return yield* new UsageError({
        problem: `There is nothing to change of user ${username}.`,
        remedy: "Pass --password, --type or --status."
      })
    }
    const admin = yield* MQAdmin
    const changes = { username, password, userType, userStatus: status, clusterName: cluster }
    return yield* printTold(input, "changed", yield* admin.updateUser(changes))
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** `effect-rocketmq user delete`: deletes a user and its rights. */
export const remove = (input: OneUserInput & { readonly yes: boolean }) =>
  Effect.gen(function* () {
    const { cluster, username } = input
    if (!input.yes) {
      return yield* new UsageError({
        problem: `User ${username} and its rights would be gone from every broker of the cluster.`,
        remedy: "Pass --yes if that is meant."
      })
    }
    const admin = yield* MQAdmin
    // Brokers say yes to a user that they do not have; a name that nobody has is a misspelt one.
    const known = yield* admin.listUser({ filter: username, clusterName: cluster })
    if (!known.some((user) => user.username === username)) {
      return yield* new NotThere({
        problem: `No broker has a user ${username}.`,
        remedy: `See who there is: ${toRun(input)`user list`}`
      })
    }
    return yield* printTold(input, "deleted", yield* admin.deleteUser(username, { clusterName: cluster }))
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
