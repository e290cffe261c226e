import * as Address from "../transport/Address.ts"
import { ConfigProblem } from "./ClientError.ts"

// http://MQ_INST_<id>.<host>:<port> and http://<host>:<port> are both used for `host:port`, as in Java.
const stripScheme = (text: string) => {
  if (!/^https?:\/\//.test(text)) return text
  const url = text.replace(/\/+$/, "")
  return url.slice(url.lastIndexOf("/") + 1)
}

/**
 * Splits a name server list into its `host:port` items. Blank items are skipped; a bad one is reported with its
 * position.
 */
export const parseNamesrvAddr = (
  input: string | ReadonlyArray<string>
): { readonly addresses: ReadonlyArray<string>; readonly problems: ReadonlyArray<ConfigProblem> } => {
  const items = typeof input === "string" ? input.split(";") : input
  const addresses: Array<string> = []
  const problems: Array<ConfigProblem> = []
  items.forEach((item, index) => {
    const text = stripScheme(item.trim())
    if (text === "") return
    const parsed = Address.parse(text)
    if ("_tag" in parsed) {
      problems.push(new ConfigProblem({ path: `namesrvAddr[${index}]`, problem: parsed.message }))
    } else if (!addresses.includes(text)) {
      addresses.push(text)
    }
  })
  return { addresses, problems }
}
