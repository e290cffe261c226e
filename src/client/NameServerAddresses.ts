import * as ForeignText from "../message/ForeignText.ts"
import * as Address from "../transport/Address.ts"
import { ConfigProblem } from "./ClientError.ts"

// http://MQ_INST_<id>.<host>:<port> and http://<host>:<port> are both used for `host:port`, as in Java.
const stripScheme = (text: string) => {
  if (!/^https?:\/\//.test(text)) return text
  const url = text.replace(/\/+$/, "")
  return url.slice(url.lastIndexOf("/") + 1)
}

const itemsOf = (input: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof input === "string" ? input.split(";") : input.flatMap((item) => item.split(";"))

/** What people write between addresses besides `;`: commas, spaces, and what keyboards in China and Japan give. */
const otherSeparators = /[\s,，；、]+/u

/** Whether a text would be a list of several addresses if it were separated by something else. */
const isList = (text: string): boolean => {
  const parts = text.split(otherSeparators, 3).map(stripScheme)
  return parts.length > 1 && parts.slice(0, 2).every((part) => !("_tag" in Address.parse(part)))
}

/**
 * Splits a name server list into its `host:port` items. Blank items are skipped; a bad one is reported with its
 * position.
 */
export const parseNamesrvAddr = (
  input: string | ReadonlyArray<string>
): { readonly addresses: ReadonlyArray<string>; readonly problems: ReadonlyArray<ConfigProblem> } => {
  const addresses = new Set<string>()
  const problems: Array<ConfigProblem> = []
  for (const [index, item] of itemsOf(input).entries()) {
    const text = item.trim()
    if (text === "") continue
    const report = (problem: string) => problems.push(new ConfigProblem({ path: `namesrvAddr[${index}]`, problem }))
    const parsed = Address.parse(stripScheme(text))
    if (isList(text)) {
      const shown = ForeignText.clean(text, Address.MAX_LENGTH)
      report(`"${shown}" is a list of addresses that are not separated by ";": write it as host:port;host:port`)
    } else if ("_tag" in parsed) {
      report(parsed.message)
    } else {
      addresses.add(Address.canonical(parsed))
    }
  }
  return { addresses: [...addresses], problems }
}

/** An instance's endpoint: `MQ_INST_<id>.<host>:<port>`, with or without a scheme. */
const instanceEndpoint = /^(?:\w+:\/\/)?(MQ_INST_\w+_\w+)\./

/**
 * The namespace that name server addresses stand for: `MQ_INST_1_x` for `http://MQ_INST_1_x.ons.example:8080`. Undefined when
 * they are others, or of several instances.
 *
 * Source: RocketMQ `NameServerAddressUtils.parseInstanceIdFromEndpoint`, `ClientConfig.getNamespace`.
 */
export const namespaceOf = (input: string | ReadonlyArray<string>): string | undefined => {
  const items = itemsOf(input)
    .map((item) => item.trim())
    .filter((item) => item !== "")
  const namespaces = new Set(items.map((item) => instanceEndpoint.exec(item)?.[1]))
  const [namespace] = namespaces
  return namespaces.size === 1 ? namespace : undefined
}
