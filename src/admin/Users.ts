import { Effect, Redacted } from "effect"
import * as UserRequests from "../protocol/request/Users.ts"
import { failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import type { AccessCalls } from "./AccessCalls.ts"

/** Who may do everything, and who may do what its rights say. Source: RocketMQ `UserType`. */
export type UserType = "Super" | "Normal"

/** Whether a user is let in. Source: RocketMQ `UserStatus`. */
export type UserStatus = "enable" | "disable"

/** A user of a cluster, without its password, which brokers tell and nobody needs to see. */
export interface User {
  /** The name, which clients give as their access key. */
  readonly username: string
  /** `Super` or `Normal`, as the first of the brokers says. */
  readonly userType: string | undefined
  /** `enable` or `disable`, as the first of the brokers says. */
  readonly userStatus: string | undefined
  /** The masters that have it, by name. */
  readonly brokers: ReadonlyArray<string>
}

/** A user to create. */
export interface CreateUserOptions {
  /** The name, which clients give as their access key. */
  readonly username: string
  /** The secret key. It travels in plain text, as with mqadmin: use TLS. */
  readonly password: Redacted.Redacted
  /** Default `Normal`. Only a super user can make another. */
  readonly userType?: UserType | undefined
  /** The cluster whose brokers get it; may be left out where there is only one. */
  readonly clusterName?: string | undefined
}

/** What to change of a user; what is left out stays as it is. */
export interface UpdateUserOptions {
  /** The user. */
  readonly username: string
  /** Another secret key. It travels in plain text, as with mqadmin: use TLS. */
  readonly password?: Redacted.Redacted | undefined
  /** What the user is from now on. */
  readonly userType?: UserType | undefined
  /** Whether it is let in. */
  readonly userStatus?: UserStatus | undefined
  /** The cluster; may be left out where there is only one. */
  readonly clusterName?: string | undefined
}

/**
 * The calls about the users of brokers with access control of 5.x, since 5.3.0. Every broker keeps users for itself, so that
 * what changes them is told to every broker of a cluster, slaves too; the result names those that were told. A broker without
 * them fails with `NoAccessControl`. The names are those of Java's `DefaultMQAdminExt`.
 */
export interface Users {
  /** The users whose names contain a text, or all of them, sorted. */
  readonly listUser: (options?: {
    readonly filter?: string | undefined
    readonly clusterName?: string | undefined
  }) => Effect.Effect<ReadonlyArray<User>, AdminError>
  /** Creates a user. One that is there is refused by the broker. */
  readonly createUser: (options: CreateUserOptions) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Changes a user. One that is not there is refused by the broker. */
  readonly updateUser: (options: UpdateUserOptions) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Deletes a user with its rights; brokers say yes to one that is not there. */
  readonly deleteUser: (
    username: string,
    options?: { readonly clusterName?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<string>, AdminError>
}

const plain = (secret: Redacted.Redacted | undefined) => (secret === undefined ? undefined : Redacted.value(secret))

/** Makes the calls about users. Source: RocketMQ `DefaultMQAdminExtImpl`. */
export const make = ({ ask, tell }: AccessCalls): Users => ({
  listUser: ({ clusterName, filter } = {}) =>
    ask(
      "the users",
      clusterName,
      UserRequests.request({ operation: "list", filter }),
      UserRequests.decodeListResponse
    ).pipe(
      Effect.map((answers) => {
        const users = new Map<string, User & { readonly brokers: Array<string> }>()
        for (const { answer, brokerName } of answers) {
          for (const { username, userStatus, userType } of answer) {
            const known = users.get(username)
            if (known === undefined) users.set(username, { username, userType, userStatus, brokers: [brokerName] })
            else known.brokers.push(brokerName)
          }
        }
        return [...users.values()].toSorted((a, b) => (a.username < b.username ? -1 : 1))
      }),
      failing("list the users")
    ),
  createUser: ({ clusterName, password, userType = "Normal", username }) =>
    tell(
      `create user ${username}`,
      clusterName,
      UserRequests.request({
        operation: "create",
        user: { username, password: plain(password), userType, userStatus: "enable" }
      })
    ),
  updateUser: ({ clusterName, password, userStatus, userType, username }) =>
    tell(
      `update user ${username}`,
      clusterName,
      UserRequests.request({
        operation: "update",
        user: { username, password: plain(password), userType, userStatus }
      })
    ),
  deleteUser: (username, { clusterName } = {}) =>
    tell(`delete user ${username}`, clusterName, UserRequests.request({ operation: "delete", username }))
})
