import { Effect } from "effect"
import * as AclRequests from "../protocol/request/Acls.ts"
import { failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import type { AccessCalls } from "./AccessCalls.ts"

/** What may be done with a resource. Source: RocketMQ `Action`. */
export type AclAction = "All" | "Pub" | "Sub" | "Create" | "Update" | "Delete" | "Get" | "List"

/** A right of a user: what it may do with a resource, or may not. */
export interface AclRight {
  /** `User:<name>`. */
  readonly subject: string
  /** `Custom`, or `Default` for what counts where nothing else fits. */
  readonly policyType: string
  /** `Topic:orders`, `Group:billing`, `Cluster:*`; a `*` at the end stands for anything. */
  readonly resource: string
  /** What it is about; see {@link AclAction}. */
  readonly actions: ReadonlyArray<string>
  /** The addresses or networks from which it counts; from everywhere when there are none. */
  readonly sourceIps: ReadonlyArray<string>
  /** `Allow` or `Deny`. */
  readonly decision: string
  /** The masters that have it so, by name. */
  readonly brokers: ReadonlyArray<string>
}

/** Rights to give, or to take. */
export interface AclOptions {
  /** `User:<name>`. */
  readonly subject: string
  /** Each `Topic:orders`, `Group:billing`, `Cluster:*`; a `*` at the end stands for anything. */
  readonly resources: ReadonlyArray<string>
  /** What may be done with them, or may not. */
  readonly actions: ReadonlyArray<AclAction>
  /** Default `Allow`. */
  readonly decision?: "Allow" | "Deny" | undefined
  /** Addresses or networks, `10.0.0.0/8` for instance; default everywhere. */
  readonly sourceIps?: ReadonlyArray<string> | undefined
  /** The cluster whose brokers get them; may be left out where there is only one. */
  readonly clusterName?: string | undefined
}

/**
 * The calls about the rights of users at brokers with access control of 5.x, since 5.3.0. Every broker keeps rights for
 * itself, so that what changes them is told to every broker of a cluster, slaves too; the result names those that were told. A
 * broker without them fails with `NoAccessControl`. The names are those of Java's `DefaultMQAdminExt`.
 */
export interface Acls {
  /** The rights of the subjects, about the resources, whose names contain a text, or all of them, sorted. */
  readonly listAcl: (options?: {
    readonly subject?: string | undefined
    readonly resource?: string | undefined
    readonly clusterName?: string | undefined
  }) => Effect.Effect<ReadonlyArray<AclRight>, AdminError>
  /** Adds rights. One for a resource that the subject has a right for takes its place, here as in {@link Acls.updateAcl}. */
  readonly createAcl: (options: AclOptions) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Sets the rights for the resources that are named, and leaves those for others as they are. */
  readonly updateAcl: (options: AclOptions) => Effect.Effect<ReadonlyArray<string>, AdminError>
  /** Takes the right for one resource away from a subject, or all of its rights where none is named. */
  readonly deleteAcl: (
    subject: string,
    options?: { readonly resource?: string | undefined; readonly clusterName?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<string>, AdminError>
}

/** The rights of all answers, each once, with the brokers that have it. */
const rightsOf = (
  answers: ReadonlyArray<{ readonly brokerName: string; readonly answer: ReadonlyArray<AclRequests.AclInfo> }>
): ReadonlyArray<AclRight> => {
  const rights = new Map<string, AclRight & { readonly brokers: Array<string> }>()
  for (const { answer, brokerName } of answers) {
    for (const { policies, subject } of answer) {
      for (const { entries, policyType = "Custom" } of policies) {
        for (const { actions, decision, resource, sourceIps = [] } of entries) {
          const right = { subject, policyType, resource, actions, sourceIps, decision }
          const key = JSON.stringify(right)
          const known = rights.get(key)
          if (known === undefined) rights.set(key, { ...right, brokers: [brokerName] })
          else known.brokers.push(brokerName)
        }
      }
    }
  }
  return [...rights].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, right]) => right)
}

/** Makes the calls about rights. Source: RocketMQ `DefaultMQAdminExtImpl`, `AclInfo.of`. */
export const make = ({ ask, tell }: AccessCalls): Acls => {
  const put = (operation: "create" | "update", options: AclOptions) => {
    const { actions, clusterName, decision = "Allow", resources, sourceIps, subject } = options
    const entries = resources.map((resource) => ({ resource, actions, sourceIps, decision }))
    return tell(
      `${operation} rights of ${subject}`,
      clusterName,
      AclRequests.request({ operation, acl: { subject, policies: [{ policyType: "Custom", entries }] } })
    )
  }
  return {
    listAcl: ({ clusterName, resource, subject } = {}) =>
      ask(
        "the rights",
        clusterName,
        AclRequests.request({ operation: "list", subjectFilter: subject, resourceFilter: resource }),
        AclRequests.decodeListResponse
      ).pipe(Effect.map(rightsOf), failing("list the rights")),
    createAcl: (options) => put("create", options),
    updateAcl: (options) => put("update", options),
    deleteAcl: (subject, { clusterName, resource } = {}) =>
      tell(`delete rights of ${subject}`, clusterName, AclRequests.request({ operation: "delete", subject, resource }))
  }
}
