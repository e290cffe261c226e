import { createHash } from "node:crypto"
import { parseAst } from "vitest/node"

/** One small mistake in a source file. */
export interface Mutant {
  /** What kind of mistake it is. */
  readonly operator: string
  /** The line where it stands, from 1. */
  readonly line: number
  readonly start: number
  readonly end: number
  readonly replacement: string
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value

/** What a comparison or a sum becomes. */
const OTHER: ReadonlyMap<string, ReadonlyArray<readonly [operator: string, instead: string]>> = new Map([
  ["<", [["boundary", "<="]]],
  ["<=", [["boundary", "<"]]],
  [">", [["boundary", ">="]]],
  [">=", [["boundary", ">"]]],
  ["===", [["equality", "!=="]]],
  ["!==", [["equality", "==="]]],
  ["+", [["arithmetic", "-"]]],
  ["-", [["arithmetic", "+"]]],
  ["*", [["arithmetic", "/"]]],
  ["/", [["arithmetic", "*"]]],
  ["&&", [["logic", "||"]]],
  ["||", [["logic", "&&"]]]
])

/** Of a type nothing is left when a program runs; of these, the value inside is. */
const AROUND_A_VALUE: ReadonlySet<string> = new Set(["TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression"])

const isText = (node: unknown): boolean =>
  isNode(node) && (node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node["value"] === "string"))

/** The mistakes that can be made in a source text, in the order of their places. */
export const mutantsOf = (source: string): ReadonlyArray<Mutant> => {
  const found: Array<Mutant> = []
  const add = (operator: string, { end, start }: Pick<Node, "start" | "end">, replacement: string) =>
    found.push({ operator, line: source.slice(0, start).split("\n").length, start, end, replacement })

  const condition = (test: unknown) => {
    if (!isNode(test)) return
    add("condition", test, "true")
    add("condition", test, "false")
  }

  const visit = (node: Node): void => {
    if (node.type.startsWith("TS") && !AROUND_A_VALUE.has(node.type)) return
    if (node.type === "ImportDeclaration" || node.type === "ExportAllDeclaration") return
    const { expression, left, operator, right } = node
    if (node.type === "IfStatement" || node.type === "ConditionalExpression") condition(node["test"])
    if (
      (node.type === "BinaryExpression" || node.type === "LogicalExpression") &&
      isNode(left) &&
      isNode(right) &&
      !isText(left) &&
      !isText(right)
    ) {
      for (const [name, instead] of OTHER.get(String(operator)) ?? []) {
        const between = source.slice(left.end, right.start)
        add(name, { start: left.end, end: right.start }, between.replace(String(operator), instead))
      }
    }
    if (node.type === "UnaryExpression" && operator === "!")
      add("negation", { start: node.start, end: node.start + 1 }, "")
    if (node.type === "Literal" && typeof node["value"] === "number") add("number", node, String(node["value"] + 1))
    if (node.type === "Literal" && typeof node["value"] === "boolean") add("boolean", node, String(!node["value"]))
    if (node.type === "ExpressionStatement" && isNode(expression)) {
      const call = expression.type === "YieldExpression" ? expression["argument"] : expression
      if (isNode(call) && call.type === "CallExpression") add("statement", node, ";")
    }
    const { arguments: given } = node
    if (node.type === "CallExpression" && Array.isArray(given) && given.length > 1) {
      const [before, last] = given.slice(-2)
      if (isNode(before) && isNode(last) && last.type === "ObjectExpression")
        add("argument", { start: before.end, end: last.end }, "")
    }
    for (const child of Object.values(node)) {
      for (const one of Array.isArray(child) ? child : [child]) if (isNode(one)) visit(one)
    }
  }
  const program: unknown = parseAst(source, { lang: "ts" })
  if (isNode(program)) visit(program)
  return found.toSorted((a, b) => a.start - b.start || a.end - b.end)
}

/** The source with the mistake in it. */
export const mutated = (source: string, { end, replacement, start }: Mutant): string =>
  source.slice(0, start) + replacement + source.slice(end)

/** All of them, in the order in which a seed draws them: the first ones are the same however many there are beside them. */
export const rankedBy = <A>(all: ReadonlyArray<A>, idOf: (one: A) => string, seed: string): ReadonlyArray<A> =>
  all
    .map((one) => ({
      one,
      rank: createHash("sha256")
        .update(`${seed} ${idOf(one)}`)
        .digest("hex")
    }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ one }) => one)
