import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"

/**
 * The rights of users at a broker with access control of 5.x, client to broker; since 5.3.0. Answer 0, NO_PERMISSION (16)
 * with the reason as the remark, or SYSTEM_ERROR (1) where the broker has no access control.
 *
 * ```text
 * 3006 AUTH_CREATE_ACL   subject string; body: acl. A right for a resource that has one already replaces it
 * 3007 AUTH_UPDATE_ACL   the same
 * 3008 AUTH_DELETE_ACL   subject string, policyType string (optional, Custom), resource string (optional, all of them)
 * 3010 AUTH_LIST_ACL     subjectFilter string, resourceFilter string, both optional: a part of the name; answer body [acl]
 *
 * acl: {"policies":[{"entries":[{"actions","decision","resource","sourceIps"}],"policyType"}],"subject"}
 * ```
 *
 * Source: RocketMQ `CreateAclRequestHeader`, `DeleteAclRequestHeader`, `ListAclsRequestHeader`, `AclInfo`,
 * `AdminBrokerProcessor.createAcl`.
 */
export type AclsHeader =
  /** Adds rights to a subject. */
  | { readonly operation: "create" | "update"; readonly acl: AclInfo }
  /** Takes the right for a resource away, or all of them. */
  | { readonly operation: "delete"; readonly subject: string; readonly resource?: string | undefined }
  /** Asks for the rights of the subjects and about the resources whose names contain the filters. */
  | {
      readonly operation: "list"
      readonly subjectFilter?: string | undefined
      readonly resourceFilter?: string | undefined
    }

/** What a subject may do with a resource, or not. Source: RocketMQ `AclInfo.PolicyEntryInfo`. */
export interface PolicyEntry {
  /** `Topic:orders`, `Group:billing`, `Cluster:*`; a `*` at the end stands for anything. */
  readonly resource: string
  /** `Pub`, `Sub`, `Create`, `Update`, `Delete`, `Get`, `List`, `All`. */
  readonly actions: ReadonlyArray<string>
  /** From which addresses or networks, `10.0.0.0/8` for instance; from all where there are none. */
  readonly sourceIps?: ReadonlyArray<string> | undefined
  /** `Allow` or `Deny`. */
  readonly decision: string
}

/** Rights of one kind. Source: RocketMQ `AclInfo.PolicyInfo`. */
export interface PolicyInfo {
  /** `Custom`, or `Default` for what counts where nothing else fits; brokers take `Custom` where it is absent. */
  readonly policyType?: string | undefined
  /** The rights, one for each resource. */
  readonly entries: ReadonlyArray<PolicyEntry>
}

/** The rights of a subject. Source: RocketMQ `AclInfo`. */
export interface AclInfo {
  /** `User:<name>`. */
  readonly subject: string
  /** What it may do. */
  readonly policies: ReadonlyArray<PolicyInfo>
}

const subjectHeader = HeaderCodec.struct({ subject: HeaderCodec.string })
const deleteHeader = HeaderCodec.struct({
  subject: HeaderCodec.string,
  resource: HeaderCodec.optional(HeaderCodec.string)
})
const listHeader = HeaderCodec.struct({
  subjectFilter: HeaderCodec.optional(HeaderCodec.string),
  resourceFilter: HeaderCodec.optional(HeaderCodec.string)
})

const entry = Body.struct({
  actions: Body.withDefault(Body.list(Body.string), []),
  decision: Body.string,
  resource: Body.string,
  sourceIps: Body.optional(Body.list(Body.string))
})
const policy = Body.struct({
  entries: Body.withDefault(Body.list(entry), []),
  policyType: Body.optional(Body.string)
})
const aclInfo = Body.struct({ policies: Body.withDefault(Body.list(policy), []), subject: Body.string })
const acls: Body.RequiredBody<ReadonlyArray<AclInfo>> = Body.list(aclInfo)

/** What a client sends. */
export const request = (value: AclsHeader): Request => {
  switch (value.operation) {
    case "delete":
      return { code: RequestCode.AUTH_DELETE_ACL, extFields: deleteHeader.encode(value) }
    case "list":
      return { code: RequestCode.AUTH_LIST_ACL, extFields: listHeader.encode(value) }
    default:
      return {
        code: value.operation === "create" ? RequestCode.AUTH_CREATE_ACL : RequestCode.AUTH_UPDATE_ACL,
        extFields: subjectHeader.encode(value.acl),
        body: Body.encode(aclInfo, value.acl)
      }
  }
}

/** What a client reads of an answer with code 0 to `list`. */
export const decodeListResponse = (cmd: RemotingCommand): ReadonlyArray<AclInfo> | DecodeError =>
  cmd.body.length === 0 ? [] : Body.decode(acls, RequestCode.AUTH_LIST_ACL, cmd.body)
