import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseSync } from "vite"
import { root } from "./importGraph.ts"

/**
 * Which public names and members have no docstring. Reads the sources and not the types: a name is public when an entry point
 * exports it, or when the declaration of a public name mentions it.
 */

type Program = ReturnType<typeof parseSync>["program"]
type Statement = Program["body"][number]

/** A node as far as all have it; its further fields are looked at by name. */
interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
}

interface Module {
  readonly file: string
  readonly text: string
  readonly body: ReadonlyArray<Statement>
  /** Documentation comments by where they end. */
  readonly docs: ReadonlyMap<number, string>
}

/** One declaration of a name. A type and a value of one name are two. */
interface Declaration {
  readonly module: Module
  readonly name: string
  readonly node: Node
  /** Where the statement begins, `export` included. */
  readonly start: number
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "type") === "string"

const field = (node: Node, name: string): Node | undefined => {
  const value: unknown = Reflect.get(node, name)
  return isNode(value) ? value : undefined
}

const list = (node: Node | undefined, name: string): ReadonlyArray<Node> => {
  const value: unknown = node === undefined ? undefined : Reflect.get(node, name)
  return Array.isArray(value) ? value.filter(isNode) : []
}

const word = (node: Node | undefined, name: string): string | undefined => {
  const value: unknown = node === undefined ? undefined : Reflect.get(node, name)
  return typeof value === "string" ? value : undefined
}

const flag = (node: Node, name: string): boolean => Reflect.get(node, name) === true

const children = (node: Node): ReadonlyArray<Node> =>
  Object.values(node).flatMap((value: unknown) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []
  )

const modules = new Map<string, Module>()

const read = (file: string): Module => {
  const known = modules.get(file)
  if (known !== undefined) return known
  const module = parse(file, Fs.readFileSync(file, "utf8"))
  modules.set(file, module)
  return module
}

const parse = (file: string, text: string): Module => {
  const { comments, errors, program } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`)
  const docs = comments.filter(({ type, value }) => type === "Block" && value.startsWith("*"))
  return { file, text, body: program.body, docs: new Map(docs.map(({ end, value }) => [end, value])) }
}

const resolve = (module: Module, source: string): Module | undefined =>
  source.startsWith(".") ? read(Path.resolve(Path.dirname(module.file), source)) : undefined

/** The documentation comment that stands right above, if one does. */
const docOf = ({ docs, text }: Module, start: number): string | undefined => {
  let at = start
  while (at > 0 && /\s/.test(text[at - 1] ?? "")) at--
  return docs.get(at)
}

const isDocumented = (module: Module, start: number): boolean => docOf(module, start) !== undefined

/** What is marked so is left out of the types that are published. */
const isInternal = (module: Module, start: number): boolean => docOf(module, start)?.includes("@internal") === true

const named = (node: Node | undefined): string | undefined => word(node, "name") ?? word(node, "value")

const declared = (module: Module, statement: Node): ReadonlyArray<Declaration> => {
  const node = statement.type === "ExportNamedDeclaration" ? field(statement, "declaration") : statement
  if (node === undefined) return []
  const nodes = node.type === "VariableDeclaration" ? list(node, "declarations") : [node]
  return nodes.flatMap((one) => {
    const name = named(field(one, "id"))
    return name === undefined ? [] : [{ module, name, node: one, start: statement.start }]
  })
}

/** What a name means inside of a module: its own declarations, or those that it imports. */
const lookUp = (module: Module, name: string): ReadonlyArray<Declaration> => {
  const own = module.body.flatMap((statement) => declared(module, statement)).filter((one) => one.name === name)
  if (own.length > 0) return own
  for (const statement of module.body) {
    if (statement.type !== "ImportDeclaration") continue
    for (const specifier of list(statement, "specifiers")) {
      if (named(field(specifier, "local")) !== name) continue
      const target = resolve(module, statement.source.value)
      if (target === undefined) return []
      return specifier.type === "ImportNamespaceSpecifier"
        ? exported(target)
        : exportedAs(target, named(field(specifier, "imported")) ?? name)
    }
  }
  return []
}

const exportedAs = (module: Module, name: string): ReadonlyArray<Declaration> =>
  exported(module).filter((one) => one.name === name)

/** Everything that a module exports, with what its namespaces hold. */
const exported = (module: Module): ReadonlyArray<Declaration> =>
  module.body.flatMap((statement): ReadonlyArray<Declaration> => {
    if (statement.type === "ExportAllDeclaration") {
      const target = resolve(module, statement.source.value)
      return target === undefined ? [] : exported(target)
    }
    if (statement.type !== "ExportNamedDeclaration") return []
    const source = statement.source === null ? undefined : resolve(module, statement.source.value)
    return [
      ...declared(module, statement),
      ...list(statement, "specifiers").flatMap((specifier) => {
        const local = named(field(specifier, "local")) ?? ""
        const name = named(field(specifier, "exported")) ?? local
        const found = source === undefined ? lookUp(module, local) : exportedAs(source, local)
        return found.map((one) => ({ ...one, name }))
      })
    ]
  })

const isHidden = (member: Node): boolean =>
  flag(member, "override") ||
  flag(member, "computed") ||
  ["private", "protected"].includes(word(member, "accessibility") ?? "") ||
  field(member, "key")?.type === "PrivateIdentifier" ||
  (member.type === "MethodDefinition" && word(member, "kind") === "constructor")

/** A member, and whether the docstring of the variant that it belongs to speaks for it. */
interface Member {
  readonly node: Node
  readonly told: boolean
}

const each = (nodes: ReadonlyArray<Node>, told = false): ReadonlyArray<Member> => nodes.map((node) => ({ node, told }))

/** The members that a declaration has itself: of an interface, an object type, a class, or the fields of a schema class. */
const membersOf = (module: Module, node: Node): ReadonlyArray<Member> => {
  switch (node.type) {
    case "TSInterfaceDeclaration":
      return each(list(field(node, "body"), "body"))
    case "TSTypeAliasDeclaration":
      return typeMembers(module, field(node, "typeAnnotation"))
    case "ClassDeclaration": {
      const parent = field(node, "superClass")
      return [
        ...each(list(field(node, "body"), "body").filter((member) => !isHidden(member))),
        ...(parent === undefined ? [] : each(schemaFields(parent))),
        ...(parent === undefined ? [] : serviceMembers(module, parent))
      ]
    }
    default:
      return []
  }
}

/** Through unions, intersections, arrays and the like, down to object types. One variant of a union may be told as a whole. */
const typeMembers = (module: Module, node: Node | undefined): ReadonlyArray<Member> => {
  if (node === undefined || /Function|Constructor|TypeReference|TypeQuery/.test(node.type)) return []
  if (node.type === "TSTypeLiteral") return each(list(node, "members"))
  if (node.type !== "TSUnionType") return children(node).flatMap((child) => typeMembers(module, child))
  return list(node, "types").flatMap((variant) => {
    const bar = module.text.lastIndexOf("|", variant.start)
    const told = isDocumented(module, variant.start) || (bar >= 0 && isDocumented(module, bar))
    return typeMembers(module, variant).map((member) => (told ? { ...member, told } : member))
  })
}

/** `Schema.TaggedError<X>()("X", { ... })`, `Schema.Class<X>("X")({ ... })`. */
const schemaFields = (call: Node): ReadonlyArray<Node> => {
  if (call.type !== "CallExpression") return []
  const object = list(call, "arguments").find(({ type }) => type === "ObjectExpression")
  return list(object, "properties").filter(({ type }) => type === "Property")
}

/** `Context.Service<X, { ... }>()("X")`. */
const serviceMembers = (module: Module, call: Node): ReadonlyArray<Member> => {
  const types = list(field(call, "typeArguments"), "params").flatMap((type) => typeMembers(module, type))
  const callee = field(call, "callee")
  return [...types, ...(callee?.type === "CallExpression" ? serviceMembers(module, callee) : [])]
}

/** The name of a type, `Space.Name` for one in a namespace. */
const nameIn = (node: Node | undefined): string | undefined => {
  if (node?.type === "TSQualifiedName") return `${named(field(node, "left"))}.${named(field(node, "right"))}`
  // In what an interface extends.
  if (node?.type === "MemberExpression") return `${named(field(node, "object"))}.${named(field(node, "property"))}`
  return named(node)
}

/** The names that the types in a declaration mention; what stands in function bodies is nobody's business. */
const mentioned = (module: Module, node: Node): ReadonlyArray<string> => {
  if (/^(?:TS(?:Property|Method)Signature|PropertyDefinition|MethodDefinition)$/.test(node.type)) {
    if (isInternal(module, node.start)) return []
  }
  if (/^(?:BlockStatement|FunctionBody|ArrowFunctionExpression|FunctionExpression)$/.test(node.type)) {
    return [...list(node, "params"), ...[field(node, "returnType")].filter((one) => one !== undefined)].flatMap((one) =>
      mentioned(module, one)
    )
  }
  if (node.type === "TSTypeReference" || node.type === "TSInterfaceHeritage" || node.type === "TSTypeQuery") {
    const name = nameIn(field(node, "typeName") ?? field(node, "expression") ?? field(node, "exprName"))
    return [...(name === undefined ? [] : [name]), ...children(node).flatMap((one) => mentioned(module, one))]
  }
  return children(node).flatMap((one) => mentioned(module, one))
}

/** A name or a member without a docstring: `client/ClientError.ts`, line 34, `InvalidGroup.group`. */
export interface Undocumented {
  readonly file: string
  readonly line: number
  readonly name: string
}

const src = Path.join(root, "src")

/** What public names and their members lack; also the names that public declarations mention. */
const search = (names: ReadonlyArray<Declaration>) => {
  const bare: Array<Undocumented> = []
  const seen = new Set<Node>()
  let members = 0
  const say = ({ file, text }: Module, start: number, name: string) =>
    void bare.push({ file: Path.relative(src, file), line: text.slice(0, start).split("\n").length, name })
  const open = [...names]
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    const { module, name, node, start } = one
    if (seen.has(node)) continue
    seen.add(node)
    if (!isOverloadBody(one) && !isDocumented(module, start)) say(module, start, name)
    for (const { node: member, told } of membersOf(module, node)) {
      if (isInternal(module, member.start)) continue
      members++
      const label = named(field(member, "key")) ?? (member.type.includes("Call") ? "()" : member.type)
      if (!told && !isDocumented(module, member.start)) say(module, member.start, `${name}.${label}`)
    }
    for (const other of mentioned(module, node)) {
      const [first = "", second] = other.split(".")
      for (const target of lookUp(module, first)) {
        if (second !== undefined && target.name !== second) continue
        if (/^(?:TSInterface|TSTypeAlias|Class)/.test(target.node.type)) open.push(target)
      }
    }
  }
  return { bare: bare.toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line), members }
}

/** The body of an overloaded function stands below its signatures, which are documented. */
const isOverloadBody = ({ module, name, node }: Declaration): boolean =>
  node.type === "FunctionDeclaration" &&
  module.body.some((other) =>
    declared(module, other).some((d) => d.node.type === "TSDeclareFunction" && d.name === name)
  )

/** What an entry point lacks, and how many members were looked at. */
export const undocumented = (entry: string) => search(exported(read(Path.join(src, entry))))

/** The names that a text lacks a docstring for, were it a file of src. */
export const undocumentedIn = (text: string): ReadonlyArray<string> =>
  search(exported(parse(Path.join(src, "text.ts"), text))).bare.map(({ name }) => name)
