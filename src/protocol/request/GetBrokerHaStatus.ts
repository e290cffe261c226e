import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_BROKER_HA_STATUS (907), client to broker, since 5.0: how far its slaves are, or how far it is itself.
 *
 * ```text
 * no header; answer body: {"haClientRuntimeInfo":{...},"haConnectionInfo":[{...}],"inSyncSlaveNums":0,"master":true,
 *                          "masterCommitLogMaxOffset":0}
 * ```
 *
 * Source: RocketMQ `HARuntimeInfo`.
 */
export interface HaStatus {
  /** Whether the broker is a master. */
  readonly master: boolean
  /** Of a master: where the next message goes in its log. */
  readonly masterCommitLogMaxOffset: number
  /** Of a master: how many slaves have everything. */
  readonly inSyncSlaveNums: number
  /** Of a master: its slaves. */
  readonly haConnectionInfo: ReadonlyArray<HaConnection>
  /** Of a slave: itself. A master writes what it has not, too: zeros. */
  readonly haClientRuntimeInfo: HaClient
}

/** A slave as its master sees it. Source: RocketMQ `HAConnectionRuntimeInfo`. */
export interface HaConnection {
  /** Its `host:port`. */
  readonly addr: string
  /** How far it has the log. */
  readonly slaveAckOffset: number
  /** Bytes of the log that it does not have yet. */
  readonly diff: number
  /** Whether it counts as one that has everything. */
  readonly inSync: boolean
  /** Bytes a second that go to it. */
  readonly transferredByteInSecond: number
  /** Where in the log its copy began. */
  readonly transferFromWhere: number
}

/** A slave as it sees itself. Source: RocketMQ `HAClientRuntimeInfo`. */
export interface HaClient {
  /** When it last read of its master, in milliseconds since the epoch. */
  readonly lastReadTimestamp: number
  /** When it last wrote to its master, in milliseconds since the epoch. */
  readonly lastWriteTimestamp: number
  /** Its master's replication `host:port`. */
  readonly masterAddr?: string | undefined
  /** How far its master has the log on disk. */
  readonly masterFlushOffset: number
  /** How far it has the log itself. */
  readonly maxOffset: number
  /** Bytes a second that come of its master. */
  readonly transferredByteInSecond: number
}

const number = Body.withDefault(Body.long, 0)
const flag = Body.withDefault(Body.boolean, false)

const client: Body.RequiredBody<HaClient> = Body.struct({
  lastReadTimestamp: number,
  lastWriteTimestamp: number,
  masterAddr: Body.optional(Body.string),
  masterFlushOffset: number,
  maxOffset: number,
  transferredByteInSecond: number
})

/** What a master says of the slave that it is not. */
export const noClient: HaClient = {
  lastReadTimestamp: 0,
  lastWriteTimestamp: 0,
  masterFlushOffset: 0,
  maxOffset: 0,
  transferredByteInSecond: 0
}

const status: Body.RequiredBody<HaStatus> = Body.struct({
  haClientRuntimeInfo: Body.withDefault(client, noClient),
  haConnectionInfo: Body.withDefault(
    Body.list(
      Body.struct({
        addr: Body.string,
        diff: number,
        inSync: flag,
        slaveAckOffset: number,
        transferFromWhere: number,
        transferredByteInSecond: number
      })
    ),
    []
  ),
  inSyncSlaveNums: Body.withDefault(Body.int, 0),
  master: flag,
  masterCommitLogMaxOffset: number
})

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_BROKER_HA_STATUS, extFields: undefined })

/** The request says nothing more. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a broker answers. */
export const response = (value: HaStatus): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(status, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): HaStatus | DecodeError =>
  Body.decode(status, RequestCode.GET_BROKER_HA_STATUS, cmd.body)
