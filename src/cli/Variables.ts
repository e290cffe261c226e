import { Config, Schema } from "effect"

/** Variables of one meaning, the preferred one first. */
export type Names = readonly [string, ...ReadonlyArray<string>]

/** The variables that stand for flags: the names that `layerConfig` reads for all clients of a process. */
export const variables = {
  namesrv: ["ROCKETMQ_NAME_SERVER", "ROCKETMQ_NAMESRV_ADDR", "NAMESRV_ADDR"],
  accessKey: ["ROCKETMQ_ACCESS_KEY", "ROCKETMQ_CREDENTIALS_ACCESS_KEY"],
  secretKey: ["ROCKETMQ_SECRET_KEY", "ROCKETMQ_CREDENTIALS_SECRET_KEY"],
  userPassword: ["ROCKETMQ_USER_PASSWORD"],
  securityToken: ["ROCKETMQ_SECURITY_TOKEN", "ROCKETMQ_CREDENTIALS_SECURITY_TOKEN"],
  namespace: ["ROCKETMQ_NAMESPACE"]
} as const satisfies Readonly<Record<string, Names>>

const NotBlank = Schema.Trim.check(Schema.isNonEmpty())

/** Absent everywhere: no variable can have such a name. */
const absent = Config.String("=")

/** What the first of these variables that is not blank has, without the spaces around it. */
export const firstOf = (names: Names): Config.Config<string> =>
  names.reduceRight<Config.Config<string>>(
    (others, name) => Config.orElse(Config.schema(NotBlank, name), () => others),
    absent
  )
