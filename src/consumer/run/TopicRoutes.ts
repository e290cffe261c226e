import { Effect, Schedule } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { Newcomers } from "../offset/Newcomers.ts"

/** The pause before a second look-up of a topic that is being announced, in milliseconds; it doubles, so often. */
const ANNOUNCED_PAUSE_MILLIS = 20
const ANNOUNCED_LOOK_UPS = 9

/** Whether no route is known of a topic but one that was lent to a producer. */
export const isWithoutRoute = ({ routes }: MQClientInstanceShape, topic: string): boolean =>
  routes.topicRouteTable.get(topic)?.borrowed ?? true

/** Looks the routes of topics up; one that is not there yet is owned as soon as it is. */
export const lookUp = (
  instance: MQClientInstanceShape,
  { absent }: Pick<Newcomers, "absent">,
  topics: ReadonlyArray<string>
) =>
  Effect.forEach(
    topics,
    (topic) =>
      Effect.match(instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined), {
        onSuccess: () => {},
        onFailure: (error) => {
          if (error._tag !== "RouteUnavailable") return
          if (error.problem === "topic-absent" || error.problem === "no-broker") absent(topic)
        }
      }),
    { concurrency: 16, discard: true }
  )

/** The first heartbeat makes the group's retry topic, whose route is looked up right after the brokers' answer. */
export const greet = Effect.fnUntraced(function* (instance: MQClientInstanceShape, retryTopic: string) {
  yield* instance.heartbeat.sendHeartbeatToAllBroker
  const look = instance.routes.updateTopicRouteInfoFromNameServer(retryTopic, undefined)
  // Some name servers learn of it some milliseconds later.
  yield* Effect.ignore(Effect.retry(look, { times: 1, schedule: Schedule.spaced(0) }))
})

/** Looks for the route of a topic that brokers are about to announce, at growing pauses, and then leaves it to the polls. */
export const awaitRoute = (instance: MQClientInstanceShape, topic: string) =>
  Effect.suspend(() =>
    instance.routes.topicRouteTable.has(topic)
      ? Effect.void
      : instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined)
  ).pipe(
    Effect.retry({ schedule: Schedule.exponential(ANNOUNCED_PAUSE_MILLIS), times: ANNOUNCED_LOOK_UPS }),
    Effect.ignore
  )
