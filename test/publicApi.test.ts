import { assert, describe, it } from "@effect/vitest"
import { Context, Schema } from "effect"
import { explainers } from "../src/explain/Explain.ts"
import * as Main from "../src/index.ts"
import * as Promises from "../src/promise/index.ts"
import * as Protocol from "../src/protocol/index.ts"
import * as Testing from "../src/testing/index.ts"
import { undocumented, undocumentedIn } from "./support/docstrings.ts"
import { sources } from "./support/importGraph.ts"
import { errorsOf } from "./support/publicErrors.ts"

/**
 * What a program can import: named one by one, coherent over all entry points, and nothing by accident. See the decisions
 * in docs/architecture.md.
 */

const entryPoints = new Map<string, object>([
  ["index.ts", Main],
  ["promise/index.ts", Promises],
  ["protocol/index.ts", Protocol],
  ["testing/index.ts", Testing]
])

/** A function, and not a class, a schema, or the key of a service. */
const isPlainFunction = (value: unknown): boolean =>
  typeof value === "function" &&
  !Schema.isSchema(value) &&
  !Context.isKey(value) &&
  !/^class\b/.test(Function.prototype.toString.call(value))

describe("the public API", () => {
  it("is listed name by name", () => {
    const lists = sources.filter(({ file }) => entryPoints.has(file))
    assert.strictEqual(lists.length, entryPoints.size)
    for (const { file, text } of lists) assert.notMatch(text, /^export \* from/m, file)
  })

  it("has no two errors with one tag", () => {
    const classes = new Map<string, Set<unknown>>()
    for (const { self, tag } of [...entryPoints.values()].flatMap(errorsOf)) {
      classes.set(tag, (classes.get(tag) ?? new Set()).add(self))
    }
    assert.isAbove(classes.size, 45)
    assert.deepStrictEqual(
      [...classes].filter(([, same]) => same.size > 1).map(([tag]) => tag),
      []
    )
  })

  it("has the class of every error that a program can meet", () => {
    const exported = new Set([Main, Protocol].flatMap(errorsOf).map(({ tag }) => tag))
    assert.deepStrictEqual(
      Object.keys(explainers).filter((tag) => !exported.has(tag)),
      []
    )
  })

  it("has functions inside of namespaces", () => {
    const functions = [...entryPoints].flatMap(([file, names]) =>
      Object.entries(names).flatMap(([name, value]) => (isPlainFunction(value) ? [`${file} ${name}`] : []))
    )
    assert.deepStrictEqual(functions, [
      // The concept of these is every error.
      "index.ts explain",
      "promise/index.ts explain",
      // The loop over it is what it is for.
      "promise/index.ts messages",
      "promise/index.ts messagesByQueue",
      // These belong to tables of constants of the same name, which a program reads as such.
      "protocol/index.ts languageCode",
      "protocol/index.ts languageName",
      "protocol/index.ts requestCodeName",
      "protocol/index.ts responseCodeName"
    ])
  })

  for (const entry of entryPoints.keys()) {
    it(`has a word for every export of ${entry} and every member of an interface or error`, () => {
      const { bare, members } = undocumented(entry)
      assert.deepStrictEqual(
        bare.map(({ file, line, name }) => `src/${file}:${line} ${name}`),
        []
      )
      // The reader finds what there is to find.
      assert.isAbove(members, 400)
    })
  }

  it("a word that is missing is found", () => {
    const names = undocumentedIn(
      `/** A pair. */
      export interface Pair {
        /** The first. */
        readonly first: string
        readonly second: Other
      }
      export interface Other { readonly inner: number }
      /** A choice. */
      export type Choice =
        /** This one. */
        | { readonly kind: "this"; readonly value: number }
        | { readonly kind: "that" }
      /** An error. */
      export class Failed extends Schema.TaggedError<Failed>()("Failed", {
        /** Why. */
        why: Schema.String,
        where: Schema.String
      }) {
        override get message() { return "" }
        get again() { return true }
        private hidden = 1
      }
      /** A service. */
      export class Service extends Context.Service<Service, { readonly get: number }>()("Service") {}
      /** Something. */
      export interface Opaque {
        /** @internal */
        readonly inner: Hidden
        /** Its parts. */
        readonly outer: Shown
      }
      interface Hidden { readonly no: number }
      /** Shown. */
      interface Shown { readonly yes: number }
      export const value = 1
      /** A function. */
      export function twice(a: string): string
      /** The same. */
      export function twice(a: number): number
      export function twice(a: unknown): unknown { return a }
      `
    )
    assert.deepStrictEqual(names, [
      "Pair.second",
      "Other",
      "Other.inner",
      "Choice.kind",
      "Failed.where",
      "Failed.again",
      "Service.get",
      "Shown.yes",
      "value"
    ])
  })
})
