import { Schema } from "effect"

/**
 * The life of a producer and of a client instance.
 *
 * - `CREATE_JUST`: made, never started; holds nothing.
 * - `START_FAILED`: a start is under way, or one failed; after a failure nothing is held.
 * - `RUNNING`: every resource is held.
 * - `SHUTDOWN_ALREADY`: closed; nothing is held, and it stays so.
 *
 * A start writes `START_FAILED` first and `RUNNING` last, so that whatever ends it in between leaves the truth behind.
 *
 * Source: RocketMQ `ServiceState`.
 */
export const ServiceState = Schema.Literals(["CREATE_JUST", "START_FAILED", "RUNNING", "SHUTDOWN_ALREADY"])

/** One of the four service states. */
export type ServiceState = typeof ServiceState.Type
