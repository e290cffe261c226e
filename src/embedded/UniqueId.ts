const word = (value: number): string => (value >>> 0).toString(16).padStart(8, "0")

/**
 * The unique id (`UNIQ_KEY`) that a broker gives a message which came without one: 16 bytes in hex, of which the first
 * ten are random here, then four of the time and two of chance.
 *
 * Source: RocketMQ `MessageClientIDSetter`.
 */
export const make = (now: number, draw: () => number): string => {
  const random = () => word(Math.floor(draw() * 0x1_0000_0000))
  return (random() + random() + word(now) + random()).toUpperCase()
}
