import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"

/**
 * The users of a broker with access control of 5.x, client to broker; since 5.3.0. Answer 0, NO_PERMISSION (16) with the
 * reason as the remark, or SYSTEM_ERROR (1) where the broker has no access control.
 *
 * ```text
 * 3001 AUTH_CREATE_USER   username string; body {"password","userType","username"}
 * 3002 AUTH_UPDATE_USER   username string; body as above and "userStatus"; what is absent stays as it is
 * 3003 AUTH_DELETE_USER   username string; the user's rights go too; one that is not there is deleted successfully
 * 3005 AUTH_LIST_USER     filter string (optional): a part of the name; answer body [{user}], none where nobody is found
 * ```
 *
 * Source: RocketMQ `CreateUserRequestHeader`, `ListUsersRequestHeader`, `UserInfo`, `AdminBrokerProcessor.createUser`.
 */
export type UsersHeader =
  /** Creates a user; `Normal` where no type is named. */
  | { readonly operation: "create"; readonly user: UserInfo }
  /** Changes of a user what is there. */
  | { readonly operation: "update"; readonly user: UserInfo }
  /** Deletes a user with its rights. */
  | { readonly operation: "delete"; readonly username: string }
  /** Asks for the users whose names contain the filter. */
  | { readonly operation: "list"; readonly filter?: string | undefined }

/** A user as the broker keeps it. Source: RocketMQ `UserInfo`. */
export interface UserInfo {
  /** The name, which clients give as their access key. */
  readonly username: string
  /** The secret key, in plain text: brokers tell it to whoever may list users. */
  readonly password?: string | undefined
  /** `Super`, who may do everything, or `Normal`, who may do what its rights say. */
  readonly userType?: string | undefined
  /** `enable` or `disable`. */
  readonly userStatus?: string | undefined
}

const nameHeader = HeaderCodec.struct({ username: HeaderCodec.string })
const listHeader = HeaderCodec.struct({ filter: HeaderCodec.optional(HeaderCodec.string) })

const userInfo = Body.struct({
  password: Body.optional(Body.string),
  userStatus: Body.optional(Body.string),
  userType: Body.optional(Body.string),
  username: Body.string
})
const users: Body.RequiredBody<ReadonlyArray<UserInfo>> = Body.list(userInfo)

/** What a client sends. */
export const request = (value: UsersHeader): Request => {
  switch (value.operation) {
    case "delete":
      return { code: RequestCode.AUTH_DELETE_USER, extFields: nameHeader.encode(value) }
    case "list":
      return { code: RequestCode.AUTH_LIST_USER, extFields: listHeader.encode(value) }
    default:
      return {
        code: value.operation === "create" ? RequestCode.AUTH_CREATE_USER : RequestCode.AUTH_UPDATE_USER,
        extFields: nameHeader.encode(value.user),
        body: Body.encode(userInfo, value.user)
      }
  }
}

/** What a client reads of an answer with code 0 to `list`. */
export const decodeListResponse = (cmd: RemotingCommand): ReadonlyArray<UserInfo> | DecodeError =>
  cmd.body.length === 0 ? [] : Body.decode(users, RequestCode.AUTH_LIST_USER, cmd.body)
