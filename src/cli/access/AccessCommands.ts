import { Config, Option, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"
import { firstOf, variables } from "../Variables.ts"

const shared = { ...connection, cluster: Flags.cluster, json: Flags.json } as const

const username = Argument.String("user").pipe(
  Argument.withDescription("The user's name, which clients give as their access key"),
  Argument.withSchema(Schema.NonEmptyString)
)

const password = Flag.Redacted("password").pipe(
  Flag.withDescription(
    `The user's secret key; default: ${variables.userPassword[0]}, which other users of this machine do not see`
  ),
  Flag.withFallbackConfig(Config.map(firstOf(variables.userPassword), (value) => Redacted.make(value)))
)

const userType = Flag.ChoiceWithValue("type", [
  ["normal", "Normal"],
  ["super", "Super"]
])

const userList = Command.make(
  "list",
  {
    ...shared,
    filter: Flag.String("filter").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Only names that contain this"),
      Flag.optional
    )
  },
  ({ cluster, filter, ...input }) =>
    load(
      () => import("./users.ts"),
      ({ list }) => list({ ...input, cluster: Option.getOrUndefined(cluster), filter: Option.getOrUndefined(filter) })
    )
).pipe(Command.withDescription("List the users. mqadmin: listUser -c <cluster>, getUser -c <cluster> -u <user>"))

const userCreate = Command.make(
  "create",
  {
    ...shared,
    username,
    password,
    userType: userType.pipe(
      Flag.withDescription("Who may do what its rights say, or everything; default normal"),
      Flag.withDefault("Normal" as const)
    )
  },
  ({ cluster, ...input }) =>
    load(
      () => import("./users.ts"),
      ({ create }) => create({ ...input, cluster: Option.getOrUndefined(cluster) })
    )
).pipe(
  Command.withDescription(
    "Create a user on every broker of a cluster. mqadmin: createUser -c <cluster> -u <user> -p <password> -t <type>"
  )
)

const userUpdate = Command.make(
  "update",
  {
    ...shared,
    username,
    password: password.pipe(Flag.optional),
    userType: userType.pipe(Flag.withDescription("What the user is from now on"), Flag.optional),
    status: Flag.Literals("status", ["enable", "disable"]).pipe(
      Flag.withDescription("Whether it is let in"),
      Flag.optional
    )
  },
  ({ cluster, password: secret, status, userType: type, ...input }) =>
    load(
      () => import("./users.ts"),
      ({ update }) =>
        update({
          ...input,
          cluster: Option.getOrUndefined(cluster),
          password: Option.getOrUndefined(secret),
          status: Option.getOrUndefined(status),
          userType: Option.getOrUndefined(type)
        })
    )
).pipe(
  Command.withDescription(
    "Change a user on every broker of a cluster; what is not named stays. mqadmin: updateUser -c <cluster> -u <user> -p | -t | -s"
  )
)

const userDelete = Command.make("delete", { ...shared, username, yes: Flags.yesFlag }, ({ cluster, ...input }) =>
  load(
    () => import("./users.ts"),
    ({ remove }) => remove({ ...input, cluster: Option.getOrUndefined(cluster) })
  )
).pipe(
  Command.withDescription(
    "Delete a user with its rights, on every broker of a cluster. mqadmin: deleteUser -c <cluster> -u <user>"
  )
)

/** `effect-rocketmq user`. */
export const user = Command.make("user").pipe(
  Command.withDescription("List, create, change and delete the users of brokers with access control, from 5.3.0 on"),
  Command.withSubcommands([userList, userCreate, userUpdate, userDelete])
)

const resource = Flag.String("resource").pipe(
  Flag.withAlias("r"),
  Flag.withMetavar("Topic:<name>"),
  Flag.withSchema(Schema.NonEmptyString)
)

const rights = {
  ...shared,
  username,
  resources: resource.pipe(
    Flag.withDescription('"Topic:orders", "Group:*", "Cluster:*"; a * at the end stands for anything; may be repeated'),
    Flag.atLeast(1)
  ),
  actions: Flag.Literals("action", ["All", "Pub", "Sub", "Create", "Update", "Delete", "Get", "List"]).pipe(
    Flag.withDescription("What may be done with it; may be repeated"),
    Flag.atLeast(1)
  ),
  deny: Flag.Boolean("deny").pipe(Flag.withDescription("It may not be done"), Flag.withDefault(false)),
  sourceIps: Flag.String("source-ip").pipe(
    Flag.withMetavar("address or network"),
    Flag.withDescription("Only from there, 10.0.0.0/8 for instance; may be repeated; default everywhere"),
    Flag.atLeast(0)
  )
} as const

const aclList = Command.make(
  "list",
  {
    ...shared,
    username: Flag.String("user").pipe(Flag.withDescription("Only users whose names contain this"), Flag.optional),
    resource: resource.pipe(Flag.withDescription("Only resources whose names contain this"), Flag.optional)
  },
  ({ cluster, resource: one, username: named, ...input }) =>
    load(
      () => import("./acls.ts"),
      ({ list }) =>
        list({
          ...input,
          cluster: Option.getOrUndefined(cluster),
          resource: Option.getOrUndefined(one),
          username: Option.getOrUndefined(named)
        })
    )
).pipe(
  Command.withDescription(
    "List the rights of the users. mqadmin: listAcl -c <cluster>, getAcl -c <cluster> -s <subject>"
  )
)

const aclCreate = Command.make("create", rights, ({ cluster, ...input }) =>
  load(
    () => import("./acls.ts"),
    ({ put }) => put({ ...input, operation: "create", cluster: Option.getOrUndefined(cluster) })
  )
).pipe(
  Command.withDescription(
    "Give a user rights for resources that it has none for, on every broker of a cluster. mqadmin: createAcl -c <cluster> -s User:<user> -r <resource> -a <actions> -d Allow, which replaces"
  )
)

const aclUpdate = Command.make("update", rights, ({ cluster, ...input }) =>
  load(
    () => import("./acls.ts"),
    ({ put }) => put({ ...input, operation: "update", cluster: Option.getOrUndefined(cluster) })
  )
).pipe(
  Command.withDescription(
    "Set the rights of a user for the resources that are named; those for others stay. mqadmin: updateAcl -c <cluster> -s User:<user> -r <resource> -a <actions> -d Allow"
  )
)

const aclDelete = Command.make(
  "delete",
  {
    ...shared,
    username,
    resource: resource.pipe(Flag.withDescription("Only the right for this one; default all of them"), Flag.optional),
    yes: Flags.yesFlag
  },
  ({ cluster, resource: one, ...input }) =>
    load(
      () => import("./acls.ts"),
      ({ remove }) =>
        remove({ ...input, cluster: Option.getOrUndefined(cluster), resource: Option.getOrUndefined(one) })
    )
).pipe(
  Command.withDescription(
    "Take rights away from a user, on every broker of a cluster. mqadmin: deleteAcl -c <cluster> -s User:<user> -r <resource>"
  )
)

/** `effect-rocketmq acl`. */
export const acl = Command.make("acl").pipe(
  Command.withDescription(
    "List, give, change and take the rights of users, of brokers with access control from 5.3.0 on"
  ),
  Command.withSubcommands([aclList, aclCreate, aclUpdate, aclDelete])
)
