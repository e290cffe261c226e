/** What embedded servers of this process hold at this moment; the leak check compares it before and after. */
export interface LiveCounters {
  servers: number
  channels: number
  heldPulls: number
}

/** The counters of this process. Servers count themselves up when they start and down when their scope closes. */
export const counters: LiveCounters = { servers: 0, channels: 0, heldPulls: 0 }
