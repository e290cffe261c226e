import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Prettier from "prettier"
import * as AdminConfig from "../../src/admin/AdminConfig.ts"
import * as ClientConfig from "../../src/client/ClientConfig.ts"
import { type AnyTable, COMMON_PREFIX, entriesOf, levelsOf } from "../../src/client/options/ConfigNames.ts"
import type { Entry } from "../../src/client/options/Option.ts"
import * as ConsumerOptions from "../../src/consumer/ConsumerOptions.ts"
import * as LitePullOptions from "../../src/consumer/lite/LitePullOptions.ts"
import * as ReadLitePullConfig from "../../src/consumer/lite/ReadLitePullConfig.ts"
import * as ReadSimpleConfig from "../../src/consumer/simple/ReadSimpleConfig.ts"
import * as SimpleOptions from "../../src/consumer/simple/SimpleOptions.ts"
import * as ReadConsumerConfig from "../../src/consumer/ReadConsumerConfig.ts"
import * as ProducerOptions from "../../src/producer/ProducerOptions.ts"
import * as ReadProducerConfig from "../../src/producer/ReadProducerConfig.ts"
import * as TransactionSettings from "../../src/producer/TransactionSettings.ts"

/** The tables of docs/configuration.md, made from the tables of options and from what their members say. */

const root = Path.join(import.meta.dirname, "..", "..")

/** The page. */
export const page: string = Path.join(root, "docs", "configuration.md")

/** One option, or a part of one, as the page has it. */
export interface Row {
  /** `tls.ca`. */
  readonly option: string
  readonly entry: Entry<unknown>
  readonly prefixes: ReadonlyArray<string>
  /** What its member in the users' interface says. */
  readonly doc: string
}

/** What the members of an interface say, by name. */
const docsOf = (file: string, name: string): ReadonlyMap<string, string> => {
  const text = Fs.readFileSync(Path.join(root, "src", file), "utf8")
  const begin = text.indexOf(`export interface ${name} `)
  const body = text.slice(begin, text.indexOf("\n}\n", begin))
  return new Map(
    [...body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*readonly (\w+)\??:/g)].map(([, doc = "", member = ""]) => [
      member,
      doc
        .replace(/^\s*\* ?/gm, " ")
        .replace(/\{@link (?:\w+\.)?(\w+)\}/g, "`$1`")
        .replace(/\s+/g, " ")
        .trim()
    ])
  )
}

/** Where what is said of the parts of an option stands. */
const parts: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ["credentials", docsOf("client/SessionCredentials.ts", "Credentials")],
  ["tls", docsOf("transport/Tls.ts", "TlsOptions")],
  ["subscriptions", docsOf("consumer/ConsumerOptionKinds.ts", "SubscriptionWords")],
  ["consumeFromWhere", docsOf("consumer/offset/StartOffset.ts", "FromTimestamp")],
  ["remoting", docsOf("client/RemotingOptions.ts", "RemotingOptions")],
  ["remoting.reconnectBackoffMillis", docsOf("client/RemotingOptions.ts", "BackoffOptions")]
])

const rowsOf = <I extends object>(
  table: AnyTable<I>,
  prefixes: ReadonlyArray<string>,
  members: ReadonlyMap<string, string>
): ReadonlyArray<Row> =>
  entriesOf(table).map(({ entry, option }) => {
    const at = option.lastIndexOf(".")
    const doc = at < 0 ? members.get(option) : parts.get(option.slice(0, at))?.get(option.slice(at + 1))
    return { option, entry, prefixes, doc: doc ?? "" }
  })

/** What producers and consumers have alike. */
const traceDocs = docsOf("client/options/TraceOptions.ts", "TraceOptions")

const instanceDocs = new Map([
  ...docsOf("client/ClientConfig.ts", "InstanceOptions"),
  ...docsOf("client/ClientSecurity.ts", "SecurityOptions")
])

const { ownPrefixes, sharedPrefixes } = ReadProducerConfig.reader

/** The rows of each table of the page. */
export const sections: Readonly<Record<string, ReadonlyArray<Row>>> = {
  producer: rowsOf(
    ProducerOptions.ownTable,
    ownPrefixes,
    new Map([...docsOf("producer/ProducerOptions.ts", "ProducerOnlyOptions"), ...traceDocs])
  ),
  transaction: rowsOf(
    TransactionSettings.table,
    ownPrefixes,
    docsOf("producer/TransactionSettings.ts", "TransactionSettings")
  ),
  consumer: rowsOf(
    ConsumerOptions.ownTable,
    ReadConsumerConfig.reader.ownPrefixes,
    new Map([...docsOf("consumer/ConsumerOptions.ts", "ConsumerOnlyOptions"), ...traceDocs])
  ),
  litePull: rowsOf(
    LitePullOptions.ownTable,
    ReadLitePullConfig.reader.ownPrefixes,
    new Map([
      ...docsOf("consumer/ConsumerOptions.ts", "ConsumerOnlyOptions"),
      ...traceDocs,
      ...docsOf("consumer/lite/LitePullOptions.ts", "LitePullOnlyOptions")
    ])
  ),
  simple: rowsOf(
    SimpleOptions.ownTable,
    ReadSimpleConfig.reader.ownPrefixes,
    new Map([
      ...docsOf("consumer/ConsumerOptions.ts", "ConsumerOnlyOptions"),
      ...traceDocs,
      ...docsOf("consumer/simple/SimpleOptions.ts", "SimpleConsumerOnlyOptions")
    ])
  ),
  client: rowsOf(ClientConfig.table, sharedPrefixes, instanceDocs),
  admin: rowsOf(AdminConfig.ownTable, [`${COMMON_PREFIX}.admin`], docsOf("admin/AdminConfig.ts", "AdminOnlyOptions"))
}

/** What a member says it is, without its default and its name in Java: the first clause. */
export const whatOf = (doc: string): string => {
  const [clause = ""] = doc.split(/; |\. |\.$|: Java's /, 1)
  return clause.replace(/ \((?:Java|the brokers')[^)]*\)$/, "").replace(/, in whole milliseconds.*$/, "")
}

const MIB = 1_048_576

/** How a default may be written in a sentence. */
export const spellings = (printed: string): ReadonlyArray<string> => {
  const value = /^\d+$/.test(printed) ? Number(printed) : Number.NaN
  return [
    printed,
    value.toLocaleString("en-US"),
    ...(value % MIB === 0 ? [`${value / MIB} MiB`] : []),
    ...(value % 1_024 === 0 ? [`${value / 1_024} KiB`] : [])
  ]
}

const defaultOf = ({ absent, printed, unit }: Entry<unknown>): string => {
  if (printed === undefined) return absent ?? ""
  if (unit !== undefined || /^(?:true|false)$/.test(printed)) return printed
  if (!/^\d+$/.test(printed)) return `\`${printed}\``
  const [, , round] = spellings(printed)
  return round === undefined || !round.endsWith("MiB") ? printed : `${printed} (${round})`
}

const namesOf = ({ entry, option, prefixes }: Row): string => {
  const order = entry.common ? prefixes.toReversed() : prefixes
  const [first = []] = levelsOf(option, entry, order)
  const [preferred] = first
  if (preferred === undefined) return "in code only"
  const files = first.filter(({ isFile }) => isFile)
  return [preferred, ...files].map(({ name }) => `\`${name}\``).join(", ")
}

const tableOf = (rows: ReadonlyArray<Row>): string =>
  [
    "| option | what it is | default | in `Config` | Java's name |",
    "| --- | --- | --- | --- | --- |",
    ...rows.map((row) => {
      const { doc, entry, option } = row
      const cells = [`\`${option}\``, whatOf(doc), defaultOf(entry), namesOf(row), entry.java]
      return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
    })
  ].join("\n")

/** The page with its tables made anew. */
export const pageOf = async (text: string): Promise<string> =>
  Prettier.format(
    text.replace(
      /(<!-- options: (\w+) -->\n)[\s\S]*?(<!-- \/options -->)/g,
      (_, begin: string, name: string, end: string) => `${begin}\n${tableOf(sections[name] ?? [])}\n\n${end}`
    ),
    { ...(await Prettier.resolveConfig(page)), parser: "markdown" }
  )
