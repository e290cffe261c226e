import { type Cause, Effect, Exit, FiberSet, type Scope, Semaphore } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Millis from "../../message/Millis.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { MQProducerInner } from "../../client/ClientMembers.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import type { CheckTransactionStateHeader } from "../../protocol/push/CheckTransactionState.ts"
import { commitOrRollback, remarkOf } from "./EndOfTransaction.ts"
import type { LocalTransactionState } from "./LocalTransactionState.ts"
import * as Drain from "../../client/Drain.ts"
import * as LogLimit from "../../client/LogLimit.ts"

/** How a producer answers what brokers ask about its half messages. */
export interface CheckOptions {
  /** The group, as it goes on the wire. */
  readonly producerGroup: string
  /** Checks that run at once; the others wait. */
  readonly checkConcurrency: number
  /** Checks that may run and wait; one beyond is dropped, and the broker asks again. */
  readonly checkRequestHoldMax: number
  /** Milliseconds that a check may take. */
  readonly checkTimeoutMillis: number
}

/** What became of the checks. */
export interface CheckCounters {
  /** Checks that brokers asked for. */
  received: number
  /** Those answered that the transaction is done. */
  committed: number
  /** Those answered that it never will be. */
  rolledBack: number
  /** Those answered UNKNOW, for whatever reason. */
  unknown: number
  /** Of those, the ones that took too long or failed. */
  failed: number
  /** Those that were not run: too many at once, the producer was ending, or the body could not be unpacked. */
  dropped: number
}

/** The checks of one producer. */
export interface TransactionChecks {
  /** Lets an instance hand its questions to this producer, for as long as the scope is open. */
  readonly attach: (
    instance: MQClientInstanceShape
  ) => Effect.Effect<Required<Pick<MQProducerInner, "checkTransactionState">>, never, Scope.Scope>
  /** Takes no more questions and waits for the checks under way; gives how many are left. */
  readonly drain: (timeoutMillis: number) => Effect.Effect<number>
  /** What became of the checks so far. */
  readonly counters: Readonly<CheckCounters>
}

/** Milliseconds that the answer may take to leave; Java has this fixed, too. */
const ANSWER_TIMEOUT_MILLIS = 3_000

/** Bytes of the half messages whose checks may run and wait; one beyond is dropped, and the broker asks again. */
export const CHECK_HOLD_MAX_BYTES = 64 * 1024 * 1024

/** How a check ended that gave no answer in time. */
const TIMED_OUT = "timed-out"

type Outcome = LocalTransactionState | typeof TIMED_OUT

const problemOf = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  return remarkOf("", cause) ?? ForeignText.ofThrownWithName(failure?.error)
}

/**
 * Makes the checks of a producer. A check that fails in whatever way or takes too long is answered UNKNOW, so that the
 * broker asks again. The answer goes to the address that the question came from: that is who has the half message.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.checkTransactionState`.
 */
export const make = (
  options: CheckOptions,
  checkLocalTransaction: (message: MessageExt) => Effect.Effect<LocalTransactionState, unknown>
): TransactionChecks => {
  const { checkConcurrency, checkRequestHoldMax, checkTimeoutMillis, producerGroup } = options
  const counters: CheckCounters = { received: 0, committed: 0, rolledBack: 0, unknown: 0, failed: 0, dropped: 0 }
  const pending = Drain.make()
  const limit = LogLimit.make()
  let heldBytes = 0
  let closing = false

  type Ended = Exit.Exit<Outcome, unknown>

  const count = (state: LocalTransactionState, known: boolean) => {
    if (state === "COMMIT_MESSAGE") counters.committed++
    else if (state === "ROLLBACK_MESSAGE") counters.rolledBack++
    else counters.unknown++
    if (!known) counters.failed++
  }

  const outcomeOf = (ended: Ended): { readonly state: LocalTransactionState; readonly problem: string | undefined } => {
    if (Exit.isFailure(ended)) return { state: "UNKNOW", problem: problemOf(ended.cause) }
    return ended.value === TIMED_OUT
      ? { state: "UNKNOW", problem: `no answer within ${Millis.text(checkTimeoutMillis)}` }
      : { state: ended.value, problem: undefined }
  }

  /** Why one more check cannot be taken; undefined when it can. */
  const refusal = (message: MessageExt): string | undefined => {
    if (closing) return "the producer is ending"
    if (pending.count() >= checkRequestHoldMax) return `${checkRequestHoldMax} checks are waiting already`
    return heldBytes > 0 && heldBytes + message.storeSize > CHECK_HOLD_MAX_BYTES
      ? `${heldBytes} bytes of half messages are waiting already`
      : undefined
  }

  const attach: TransactionChecks["attach"] = Effect.fnUntraced(function* (instance) {
    const fork = yield* FiberSet.makeRuntime()
    const semaphore = Semaphore.makeUnsafe(checkConcurrency)

    const answer = (address: string, header: CheckTransactionStateHeader, message: MessageExt, ended: Ended) =>
      Effect.suspend(() => {
        const { problem, state } = outcomeOf(ended)
        count(state, problem === undefined)
        const { msgId } = message
        const shown = ForeignText.clean(msgId)
        const told = instance.api
          .endTransactionOneway(
            address,
            {
              topic: header.topic,
              producerGroup,
              tranStateTableOffset: header.tranStateTableOffset,
              commitLogOffset: header.commitLogOffset,
              commitOrRollback: commitOrRollback[state],
              fromTransactionCheck: true,
              msgId,
              transactionId: header.transactionId,
              brokerName: header.brokerName
            },
            problem === undefined ? undefined : `checkLocalTransactionState Exception: ${problem}`,
            ANSWER_TIMEOUT_MILLIS
          )
          .pipe(Effect.catch((error) => limit.warn(`the answer to the check of ${shown} is lost: ${error.message}`)))
        return problem === undefined
          ? told
          : Effect.andThen(limit.warn(`the check of half message ${shown} failed: ${problem}`), told)
      })

    const run = (address: string, header: CheckTransactionStateHeader, message: MessageExt) =>
      Effect.suspend(() => checkLocalTransaction(message)).pipe(
        Effect.timeoutOrElse({ duration: checkTimeoutMillis, orElse: () => Effect.succeed<Outcome>(TIMED_OUT) }),
        Effect.exit,
        Effect.flatMap((ended: Ended) => answer(address, header, message, ended))
      )

    /** Waits for its turn with the body packed, as it came. */
    const check = (address: string, header: CheckTransactionStateHeader, message: MessageExt) =>
      Effect.matchEffect(instance.pulled.unpack(message), {
        onFailure: (error) => {
          counters.dropped++
          return limit.warn(`dropped a transaction check of ${address}: ${error.message}`)
        },
        onSuccess: (unpacked) => run(address, header, unpacked)
      }).pipe(
        semaphore.withPermits(1),
        Effect.ensuring(
          Effect.sync(() => {
            heldBytes -= message.storeSize
          })
        ),
        pending.track,
        Effect.annotateLogs({ group: producerGroup, broker: address })
      )

    return {
      checkTransactionState: (address, header, message) =>
        Effect.suspend(() => {
          counters.received++
          const why = refusal(message)
          if (why === undefined) {
            heldBytes += message.storeSize
            fork(check(address, header, message))
            return Effect.void
          }
          counters.dropped++
          return Effect.logDebug(`dropped a transaction check of ${address} for group ${producerGroup}: ${why}`)
        })
    }
  })

  return {
    attach,
    counters,
    drain: (timeoutMillis) =>
      Effect.suspend(() => {
        closing = true
        return pending.drain(timeoutMillis)
      })
  }
}
