import { type Context, Effect } from "effect"
import type { AddressTranslator } from "../client/AddressTranslator.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import { AdminError, type AdminReason } from "./AdminError.ts"

/** What the parts of an `MQAdmin` work with. */
export interface AdminContext {
  readonly instance: MQClientInstanceShape
  readonly timeoutMillis: number
  /** The address under which this client reaches a broker that announces another one. */
  readonly translate: Context.Service.Shape<typeof AddressTranslator>["translate"]
}

/** Gives a failure the name of the call, and the servers on which the call had succeeded by then. */
export const failing =
  (operation: string, done: ReadonlyArray<string> = []) =>
  <A, E extends AdminReason, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, AdminError, R> =>
    Effect.mapError(self, (reason) => new AdminError({ operation, done: [...done], reason }))
