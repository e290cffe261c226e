/** What the conformance suite runs against: a cluster of two masters, its address, its release, and what it can be asked to do. */
import { Context, type Effect } from "effect"
import type { Credentials } from "../../src/client/SessionCredentials.ts"
import type { SendOutcome } from "../../src/producer/send/SendError.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"

/** The releases whose behaviour the suite knows. */
export type Release = "5.5.0" | "4.9.7"

/** Where releases differ. A fact is asserted on every target; none is left out anywhere. */
export interface ReleaseFacts {
  /** The `version` in the header of a broker's answers. */
  readonly brokerVersion: number
  /** Whether the answer to a send carries the transaction id. */
  readonly answersTransactionId: boolean
  /** Whether messages can be timed to the second, and recalled. */
  readonly timers: boolean
  /** Whether messages can be popped. */
  readonly pops: boolean
  /** What becomes of a send to a queue that the topic does not have: the broker's code, and what a producer makes of it. */
  readonly queueOutOfRange: { readonly code: number; readonly attempts: number; readonly outcome: SendOutcome }
}

/** The facts of each release. */
export const facts: Readonly<Record<Release, ReleaseFacts>> = {
  "5.5.0": {
    brokerVersion: MQVersion.V5_5_0,
    answersTransactionId: true,
    timers: true,
    pops: true,
    // INVALID_PARAMETER: the same send would fail the same way.
    queueOutOfRange: { code: 29, attempts: 1, outcome: "rejected" }
  },
  "4.9.7": {
    brokerVersion: MQVersion.V4_9_7,
    answersTransactionId: false,
    timers: false,
    pops: false,
    // SYSTEM_ERROR, which says nothing: it is retried, and whether the message is stored counts as unknown.
    queueOutOfRange: { code: 1, attempts: 3, outcome: "unknown" }
  }
}

/** A broker of the target. */
export interface TargetBroker {
  readonly name: string
  readonly address: string
}

/** A running cluster with two masters, on which a send may create a topic. */
export class Target extends Context.Service<
  Target,
  {
    readonly kind: "embedded" | "rocketmq"
    readonly release: Release
    readonly facts: ReleaseFacts
    readonly namesrvAddr: string
    readonly clusterName: string
    /** Who may do everything there, on a cluster with access control. */
    readonly credentials?: Credentials | undefined
    readonly brokers: readonly [TargetBroker, TargetBroker]
    /** Ends the second broker without a farewell (a real one by kill -9). */
    readonly stopSecondBroker: Effect.Effect<void>
    /** Starts it again on the address it had; ends when it serves and every name server knows it. */
    readonly startSecondBroker: Effect.Effect<void>
    /** The codes of all requests that its servers got; undefined where nobody counts them. */
    readonly requestCodes?: Effect.Effect<ReadonlyArray<number>> | undefined
    /** How many connections this process has open on the target's wire, both ends counted where both are in the process. */
    readonly openConnections: Effect.Effect<number>
  }
>()("effect-rocketmq/test/conformance/Target") {}
