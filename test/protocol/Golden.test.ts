import { assert, describe, it } from "@effect/vitest"
import { encodeOffsetMessageId } from "../../src/message/MessageId.ts"
import * as LenientJson from "../../src/protocol/LenientJson.ts"
import * as P from "../../src/protocol/index.ts"
import { encode } from "../../src/protocol/Frame.ts"
import {
  type ExtFields,
  isOneway,
  isResponse,
  type RemotingCommand,
  type Request,
  type Response
} from "../../src/protocol/RemotingCommand.ts"
import {
  golden,
  goldenBytes,
  goldenCommand,
  type GoldenFrame,
  type GoldenMessage,
  goldenNames
} from "./goldenFrames.ts"

type Value = Readonly<Record<string, unknown>>

/** What a check is given: the recorder's view and ours. */
interface Subject {
  readonly frame: GoldenFrame
  readonly cmd: RemotingCommand
}

type Check = (subject: Subject) => void

const shortNames: Readonly<Record<string, string>> = {
  a: "producerGroup",
  b: "topic",
  c: "defaultTopic",
  d: "defaultTopicQueueNums",
  e: "queueId",
  f: "sysFlag",
  g: "bornTimestamp",
  h: "flag",
  i: "properties",
  j: "reconsumeTimes",
  k: "unitMode",
  l: "maxReconsumeTimes",
  m: "batch",
  n: "brokerName"
}

/** Fields that client-wide hooks add to any request (stream type, namespace, signature). */
const hookFields: ReadonlySet<string> = new Set(["ReqT", "ns", "nsd", "AccessKey", "SecurityToken", "Signature"])

const withoutHooks = (fields: ExtFields | undefined): ExtFields | undefined =>
  fields === undefined
    ? undefined
    : Object.fromEntries(Object.entries(fields).filter(([name]) => !hookFields.has(name)))

const names: Readonly<Record<string, string>> = {
  bname: "brokerName",
  _UNIQUE_KEY_QUERY: "uniqueKeyQuery",
  MSG_REGION: "regionId",
  TRACE_ON: "traceOn",
  IS_SUPPORT_HEART_BEAT_V2: "isSupportHeartBeatV2",
  IS_SUB_CHANGE: "isSubChange"
}

/** Every field of the recorded header is the property of that name, of that value. */
const sameHeader = (header: object, fields: ExtFields | null | undefined, rename = names): void => {
  const value: Value = Object.fromEntries(Object.entries(header))
  for (const [name, text] of Object.entries(withoutHooks(fields ?? undefined) ?? {})) {
    assert.strictEqual(String(value[rename[name] ?? name]), text, name)
  }
}

/** Maps as objects, so that a value can be compared to what JSON.parse makes of the body. */
const plain = (value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, item]) => [String(key), plain(item)]))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

const parseBody = (body: Uint8Array | undefined): unknown => {
  if (body === undefined || body.length === 0) return undefined
  const text = Buffer.from(body).toString("utf8")
  return text.startsWith("{") ? LenientJson.parse(text) : Buffer.from(body).toString("hex")
}

/** What was built says the same as what was recorded. */
const sameRequest = (built: Request, cmd: RemotingCommand): void => {
  assert.strictEqual(built.code, cmd.code)
  assert.deepEqual(built.extFields, withoutHooks(cmd.extFields))
  assert.deepEqual(parseBody(built.body), parseBody(cmd.body))
}

const sameResponse = (built: Response, cmd: RemotingCommand): void => {
  assert.strictEqual(built.code, cmd.code)
  assert.deepEqual(built.extFields, cmd.extFields)
  assert.deepEqual(parseBody(built.body), parseBody(cmd.body))
}

const value = <A>(result: A | P.DecodeError): A => {
  if (result instanceof P.DecodeError) assert.fail(result.message)
  return result
}

/** A request whose fields lie in the header. */
const headerRequest =
  <A extends object>(
    decode: (cmd: RemotingCommand) => A | P.DecodeError,
    request: (value: A, cmd: RemotingCommand) => Request,
    rename?: Readonly<Record<string, string>>
  ): Check =>
  ({ cmd, frame }) => {
    const decoded = value(decode(cmd))
    sameHeader(decoded, frame.decoded.header.extFields, rename)
    sameRequest(request(decoded, cmd), cmd)
  }

/** A request whose fields lie in a body of standard JSON. */
const bodyRequest =
  <A extends object>(
    decode: (cmd: RemotingCommand) => A | P.DecodeError,
    request: (value: A) => Request,
    unread: ReadonlyArray<string> = []
  ): Check =>
  ({ cmd, frame }) => {
    const decoded = value(decode(cmd))
    const body: Value = JSON.parse(frame.decoded.bodyText ?? "")
    assert.deepEqual(
      plain(decoded),
      Object.fromEntries(Object.entries(body).filter(([name]) => !unread.includes(name)))
    )
    const built = request(decoded)
    assert.strictEqual(built.code, cmd.code)
    assert.deepEqual(built.extFields, cmd.extFields)
    assert.deepEqual(JSON.parse(Buffer.from(built.body ?? []).toString()), plain(decoded))
  }

/** An answer whose fields lie in the header. */
const headerResponse =
  <A extends object>(decode: (cmd: RemotingCommand) => A | P.DecodeError, response: (value: A) => Response): Check =>
  ({ cmd, frame }) => {
    const decoded = value(decode(cmd))
    sameHeader(decoded, frame.decoded.header.extFields)
    sameResponse(response(decoded), cmd)
  }

/** An answer whose fields lie in the body; `expected` where the body is no standard JSON. */
const bodyResponse =
  <A extends object>(
    decode: (cmd: RemotingCommand) => A | P.DecodeError,
    response: (value: A) => Response,
    expected?: unknown
  ): Check =>
  ({ cmd, frame }) => {
    const decoded = value(decode(cmd))
    assert.deepEqual(plain(decoded), expected ?? JSON.parse(frame.decoded.bodyText ?? ""))
    sameResponse(response(decoded), cmd)
  }

/** An answer that says nothing but its code. */
const emptyResponse =
  (response: Response): Check =>
  ({ cmd }) => {
    assert.strictEqual(response.code, cmd.code)
    assert.strictEqual(cmd.body.length, 0)
  }

/** A failure: code and remark are all there is. */
const failure =
  (code: number): Check =>
  ({ cmd }) => {
    assert.strictEqual(cmd.code, code)
    assert.isString(cmd.remark)
  }

const send = (form: P.SendMessage.SendMessageForm): Check =>
  headerRequest(
    P.SendMessage.decodeRequest,
    (header, cmd) => P.SendMessage.request(header, cmd.body, form),
    form === "V1" ? names : shortNames
  )
const sent = headerResponse(P.SendMessage.decodeResponse, (answer) => P.SendMessage.response(answer))
const pull = headerRequest(P.PullMessage.decodeRequest, P.PullMessage.request)
const pulled =
  (status: P.PullMessage.PullStatus): Check =>
  ({ cmd, frame }) => {
    const answer = value(P.PullMessage.decodeResponse(cmd))
    assert.strictEqual(answer.status, status)
    sameHeader(answer, frame.decoded.header.extFields)
    sameResponse(P.PullMessage.response(answer), cmd)
  }
/** An answer to a pop, and the handles that are among those of its messages. */
const popped =
  (handles: ReadonlyArray<string>): Check =>
  ({ cmd }) => {
    const answer = value(P.PopMessage.decodeResponse(cmd))
    assert.strictEqual(answer.status, "FOUND")
    sameResponse(P.PopMessage.response(answer), cmd)
    const { error, messages } = P.MessageCodec.decodeAll(answer.body)
    assert.isUndefined(error)
    const made = P.PopHandle.handlesOf(
      "broker-a",
      answer,
      messages.map(({ properties, queueId, queueOffset, topic }) => ({
        topic,
        queueId,
        queueOffset,
        popCk: properties["POP_CK"]
      }))
    )
    const texts = made.map((handle) => (handle === undefined ? "none" : P.PopHandle.encode(handle)))
    assert.notInclude(texts, "none")
    for (const [index, { properties }] of messages.entries()) {
      if (properties["POP_CK"] !== undefined) assert.strictEqual(texts[index], properties["POP_CK"])
    }
    assert.includeMembers(texts, [...handles])
  }
const queue = (queueId: number) => ({ brokerName: "broker-a", queueId, topic: "facts-u10549" })
const heartbeat = bodyRequest(P.HeartBeat.decodeRequest, P.HeartBeat.request)
const heartbeatAnswer = headerResponse(P.HeartBeat.decodeResponse, P.HeartBeat.response)
const createTopic = headerRequest(P.CreateTopic.decodeRequest, P.CreateTopic.request)
const endTransaction = headerRequest(P.EndTransaction.decodeRequest, P.EndTransaction.request)
const route = headerRequest(P.GetRouteInfoByTopic.decodeRequest, P.GetRouteInfoByTopic.request)

const checks: Readonly<Record<string, Check>> = {
  "ack-request": headerRequest(P.AckMessage.decodeRequest, P.AckMessage.request),
  "ack-response": emptyResponse(P.AckMessage.response()),
  "batch-ack-request": ({ cmd, frame }) => {
    const decoded = value(P.BatchAckMessage.decodeRequest(cmd))
    const { indexes, retryFlag, startOffset } = decoded.acks[0] ?? {}
    assert.deepStrictEqual([retryFlag, startOffset, indexes], ["0", 0, [0, 1]])
    // Byte for byte but for the order of two names, which was written by hand.
    assert.deepStrictEqual(
      JSON.parse(Buffer.from(P.BatchAckMessage.request(decoded).body ?? []).toString()),
      JSON.parse(frame.decoded.bodyText ?? "")
    )
  },
  "batch-ack-response": emptyResponse(P.BatchAckMessage.response()),
  "change-invisible-time-request": headerRequest(P.ChangeInvisibleTime.decodeRequest, P.ChangeInvisibleTime.request),
  "change-invisible-time-response": headerResponse(
    P.ChangeInvisibleTime.decodeResponse,
    P.ChangeInvisibleTime.response
  ),
  "check-client-config-request": bodyRequest(P.CheckClientConfig.decodeRequest, P.CheckClientConfig.request),
  "check-transaction-state": ({ cmd, frame }) => {
    const { header, message } = value(P.CheckTransactionState.decodeRequest(cmd))
    sameHeader(header, frame.decoded.header.extFields)
    assert.strictEqual(message.properties["PGROUP"], "facts-tx-pg")
    sameRequest(P.CheckTransactionState.request(header, P.MessageCodec.encode(message)), cmd)
  },
  "cluster-info-response": bodyResponse(P.GetBrokerClusterInfo.decodeResponse, P.GetBrokerClusterInfo.response, {
    brokerAddrTable: {
      "broker-a": {
        brokerAddrs: { "0": "127.0.0.1:10911" },
        brokerName: "broker-a",
        cluster: "DefaultCluster",
        enableActingMaster: false
      }
    },
    clusterAddrTable: { DefaultCluster: ["broker-a"] }
  }),
  "consume-message-directly-request": ({ cmd, frame }) => {
    const { header, message } = value(P.ConsumeMessageDirectly.decodeRequest(cmd))
    sameHeader(header, frame.decoded.header.extFields)
    assert.isDefined(message)
    if (message !== undefined) {
      sameRequest(P.ConsumeMessageDirectly.request(header, P.MessageCodec.encode(message)), cmd)
    }
  },
  "consume-message-directly-response": bodyResponse(
    P.ConsumeMessageDirectly.decodeResponse,
    P.ConsumeMessageDirectly.response
  ),
  "consume-stats-response": bodyResponse(P.GetConsumeStats.decodeResponse, P.GetConsumeStats.response, {
    consumeTps: 0.4,
    offsetTable: [2, 1, 3, 0].map((id) => [
      queue(id),
      { brokerOffset: 1, consumerOffset: 0, lastTimestamp: 0, pullOffset: 1 }
    ])
  }),
  "consumer-connection-response": bodyResponse(
    P.GetConsumerConnectionList.decodeResponse,
    P.GetConsumerConnectionList.response
  ),
  "consumer-send-msg-back-request": headerRequest(P.ConsumerSendMsgBack.decodeRequest, P.ConsumerSendMsgBack.request),
  "consumer-send-msg-back-response": emptyResponse(P.ConsumerSendMsgBack.response()),
  "create-group-request": ({ cmd, frame }) => {
    const header = value(P.SubscriptionGroup.decodeRequest(cmd))
    if (header.operation !== "update") assert.fail(header.operation)
    // The retry policy has a form for each of its kinds; the library leaves it to the broker.
    const { groupRetryPolicy: _, ...body } = JSON.parse(frame.decoded.bodyText ?? "")
    assert.deepEqual(header.config, body)
    assert.deepEqual(JSON.parse(Buffer.from(P.SubscriptionGroup.request(header).body ?? []).toString()), body)
    assert.deepEqual(header.config, P.SubscriptionGroup.makeConfig({ groupName: "facts-adm-g" }))
  },
  "create-topic-request": createTopic,
  "create-topic-request-attributes": createTopic,
  "end-transaction-commit": endTransaction,
  "end-transaction-from-check": endTransaction,
  "end-transaction-rollback": endTransaction,
  "get-consumer-list-request": headerRequest(P.GetConsumerListByGroup.decodeRequest, P.GetConsumerListByGroup.request),
  "get-consumer-list-response": bodyResponse(
    P.GetConsumerListByGroup.decodeResponse,
    P.GetConsumerListByGroup.response
  ),
  "get-consumer-running-info-request": headerRequest(
    P.GetConsumerRunningInfo.decodeRequest,
    P.GetConsumerRunningInfo.request
  ),
  "get-consumer-running-info-response": ({ cmd }) => {
    const info = value(P.GetConsumerRunningInfo.decodeResponse(cmd))
    assert.strictEqual(info.properties.get("PROP_CLIENT_VERSION"), "V5_5_0")
    assert.deepEqual(
      info.mqTable.map(([mq]) => mq),
      [0, 1, 2, 3].map(queue)
    )
    assert.strictEqual(info.mqTable[0]?.[1].lastPullTimestamp, 1_795_410_561_188)
    assert.isTrue(info.mqTable[0]?.[1].locked)
    assert.deepEqual([...info.statusTable.keys()], ["%RETRY%facts-adm-g", "facts-u10549"])
    assert.strictEqual(info.subscriptionSet[1]?.topic, "facts-u10549")
    sameResponse(P.GetConsumerRunningInfo.response(info), cmd)
  },
  "get-max-offset-request": headerRequest(P.GetMaxOffset.decodeRequest, P.GetMaxOffset.request),
  "get-max-offset-response": headerResponse(P.GetMaxOffset.decodeResponse, P.GetMaxOffset.response),
  "heartbeat-response": heartbeatAnswer,
  "heartbeat-v1-consumer-request": heartbeat,
  "heartbeat-v1-producer-request": heartbeat,
  "heartbeat-v2-consumer-full-request": heartbeat,
  "heartbeat-v2-consumer-simple-request": heartbeat,
  "heartbeat-v2-consumer-simple-response": heartbeatAnswer,
  "lite-pull-request": pull,
  "lock-batch-request": bodyRequest(P.LockBatch.decodeRequest, (header) => P.LockBatch.request(header, "lock")),
  "lock-batch-response": bodyResponse(P.LockBatch.decodeResponse, P.LockBatch.response),
  "notification-request": headerRequest(P.Notification.decodeRequest, P.Notification.request),
  "notification-response": headerResponse(P.Notification.decodeResponse, P.Notification.response),
  "notify-consumer-ids-changed": headerRequest(
    P.NotifyConsumerIdsChanged.decodeRequest,
    P.NotifyConsumerIdsChanged.request
  ),
  "pop-request": headerRequest(P.PopMessage.decodeRequest, P.PopMessage.request),
  "pop-response": popped(["0 1795410584413 10000 0 0 broker-a 0 0", "0 1795410584413 10000 0 0 broker-a 0 1"]),
  "pop-response-retry-topic": popped([]),
  "pull-request-push-consumer": pull,
  "pull-request-push-consumer-commit": pull,
  "pull-request-rocketmq-binary": pull,
  "pull-request-sync": pull,
  "pull-response-not-found": pulled("NO_NEW_MSG"),
  "pull-response-offset-moved": pulled("OFFSET_ILLEGAL"),
  "pull-response-q0": pulled("FOUND"),
  "pull-response-q1": pulled("FOUND"),
  "pull-response-q2": pulled("FOUND"),
  "pull-response-q3": pulled("FOUND"),
  "pull-response-retry-immediately": pulled("NO_MATCHED_MSG"),
  "push-reply-to-client-request": ({ cmd, frame }) => {
    const { body, header } = value(P.PushReplyMessageToClient.decodeRequest(cmd))
    sameHeader(header, frame.decoded.header.extFields)
    sameRequest(P.PushReplyMessageToClient.request(header, body), cmd)
  },
  "push-reply-to-client-response": emptyResponse(P.PushReplyMessageToClient.response()),
  "query-assignment-request": bodyRequest(P.QueryAssignment.decodeRequest, P.QueryAssignment.request),
  "query-assignment-response-pop": bodyResponse(P.QueryAssignment.decodeResponse, P.QueryAssignment.response),
  "query-consumer-offset-request": headerRequest(P.QueryConsumerOffset.decodeRequest, P.QueryConsumerOffset.request),
  "query-consumer-offset-response": headerResponse(
    P.QueryConsumerOffset.decodeResponse,
    P.QueryConsumerOffset.response
  ),
  "query-message-uniqkey-request": headerRequest(P.QueryMessage.decodeRequest, P.QueryMessage.request),
  "recall-request": headerRequest(P.RecallMessage.decodeRequest, P.RecallMessage.request),
  "recall-response": ({ cmd }) => {
    // The broker adds its region to every answer to a send; a recall does not read it.
    const answer = value(P.RecallMessage.decodeResponse(cmd))
    assert.strictEqual(answer.msgId, cmd.extFields?.["msgId"])
    assert.deepEqual(P.RecallMessage.response(answer).extFields, { msgId: answer.msgId })
  },
  "reset-offset-request": headerRequest(P.ResetOffset.decodeRequest, P.ResetOffset.request),
  "reset-offset-response": bodyResponse(P.ResetOffset.decodeResponse, P.ResetOffset.response, {
    offsetTable: [2, 1, 3, 0].map((id) => [queue(id), 0])
  }),
  "route-request": route,
  "route-request-rocketmq-binary": route,
  "route-request-tbw102": route,
  "route-response-json-to-binary-request": failure(17),
  "route-response-tbw102": bodyResponse(P.GetRouteInfoByTopic.decodeResponse, P.GetRouteInfoByTopic.response),
  "route-response-topic-not-exist": failure(17),
  "search-offset-request": headerRequest(P.SearchOffsetByTimestamp.decodeRequest, P.SearchOffsetByTimestamp.request),
  "send-batch-request": ({ cmd, frame }) => {
    send("BATCH")({ cmd, frame })
    const parts = value(P.MessageCodec.decodeBatch(cmd.body))
    assert.deepEqual(
      parts.map((part) => [part.flag, Buffer.from(part.body).toString(), part.properties]),
      frame.decoded.batch?.map((part) => [part.flag, part.bodyText, part.propertiesString]) ?? []
    )
    assert.deepEqual(P.MessageCodec.encodeBatch(parts), cmd.body)
  },
  "send-batch-response": sent,
  "send-reply-v2-request": send("REPLY_V2"),
  "send-reply-v2-response": sent,
  "send-v1-request": send("V1"),
  "send-v2-oneway": send("V2"),
  "send-v2-request": send("V2"),
  "send-v2-request-acl-signed": send("V2"),
  "send-v2-request-delay-level": send("V2"),
  "send-v2-request-lz4": ({ cmd, frame }) => {
    send("V2")({ cmd, frame })
    const unpacked = P.Compression.decompress(cmd.body, value(P.SendMessage.decodeRequest(cmd)).sysFlag)
    assert.strictEqual(unpacked instanceof P.Compression.CompressionError ? unpacked.kind : "", "unsupported")
  },
  "send-v2-request-namespace-v1": send("V2"),
  "send-v2-request-namespace-v2": send("V2"),
  "send-v2-request-rocketmq-binary": send("V2"),
  "send-v2-request-timer": send("V2"),
  "send-v2-request-transaction-half": send("V2"),
  "send-v2-request-unicode": send("V2"),
  "send-v2-request-zlib": ({ cmd, frame }) => {
    send("V2")({ cmd, frame })
    const unpacked = P.Compression.decompress(cmd.body, value(P.SendMessage.decodeRequest(cmd)).sysFlag)
    if (unpacked instanceof P.Compression.CompressionError) assert.fail(unpacked.message)
    assert.match(Buffer.from(unpacked).toString(), /^([A-Za-z-]+compress-)\1+$/)
  },
  "send-v2-request-zstd": ({ cmd, frame }) => {
    send("V2")({ cmd, frame })
    const unpacked = P.Compression.decompress(cmd.body, value(P.SendMessage.decodeRequest(cmd)).sysFlag)
    if (unpacked instanceof P.Compression.CompressionError) assert.fail(unpacked.message)
    assert.strictEqual(Buffer.from(unpacked).toString(), "ZSTD-compress-".repeat(400))
  },
  "send-v2-response": sent,
  "send-v2-response-json-to-binary-request": sent,
  "send-v2-response-timer": sent,
  "send-v2-response-transaction-half": sent,
  "set-message-request-mode-request": bodyRequest(
    P.SetMessageRequestMode.decodeRequest,
    P.SetMessageRequestMode.request
  ),
  "stored-half-messages": pulled("FOUND"),
  "stored-magic-v2-long-topic": pulled("FOUND"),
  "stored-retry-message": pulled("FOUND"),
  "stored-trace-pub": pulled("FOUND"),
  "stored-trace-sub": pulled("FOUND"),
  "stored-transaction-committed": pulled("FOUND"),
  "topic-stats-response": ({ cmd }) => {
    const stats = value(P.GetTopicStats.decodeResponse(cmd))
    assert.deepEqual(
      stats.offsetTable.map(([mq]) => mq),
      [2, 1, 3, 0].map(queue)
    )
    assert.deepEqual(stats.offsetTable[0]?.[1], { lastUpdateTimestamp: 1_795_410_558_886, maxOffset: 1, minOffset: 0 })
    sameResponse(P.GetTopicStats.response(stats), cmd)
  },
  "unlock-batch-request": bodyRequest(P.LockBatch.decodeRequest, (header) => P.LockBatch.request(header, "unlock")),
  "unregister-producer-request": headerRequest(P.UnregisterClient.decodeRequest, P.UnregisterClient.request),
  "update-consumer-offset": headerRequest(P.UpdateConsumerOffset.decodeRequest, P.UpdateConsumerOffset.request),
  "view-message-request": headerRequest(P.ViewMessageById.decodeRequest, P.ViewMessageById.request),
  "view-message-response": ({ cmd }) => {
    const message = value(P.ViewMessageById.decodeResponse(cmd))
    sameResponse(P.ViewMessageById.response(P.MessageCodec.encode(message)), cmd)
  }
}

/** Frames that a hand-made client sent, with the header's fields in an order of its own. */
const otherFieldOrder: ReadonlySet<string> = new Set(["batch-ack-request", "notification-request"])

const sameFrame = ({ cmd, frame }: Subject): void => {
  const { decoded } = frame
  const { header } = decoded
  assert.strictEqual(cmd.serializeType, decoded.serializeType)
  assert.strictEqual(cmd.code, decoded.code)
  assert.strictEqual(cmd.opaque, header.opaque)
  assert.strictEqual(cmd.flag, header.flag)
  assert.strictEqual(cmd.version, header.version)
  assert.strictEqual(cmd.remark, header.remark ?? undefined)
  assert.deepEqual(cmd.extFields, header.extFields ?? undefined)
  assert.strictEqual(typeof header.language === "number" ? P.languageCode(cmd.language) : cmd.language, header.language)
  assert.strictEqual(isResponse(cmd), decoded.kind === "response")
  assert.strictEqual(isOneway(cmd), decoded.kind === "oneway-request")
  assert.strictEqual(cmd.body.length, decoded.bodyLength)
  if (decoded.bodyText !== undefined) assert.strictEqual(Buffer.from(cmd.body).toString(), decoded.bodyText)
  if (decoded.bodyHex !== undefined) assert.strictEqual(Buffer.from(cmd.body).toString("hex"), decoded.bodyHex)
}

/** The ids: of a few recordings the broker's was not written down. */
const idsOf = ({ offsetMsgId, physicalOffset, properties, storeHost, storePort }: GoldenMessage) => {
  const id = offsetMsgId ?? encodeOffsetMessageId(`${storeHost}:${storePort}`, BigInt(physicalOffset))
  return { msgId: properties["UNIQ_KEY"] ?? id, offsetMsgId: id }
}

const sameMessages = ({ cmd, frame }: Subject): void => {
  const expected = frame.decoded.storedMessages
  if (expected === undefined) return
  const { error, messages } = P.MessageCodec.decodeAll(cmd.body)
  assert.isUndefined(error)
  assert.deepEqual(
    messages.map((message) => ({ ...message, body: Buffer.from(message.body).toString("hex") })),
    expected.map((message) => ({
      ...idsOf(message),
      topic: message.topic,
      body: message.bodyHex ?? Buffer.from(message.bodyText ?? "").toString("hex"),
      properties: message.properties,
      flag: message.flag,
      queueId: message.queueId,
      queueOffset: Number(message.queueOffset),
      commitLogOffset: Number(message.physicalOffset),
      sysFlag: message.sysFlag,
      bornTimestamp: Number(message.bornTimestamp),
      bornHost: `${message.bornHost}:${message.bornPort}`,
      storeTimestamp: Number(message.storeTimestamp),
      storeHost: `${message.storeHost}:${message.storePort}`,
      bodyCRC: message.bodyCRC,
      storeSize: message.totalSize,
      reconsumeTimes: message.reconsumeTimes,
      preparedTransactionOffset: Number(message.preparedTransactionOffset),
      keys: message.properties["KEYS"]?.split(" ") ?? [],
      tags: message.properties["TAGS"],
      transactionId: message.properties["TRAN_MSG"] === "true" ? message.properties["UNIQ_KEY"] : undefined
    }))
  )
  assert.deepEqual(Buffer.concat(messages.map((message) => P.MessageCodec.encode(message))), Buffer.from(cmd.body))
}

describe("recorded frames", () => {
  it("every one has a check, and every check has one", () => {
    assert.deepEqual(Object.keys(checks).toSorted(), goldenNames.toSorted())
    assert.strictEqual(goldenNames.length, 106)
  })

  it.each(goldenNames)("%s", (name) => {
    const frame = golden(name)
    const cmd = goldenCommand(frame)
    sameFrame({ cmd, frame })
    if (!otherFieldOrder.has(name)) {
      assert.strictEqual(Buffer.from(encode(cmd)).toString("hex"), Buffer.from(goldenBytes(frame)).toString("hex"))
    }
    // The other header form carries the same command, as far as it fits.
    for (const serializeType of ["JSON", "ROCKETMQ"] as const) {
      const back = P.Frame.makeFrameDecoder().push(encode({ ...cmd, serializeType })).commands[0]
      const binary = serializeType === "ROCKETMQ" && cmd.code <= 32_767
      const empty = binary && Object.keys(cmd.extFields ?? {}).length === 0
      assert.deepEqual(back, {
        ...cmd,
        serializeType: binary ? "ROCKETMQ" : "JSON",
        extFields: empty ? undefined : cmd.extFields
      })
    }
    sameMessages({ cmd, frame })
    checks[name]?.({ cmd, frame })
  })
})
