/** What an entry point exports, namespaces included. */
type Exported<M> = { [K in keyof M]: M[K] extends object ? M[K] | M[K][keyof M[K]] : M[K] }[keyof M]

/** The errors whose classes an entry point exports, namespaces included. */
export type ErrorsOf<M> =
  Exported<M> extends infer T
    ? T extends abstract new (...args: never) => infer E
      ? E extends Error & { readonly _tag: string }
        ? E
        : never
      : never
    : never

/** The class of an error, and the tag that `catchTag` asks for. */
export interface ErrorClass {
  readonly tag: string
  readonly self: unknown
}

/** The classes of errors that an entry point exports, those inside its namespaces included. */
export const errorsOf = (entryPoint: object): ReadonlyArray<ErrorClass> =>
  Object.values(entryPoint).flatMap((value: unknown): ReadonlyArray<ErrorClass> => {
    if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null) return errorsOf(value)
    if (typeof value !== "function" || !(value.prototype instanceof Error)) return []
    const tag: unknown = Reflect.get(value, "identifier")
    return typeof tag === "string" ? [{ tag, self: value }] : []
  })
