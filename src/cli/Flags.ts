import { Config, Schema } from "effect"
import { Argument, Flag } from "effect/cli"

/** `--namesrv`, else the environment variable `NAMESRV_ADDR` through `Config`. */
export const namesrv: Flag.Flag<string> = Flag.String("namesrv").pipe(
  Flag.withAlias("n"),
  Flag.withMetavar("host:port;..."),
  Flag.withDescription("Name servers; default: the environment variable NAMESRV_ADDR"),
  Flag.withFallbackConfig(Config.NonEmptyString("NAMESRV_ADDR"))
)

/** `--json`: data for programs on standard output. */
export const json: Flag.Flag<boolean> = Flag.Boolean("json").pipe(
  Flag.withDescription("Data for programs on standard output, one JSON object a line"),
  Flag.withDefault(false)
)

/** `--topic`. */
export const topic: Flag.Flag<string> = Flag.String("topic").pipe(
  Flag.withAlias("t"),
  Flag.withDescription("The topic"),
  Flag.withSchema(Schema.NonEmptyString)
)

/** The topic as an argument, for those who leave `--topic` out. */
export const topicArgument = Argument.String("topic").pipe(
  Argument.withDescription("The topic, instead of --topic"),
  Argument.optional
)

/** A whole number within bounds. */
export const int = (name: string, least: number, most = Number.MAX_SAFE_INTEGER): Flag.Flag<number> =>
  Flag.Int(name).pipe(Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: least, maximum: most }))))
