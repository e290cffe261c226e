/** What a consumer has counted since it was started. */
export interface ConsumerCounters {
  /** Messages that pulls brought and that passed the filter. */
  received: number
  /** Pulls that were answered, with messages or without. */
  pulls: number
  /** Pulls that failed. */
  pullFailures: number
  /** Messages that were given to a handler although the group had had them before. */
  redelivered: number
  /** Messages whose handlers consumed them. */
  succeeded: number
  /** Messages that were not consumed and are to come again, whyever. */
  reconsumeLater: number
  /** Messages of which the handler or the policy said that they are dead letters. */
  deadLettered: number
  /** Of the two before, those of a group that broadcasts, where no message comes again: they are finished. */
  abandoned: number
  /** Deliveries that ended with a typed failure. */
  failures: number
  /** Deliveries that ended with a defect, or were interrupted from inside the handler. */
  defects: number
  /** Deliveries that took longer than `consumeTimeout`. */
  timeouts: number
  /** Messages that a broker sent and that are left out here: by a filter hook, or since their tags only have a hash in common with a wanted one. */
  filtered: number
  /** Results of handlers that came when the queue had been given up: they count for nothing, the message comes again. */
  late: number
  /** Send-backs that were not acknowledged; each is tried again. */
  sendBackFailures: number
  /** How often a broker did not have the offset that was asked for, and named another to go on from. */
  offsetsMoved: number
  /** How often a queue that was read was reset: the group reads it on where somebody said. */
  resets: number
  /** Rounds of rebalance in which queues were taken or given up. */
  rebalances: number
  /** Positions that were written and acknowledged; those that pulls carry are not counted. */
  commits: number
  /** Positions that could not be written; they are written again. */
  commitFailures: number
}

/** Nothing counted. */
export const make = (): ConsumerCounters => ({
  received: 0,
  pulls: 0,
  pullFailures: 0,
  redelivered: 0,
  succeeded: 0,
  reconsumeLater: 0,
  deadLettered: 0,
  abandoned: 0,
  failures: 0,
  defects: 0,
  timeouts: 0,
  filtered: 0,
  late: 0,
  sendBackFailures: 0,
  offsetsMoved: 0,
  resets: 0,
  rebalances: 0,
  commits: 0,
  commitFailures: 0
})
