import { Schema } from "effect"
import { ResponseCode } from "../protocol/ResponseCode.ts"

/**
 * Why a server with access control refused a request.
 *
 * - `signature`: the secret is wrong, or the request carried no signature at all.
 * - `unknown-user`, `user-disabled`: the access key.
 * - `no-credentials`: the request carried none.
 * - `permission`: the user is known and may not do this.
 * - `clock`: the server says that the request is too old or from the future.
 */
export const AccessProblem = Schema.Literals([
  "signature",
  "unknown-user",
  "user-disabled",
  "no-credentials",
  "permission",
  "clock",
  "other"
])
/** Why a server refused a request; see the schema of the same name. */
export type AccessProblem = typeof AccessProblem.Type

const remedy: { readonly [K in AccessProblem]: string } = {
  signature: "Check the secret key: the server computes another signature than this client.",
  "unknown-user": "Check the access key: the server knows no such user.",
  "user-disabled": "Have the user enabled on the server.",
  "no-credentials": "Set the option credentials: the server wants to know who asks.",
  permission: "Grant the user the permission on the server, or use another user.",
  clock: "Set the clocks of this machine and of the server right.",
  other: "See the server's remark."
}

/**
 * A server with access control refused the request: who asks, or what is asked for, is not allowed. Nothing was done, and
 * sending it again would be refused again.
 */
export class AccessDenied extends Schema.TaggedError<AccessDenied>()("AccessDenied", {
  /** `host:port` of the server that refused. */
  address: Schema.String,
  /** The request that was refused, by name. */
  request: Schema.String,
  /** The response code, with which 4.x and 5.x say it differently. */
  code: Schema.Int,
  /** What is wrong, read out of the server's words. */
  problem: AccessProblem,
  /** The user, where the server names one. */
  user: Schema.UndefinedOr(Schema.String),
  /** The server's own words, shortened, and without characters that a terminal acts on or an eye is deceived by. */
  remark: Schema.String
}) {
  override get message() {
    const who = this.user === undefined ? "" : ` to user "${this.user}"`
    return `${this.address} denied ${this.request}${who} (${this.problem}): ${this.remark}${/[.!?]$/.test(this.remark) ? "" : "."} ${remedy[this.problem]}`
  }
  /** Access is checked before a request is handled: whatever was asked is not done. */
  get outcome(): "rejected" {
    return "rejected"
  }
}

interface Wording {
  readonly pattern: RegExp
  readonly problem: AccessProblem
}

/** A broker of 4.x says code 1 and the text of the exception; nothing but this word tells it from a crash. */
const ACL_1 = /\bAclException\b/

/** The remarks of a broker of 4.x, all behind the name of the exception. Source: RocketMQ `PlainPermissionManager`. */
const wordings1: ReadonlyArray<Wording> = [
  { pattern: /check signature failed/i, problem: "signature" },
  { pattern: /no acl config for|no plainaccessresource for/i, problem: "unknown-user" },
  { pattern: /no accesskey is configured/i, problem: "no-credentials" },
  { pattern: /no default permission for|need admin permission/i, problem: "permission" }
]

/**
 * The remarks with code 16 that are about the user. Everything else that is answered with 16 is about the topic or the
 * broker ("the topic[x] sending message is forbidden") and may pass, so it is retried.
 *
 * Source: RocketMQ `DefaultAuthenticationHandler`, `UserAuthorizationHandler`, `AclAuthorizationHandler`,
 * `AbstractAuthenticationStrategy`, `AbstractAuthorizationStrategy`.
 */
const wordings2: ReadonlyArray<Wording> = [
  { pattern: /check signature failed|please verify the credentials/i, problem: "signature" },
  { pattern: /^user:.* (?:is not|not) found/i, problem: "unknown-user" },
  { pattern: /^user:.* is disabled/i, problem: "user-disabled" },
  { pattern: /username (?:cannot|can not) be null/i, problem: "no-credentials" },
  { pattern: /has no permission to access|please verify your access rights/i, problem: "permission" },
  { pattern: /(?:time ?stamp|date ?time|clock|request).*(?:expired|too old|skew)/i, problem: "clock" },
  { pattern: /^(?:authentication|authorization) /i, problem: "other" }
]

/** What a broker of 4.x puts around its words: the class of the exception, and the line that threw it. */
const JAVA_AROUND = /^[\w.$]*\bAclException: (.*?)(?:, [\w.$]+\([\w.]+:\d+\))?$/

const users = [/^User:(\S+)/, /accessKey=([^,\s]+)/, /No acl config for ([^,\s]+)/]

const userIn = (remark: string): string | undefined => {
  for (const pattern of users) {
    const found = pattern.exec(remark)?.[1]
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether an answer is a refusal by access control, and which; undefined for every other answer. */
export const accessProblemOf = (code: number, remark: string): AccessProblem | undefined => {
  if (code === ResponseCode.SYSTEM_ERROR && ACL_1.test(remark)) {
    return wordings1.find(({ pattern }) => pattern.test(remark))?.problem ?? "other"
  }
  if (code !== ResponseCode.NO_PERMISSION) return undefined
  return wordings2.find(({ pattern }) => pattern.test(remark))?.problem
}

/** The refusal that an answer is, if it is one by access control. `remark` is clean already. */
export const accessDenied = (
  address: string,
  request: string,
  code: number,
  remark: string
): AccessDenied | undefined => {
  const problem = accessProblemOf(code, remark)
  if (problem === undefined) return undefined
  const words = JAVA_AROUND.exec(remark)?.[1] ?? remark
  return new AccessDenied({ address, request, code, problem, user: userIn(words), remark: words })
}
