import { Clock, Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { dlqTopic, PermName } from "../../message/MixAll.ts"
import * as NameList from "../../message/NameList.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import { CommandFailed, ExitCode, type Explained, tell } from "../Failure.ts"
import { knownGroup } from "../KnownGroup.ts"
import { type Reached, toRun } from "../Printed.ts"
import { palette, Screen } from "../Screen.ts"

/** How long the name server may take to know of a permission, in milliseconds, and how often it is asked. */
const ROUTE_MILLIS = 10_000
const ROUTE_POLL_MILLIS = 100

/** Says why it goes no further. */
const refuse = (refused: Explained) =>
  Effect.andThen(tell(refused), new CommandFailed({ exitCode: refused.exitCode, summary: refused.message }))

/** Whether a group has a topic of dead letters; fails with `GroupNotFound` where there is no such group. */
export const hasDeadLetters = Effect.fnUntraced(function* (group: string) {
  const { fetchAllTopicList } = yield* MQAdmin
  if ((yield* fetchAllTopicList).includes(dlqTopic(group))) return true
  yield* knownGroup(group)
  return false
})

/** Whose dead letters are read, and whether they may be made readable. */
export interface Reading extends Reached {
  readonly group: string
  readonly grantRead: boolean
}

/**
 * Runs an effect that reads the dead letters of a group. Where a broker keeps them write-only, that is said, or read
 * permission is granted on it for as long as the effect runs, whatever comes of it.
 */
export const reading = <A, E, R>({ grantRead, group, ...reached }: Reading, self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const topic = dlqTopic(group)
    const open = toRun(reached)`topic update ${topic} --perm rw`
    const close = toRun(reached)`topic update ${topic} --perm w`
    const colors = palette((yield* Screen).stderr)
    const closed = (yield* admin.examineTopicConfig(topic)).filter(({ config }) => (config.perm & PermName.READ) === 0)
    const names = NameList.text(closed.map(({ brokerName }) => brokerName))
    if (closed.length > 0 && !grantRead) {
      return yield* refuse({
        tag: "NotReadable",
        message: `The dead letters of group "${group}" may not be read on ${names}: topic ${topic} is write-only there (perm 2).`,
        remedy: `Pass --grant-read to let them be read while the command runs, or for good: ${open}`,
        exitCode: ExitCode.refused
      })
    }
    if (closed.length > 0) {
      yield* Console.error(
        `${colors.warn("granted:")} read permission of ${topic} on ${names}, taken back at the end; if this is killed: ${close}`
      )
    }
    for (const { brokerName, config } of closed) {
      yield* Effect.acquireRelease(admin.updateTopic({ topic, brokerName, perm: config.perm | PermName.READ }), () =>
        admin.updateTopic({ topic, brokerName, perm: config.perm }).pipe(
          Effect.matchEffect({
            onFailure: (error) =>
              Console.error(
                `${colors.bad("error:")} the read permission of ${topic} on ${brokerName} could not be taken back: ${error.message} Try: ${close}`
              ),
            onSuccess: () => Effect.void
          })
        )
      )
    }
    const now = monotonicMillis(yield* Clock.Clock)
    const deadline = now() + ROUTE_MILLIS
    const isReadable = Effect.map(admin.fetchSubscribeMessageQueues(topic), (queues) =>
      closed.every(({ brokerName }) => queues.some((queue) => queue.brokerName === brokerName))
    )
    while (!(yield* isReadable) && now() < deadline) yield* Effect.sleep(ROUTE_POLL_MILLIS)
    return yield* self
  }).pipe(Effect.scoped)
