import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * UNREGISTER_BROKER (104), broker to name server: this broker ends.
 *
 * ```text
 * brokerName    string
 * brokerAddr    string
 * clusterName   string
 * brokerId      long
 * ```
 *
 * Source: RocketMQ `UnRegisterBrokerRequestHeader`.
 */
export interface UnregisterBrokerHeader {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** `host:port`. */
  readonly brokerAddr: string
  /** The broker's cluster. */
  readonly clusterName: string
  /** 0 is the master. */
  readonly brokerId: number
}

const header: HeaderCodec.Codec<UnregisterBrokerHeader> = HeaderCodec.struct({
  brokerName: HeaderCodec.string,
  brokerAddr: HeaderCodec.string,
  clusterName: HeaderCodec.string,
  brokerId: HeaderCodec.long
})

/** What a broker sends. */
export const request = (value: UnregisterBrokerHeader): Request => ({
  code: RequestCode.UNREGISTER_BROKER,
  extFields: header.encode(value)
})

/** What a name server reads. */
export const decodeRequest = (cmd: RemotingCommand): UnregisterBrokerHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a name server answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
