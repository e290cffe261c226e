export interface TraceRecord {
  readonly type: "Pub"
  readonly timeStamp: number
  readonly regionId: string
  readonly groupName: string
  readonly topic: string
  readonly msgId: string
  readonly tags?: string | undefined
  readonly keys?: string | undefined
  readonly storeHost: string
  readonly bodyLength: number
  readonly costTime: number
  readonly msgType: number
  readonly offsetMsgId: string
  readonly isSuccess: boolean
}
export const encode = (r: TraceRecord): string =>
  [
    "Pub",
    r.timeStamp,
    r.regionId,
    r.groupName,
    r.topic,
    r.msgId,
    r.tags ?? "null",
    r.keys ?? "null",
    r.storeHost,
    r.bodyLength,
    r.costTime,
    r.msgType,
    r.offsetMsgId,
    r.isSuccess
  ].join("\u0001") + "\u0002"
