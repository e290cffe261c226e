import * as Long from "../../protocol/Long.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"

/** The properties by which a message names its time of delivery, in the order a broker asks for them. */
export const names = [MessageConst.TIMER_DELAY_SEC, MessageConst.TIMER_DELAY_MS, MessageConst.TIMER_DELIVER_MS] as const

/** Whether the message names a time of delivery. */
export const isTimed = (properties: Readonly<Record<string, string>>): boolean =>
  names.some((name) => properties[name] !== undefined)

/**
 * When the message shall be delivered, in milliseconds since the epoch; `undefined` when its property is no number. `now`
 * is when it is stored. As in Java the sum wraps at 64 bits, so that a delay that is far too long is over already.
 *
 * Source: RocketMQ `HookUtils.transformTimerMessage`.
 */
export const deliverAt = (properties: Readonly<Record<string, string>>, now: number): Long.Long | undefined => {
  const name = names.find((candidate) => properties[candidate] !== undefined)
  const text = name === undefined ? undefined : properties[name]
  const value = text === undefined ? undefined : Long.parseLong(text)
  if (value === undefined) return undefined
  const at = Math.floor(now)
  switch (name) {
    case MessageConst.TIMER_DELAY_SEC:
      return Long.add(at, Long.multiply(value, 1_000))
    case MessageConst.TIMER_DELAY_MS:
      return Long.add(at, value)
    default:
      return value
  }
}

/** The tick of a broker's timers that a time belongs to, for ticks of so many milliseconds. */
export const tick = (time: number, precisionMs: number): number => Math.floor(time / precisionMs) * precisionMs

/** `TIMER_OUT_MS`: the last tick before a time. The message leaves with the next one, so never too early. */
export const outAt = (time: number, precisionMs: number): number => tick(time - 1, precisionMs)

/** By what a recall finds its message. Source: RocketMQ `TimerMessageStore.buildDeleteKey`. */
export const recallKey = (topic: string, uniqueKey: string): string => `${topic}+${uniqueKey}`
