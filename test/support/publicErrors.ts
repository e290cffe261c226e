type ErrorOf<T> = T extends abstract new (...args: never) => infer E
  ? E extends Error & { readonly _tag: string }
    ? E
    : never
  : never

/** The errors whose classes an entry point exports, those inside its namespaces included. */
export type ErrorsOf<M> = {
  readonly [K in keyof M]: M[K] extends abstract new (...args: never) => unknown
    ? ErrorOf<M[K]>
    : { readonly [J in keyof M[K]]: ErrorOf<M[K][J]> }[keyof M[K]]
}[keyof M]

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
