import { Effect, Metric, type Scope } from "effect"

/**
 * Metrics that are read and not written: the numbers lie in the client anyway, and whoever exports metrics asks for them
 * then. Between two exports they cost nothing.
 */

/** One series that is read when metrics are exported. */
export interface ObservedSeries {
  readonly kind: "counter" | "gauge"
  readonly name: string
  readonly description: string
  /** In UCUM's words: `s`, `By`, `{request}`. */
  readonly unit: string
  readonly attributes?: Readonly<Record<string, string>>
  /** The value now; must not throw. */
  readonly read: () => number
}

const nothing = () => {}

/** Shows series for as long as the scope is open, each with the given attributes and its own. */
export const observe = (
  attributes: Readonly<Record<string, string>>,
  series: ReadonlyArray<ObservedSeries>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.contextWith((context) =>
        Effect.sync(() =>
          series.map(({ attributes: own, description, kind, name, read, unit }) => {
            const options = { description, attributes: { ...attributes, ...own, unit } }
            return kind === "gauge"
              ? Metric.registerUnsafe(Metric.gauge(name, options), context, {
                  get: () => ({ value: read() }),
                  update: nothing,
                  modify: nothing
                })
              : Metric.registerUnsafe(Metric.counter(name, { ...options, incremental: true }), context, {
                  get: () => ({ count: read(), incremental: true }),
                  update: nothing,
                  modify: nothing
                })
          })
        )
      ),
      (registrations) => Effect.sync(() => registrations.forEach((registration) => registration.remove()))
    )
  )
