import { MessageConst } from "../../protocol/MessageProperties.ts"

/** The properties by which a message names its time of delivery, in the order a broker asks for them. */
export const names = [MessageConst.TIMER_DELAY_SEC, MessageConst.TIMER_DELAY_MS, MessageConst.TIMER_DELIVER_MS] as const

const integer = /^[+-]?[0-9]+$/

/**
 * When the message shall be delivered, in milliseconds since the epoch; `undefined` when its property is no number. `now`
 * is when it is stored.
 *
 * Source: RocketMQ `HookUtils.transformTimerMessage`.
 */
export const deliverAt = (properties: Readonly<Record<string, string>>, now: number): number | undefined => {
  const name = names.find((candidate) => properties[candidate] !== undefined)
  const text = name === undefined ? undefined : properties[name]
  if (text === undefined || !integer.test(text)) return undefined
  const value = Number(text)
  switch (name) {
    case MessageConst.TIMER_DELAY_SEC:
      return now + value * 1_000
    case MessageConst.TIMER_DELAY_MS:
      return now + value
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
