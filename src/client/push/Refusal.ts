import * as ForeignText from "../../message/ForeignText.ts"
import * as Namespace from "../../message/Namespace.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"

/** What a tool is told that asks for something that cannot be. */
export const refused = (remark: string): Response => ({
  code: ResponseCode.SYSTEM_ERROR,
  remark: ForeignText.clean(remark)
})

/** What a tool is told that asks for a group that this client does not run, in Java's words. */
export const notHere = (namespace: string | undefined, consumerGroup: string): Response => {
  const group = namespace === undefined ? consumerGroup : Namespace.wrap(namespace, consumerGroup)
  return refused(`The Consumer Group <${group}> not exist in this consumer`)
}
