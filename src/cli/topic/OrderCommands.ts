import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

const oneTopic = { topic: Flags.topic.pipe(Flag.optional), name: Flags.topicArgument } as const

const get = Command.make(
  "get",
  { ...connection, ...oneTopic, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicOrder.ts"),
      ({ get: run }) => run(input)
    )
  )
).pipe(Command.withDescription("Show the order configuration of a topic. mqadmin: updateOrderConf -m get -t <topic>"))

const put = Command.make(
  "put",
  {
    ...connection,
    ...oneTopic,
    queues: Flags.pairs("queues", 1).pipe(
      Flag.withMetavar("broker=number"),
      Flag.withDescription("How many queues of a broker, broker-a=4; may be repeated")
    ),
    replace: Flag.Boolean("replace").pipe(
      Flag.withDescription("Forget the brokers that are not named; default they stay as they are"),
      Flag.withDefault(false)
    ),
    json: Flags.json
  },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicOrder.ts"),
      ({ put: run }) => run(input)
    )
  )
).pipe(
  Command.withDescription(
    "Set how many queues of the named brokers an ordered topic is sent to; other brokers stay as they are. mqadmin: updateOrderConf -m put -t <topic> -v <broker:number;...>, which forgets the others"
  )
)

const remove = Command.make(
  "delete",
  { ...connection, ...oneTopic, yes: Flags.yesFlag, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicOrder.ts"),
      ({ remove: run }) => run(input)
    )
  )
).pipe(
  Command.withDescription("Delete the order configuration of a topic. mqadmin: updateOrderConf -m delete -t <topic>")
)

/** `effect-rocketmq topic order`. */
export const order = Command.make("order").pipe(
  Command.withDescription("Show and change which queues an ordered topic is sent to"),
  Command.withSubcommands([get, put, remove])
)
