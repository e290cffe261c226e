/**
 * Release numbers that travel in each frame's `version`: the index of a release in RocketMQ's list of releases.
 * From 401 on a name server writes standard JSON; above 475 a server that shuts down may answer GO_AWAY.
 *
 * Source: RocketMQ `MQVersion`.
 */
export const MQVersion = {
  V3_4_9: 121,
  V4_1_0: 233,
  V4_9_3: 399,
  V4_9_4: 401,
  V4_9_7: 407,
  V5_0_0: 413,
  V5_3_1: 475,
  V5_5_0: 513,
  /** The release this library speaks as. */
  CURRENT: 513
} as const
