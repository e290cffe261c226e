import * as Address from "../../transport/Address.ts"

/** The server that was spoken to, by OpenTelemetry's conventions; nothing where no address is known. */
export const serverAttributes = (address: string | undefined): Record<string, unknown> => {
  const parsed = address === undefined ? undefined : Address.parse(address)
  return parsed === undefined || "_tag" in parsed ? {} : { "server.address": parsed.host, "server.port": parsed.port }
}
