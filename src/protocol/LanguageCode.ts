/** Languages a peer may say it is written in, with their number in binary headers. Source: RocketMQ `LanguageCode`. */
export const LanguageCode = {
  JAVA: 0,
  CPP: 1,
  DOTNET: 2,
  PYTHON: 3,
  DELPHI: 4,
  ERLANG: 5,
  RUBY: 6,
  OTHER: 7,
  HTTP: 8,
  GO: 9,
  PHP: 10,
  OMS: 11,
  RUST: 12,
  NODE_JS: 13
} as const

const names: ReadonlyMap<number, string> = new Map(Object.entries(LanguageCode).map(([name, code]) => [code, name]))
const codes: ReadonlyMap<string, number> = new Map(Object.entries(LanguageCode))

/** The name of a language number; `OTHER` for a number nobody assigned. */
export const languageName = (code: number): string => names.get(code) ?? "OTHER"

/** The number of a language name; that of `OTHER` for an unknown name. */
export const languageCode = (name: string): number => codes.get(name) ?? LanguageCode.OTHER
