import { Option } from "effect"
import type { Access } from "./ConnectionFlags.ts"
import { quoted } from "./Text.ts"

/** Which cluster a command was about, and as whom: what a command that is printed to be copied has to say again. */
export interface Reached {
  readonly namesrv?: string | undefined
  readonly access?: Partial<Access> | undefined
}

const flag = (name: string, value: Option.Option<string> = Option.none()): ReadonlyArray<string> =>
  Option.match(value, { onNone: () => [], onSome: (text) => [name, text] })

const yesOrNo = (name: string, value: Option.Option<boolean> = Option.none()): ReadonlyArray<string> =>
  Option.match(value, { onNone: () => [], onSome: (is) => [is ? `--${name}` : `--no-${name}`] })

/** How the cluster is reached, but for secrets: those are for no terminal, and are read from their variables. */
const wordsOf = ({ access, namesrv }: Reached): ReadonlyArray<string> => [
  ...(namesrv === undefined ? [] : ["--namesrv", namesrv]),
  ...(access === undefined
    ? []
    : [
        ...flag("--access-key", access.accessKey),
        ...yesOrNo("tls", access.tls),
        ...flag("--tls-ca", access.tlsCa),
        ...flag("--tls-cert", access.tlsCert),
        ...flag("--tls-key", access.tlsKey),
        ...flag("--tls-servername", access.tlsServername),
        ...yesOrNo("tls-insecure", access.tlsInsecure),
        ...flag("--namespace", access.namespace)
      ])
]

/** What a shell takes for the very same texts. */
const words = (value: string | ReadonlyArray<string>): string =>
  (typeof value === "string" ? [value] : value).map(quoted).join(" ")

/**
 * A command of this program that is printed to be copied: pasted as it is, it reaches the same cluster. What is put in is
 * quoted for a shell, as one word or as several.
 */
export const toRun =
  (reached: Reached) =>
  (parts: TemplateStringsArray, ...values: ReadonlyArray<string | ReadonlyArray<string>>): string =>
    [
      "effect-rocketmq",
      parts
        .map((part, i) => `${part}${words(values[i] ?? [])}`)
        .join("")
        .trim(),
      ...wordsOf(reached).map(quoted)
    ].join(" ")
