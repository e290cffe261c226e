import * as ForeignText from "../message/ForeignText.ts"
import * as Address from "../transport/Address.ts"

/** Where the HTTP address server is; see `ClientConfig`. */
export interface AddressServerOptions {
  readonly namesrvDomain: string | undefined
  readonly namesrvDomainSubgroup: string
  readonly unitName: string | undefined
}

const isUrl = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

/** A host with its port: 8080 where it has none. */
const withPort = (host: string): string => (host.indexOf(":") > 0 && !host.endsWith("]") ? host : `${host}:8080`)

/** The URL without a path, or undefined when it has one. */
const originOf = (url: string): string | undefined => {
  const { origin, pathname, search } = new URL(url)
  return pathname === "/" && search === "" ? origin : undefined
}

/**
 * The URL of the address server, or undefined when no domain is configured. A whole URL is asked as it is; one without a
 * path gets the usual one.
 *
 * Source: RocketMQ `MixAll.getWSAddr`, `DefaultTopAddressing`, which take a host alone.
 */
export const url = ({ namesrvDomain, namesrvDomainSubgroup, unitName }: AddressServerOptions): string | undefined => {
  const domain = namesrvDomain?.trim() ?? ""
  if (domain === "") return undefined
  const origin = isUrl(domain) ? originOf(domain) : `http://${withPort(domain)}`
  if (origin === undefined) return domain
  const unit = unitName === undefined || unitName.trim() === "" ? "" : `-${unitName}?nofix=1`
  return `${origin}/rocketmq/${namesrvDomainSubgroup}${unit}`
}

const problemOfDomain = (domain: string): string | undefined => {
  if (!isUrl(domain)) {
    const parsed = Address.parse(withPort(domain))
    return parsed instanceof Address.AddressError
      ? `must be a host, host:port, or a URL that begins with http:// or https:// (${parsed.detail})`
      : undefined
  }
  if (!/^https?:/i.test(domain)) return "must be a URL that begins with http:// or https://, or a host"
  if (domain.indexOf("://") !== domain.lastIndexOf("://")) return "must be one URL, and there are two in it"
  if (!URL.canParse(domain)) return "must be a URL, or a host"
  const { password, username } = new URL(domain)
  // The URL stands in errors and logs.
  return username + password === ""
    ? undefined
    : "must not hold a user or password: provide an HttpClient that adds them to its requests"
}

/** What is wrong with the option `namesrvDomain`; nothing with a blank one, which counts as absent. */
export const problemOf = (namesrvDomain: string): string | undefined => {
  const domain = namesrvDomain.trim()
  return domain === "" ? undefined : problemOfDomain(ForeignText.isClean(domain) ? domain : "")
}
