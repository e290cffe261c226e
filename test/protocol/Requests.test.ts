import { assert, describe, it } from "@effect/vitest"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import * as P from "../../src/protocol/index.ts"
import type { RemotingCommand, Request, Response } from "../../src/protocol/RemotingCommand.ts"
import { decodeFrame, encode } from "../../src/protocol/Frame.ts"
import { emptyBody } from "../../src/protocol/RemotingCommand.ts"

/** What the other side gets to see of a request or an answer. */
const received = (sent: Request | Response): RemotingCommand => {
  const cmd = decodeFrame(
    encode({
      code: sent.code,
      language: "OTHER",
      version: 513,
      opaque: 1,
      flag: 0,
      remark: "remark" in sent ? sent.remark : undefined,
      extFields: sent.extFields,
      body: sent.body ?? emptyBody,
      serializeType: "JSON"
    }).subarray(4)
  )
  if ("kind" in cmd) assert.fail(cmd.message)
  return cmd
}

const decode =
  <A>(decoder: (cmd: RemotingCommand) => A) =>
  (sent: Request | Response): A =>
    decoder(received(sent))

const topic: P.TopicConfig.TopicConfig = {
  topicName: "t",
  readQueueNums: 4,
  writeQueueNums: 5,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: 0,
  order: false,
  attributes: { "message.type": "DELAY" }
}
const version = { stateVersion: 0, timestamp: 5, counter: 6 }
const mq = { topic: "t", brokerName: "b", queueId: 1 }

const settings = new Map([["autoCreateTopicEnable", "false"]])
const indexed = {
  filterData: "null",
  maxQueueIndex: 3,
  minQueueIndex: 1,
  queueData: [{ physicOffset: 239, physicSize: 239, tagsCode: 2653, eval: false }]
}
const counted = {
  statsDay: { avgpt: 1.5, sum: 3, tps: 0.5 },
  statsHour: { avgpt: 1, sum: 2, tps: 0 },
  statsMinute: P.ViewBrokerStatsData.nothing
}
const slave = {
  addr: "127.0.0.1:7",
  diff: 1,
  inSync: true,
  slaveAckOffset: 6,
  transferFromWhere: 2,
  transferredByteInSecond: 3
}
const haStatus = {
  haClientRuntimeInfo: { ...P.GetBrokerHaStatus.noClient, masterAddr: "127.0.0.1:8", maxOffset: 6 },
  haConnectionInfo: [slave],
  inSyncSlaveNums: 1,
  master: true,
  masterCommitLogMaxOffset: 7
}
const group = P.SubscriptionGroup.makeConfig({ groupName: "g", attributes: { "+priority.factor": "5" } })

const utf8 = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)

/** What brokers with access control of 5.5.0 take and give; the bodies are as fastjson writes `UserInfo` and `AclInfo`. */
const access: ReadonlyArray<
  readonly [
    Pick<P.RemotingCommand.Request, "code" | "extFields" | "body">,
    { readonly code: number; readonly extFields: unknown; readonly body: string }
  ]
> = [
  [
    P.Users.request({
      operation: "create",
      user: { username: "zoe", password: "p", userType: "Normal", userStatus: "enable" }
    }),
    {
      code: 3001,
      extFields: { username: "zoe" },
      body: '{"password":"p","userStatus":"enable","userType":"Normal","username":"zoe"}'
    }
  ],
  [
    P.Users.request({ operation: "update", user: { username: "zoe", userStatus: "disable" } }),
    { code: 3002, extFields: { username: "zoe" }, body: '{"userStatus":"disable","username":"zoe"}' }
  ],
  [P.Users.request({ operation: "delete", username: "zoe" }), { code: 3003, extFields: { username: "zoe" }, body: "" }],
  [P.Users.request({ operation: "list" }), { code: 3005, extFields: {}, body: "" }],
  [P.Users.request({ operation: "list", filter: "z" }), { code: 3005, extFields: { filter: "z" }, body: "" }],
  ...(["create", "update"] as const).map((operation): (typeof access)[number] => [
    P.Acls.request({
      operation,
      acl: {
        subject: "User:zoe",
        policies: [
          {
            policyType: "Custom",
            entries: [
              { resource: "Topic:orders", actions: ["Pub", "Sub"], sourceIps: ["10.0.0.0/8"], decision: "Allow" }
            ]
          }
        ]
      }
    }),
    {
      code: operation === "create" ? 3006 : 3007,
      extFields: { subject: "User:zoe" },
      body: '{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:orders","sourceIps":["10.0.0.0/8"]}],"policyType":"Custom"}],"subject":"User:zoe"}'
    }
  ]),
  [
    P.Acls.request({ operation: "delete", subject: "User:zoe", resource: "Topic:orders" }),
    { code: 3008, extFields: { subject: "User:zoe", resource: "Topic:orders" }, body: "" }
  ],
  [
    P.Acls.request({ operation: "list", subjectFilter: "z", resourceFilter: "o" }),
    { code: 3010, extFields: { subjectFilter: "z", resourceFilter: "o" }, body: "" }
  ]
]

const administration: ReadonlyArray<readonly [unknown, unknown]> = [
  [
    decode(P.CreateTopicList.decodeRequest)(P.CreateTopicList.request({ topicConfigList: [topic] })),
    { topicConfigList: [topic] }
  ],
  [
    decode(P.SubscriptionGroup.decodeRequest)(
      P.SubscriptionGroup.request({ operation: "updateAll", configs: [group] })
    ),
    { operation: "updateAll", configs: [group] }
  ],
  [decode(P.UpdateConfig.decodeRequest)(P.UpdateConfig.request(settings, "namesrv")), settings],
  [decode(P.GetNamesrvConfig.decodeResponse)(P.GetNamesrvConfig.response(settings)), settings],
  [
    decode(P.QueryConsumeQueue.decodeRequest)(
      P.QueryConsumeQueue.request({ topic: "t", queueId: 1, index: 2n ** 60n, count: 3, consumerGroup: "g" })
    ),
    { topic: "t", queueId: 1, index: 2n ** 60n, count: 3, consumerGroup: "g" }
  ],
  [decode(P.QueryConsumeQueue.decodeResponse)(P.QueryConsumeQueue.response(indexed)), indexed],
  [
    decode(P.ViewBrokerStatsData.decodeRequest)(
      P.ViewBrokerStatsData.request({ statsName: "TOPIC_PUT_NUMS", statsKey: "t" })
    ),
    { statsName: "TOPIC_PUT_NUMS", statsKey: "t" }
  ],
  [decode(P.ViewBrokerStatsData.decodeResponse)(P.ViewBrokerStatsData.response(counted)), counted],
  [decode(P.GetBrokerHaStatus.decodeResponse)(P.GetBrokerHaStatus.response(haStatus)), haStatus],
  ...(["expiredConsumeQueue", "unusedTopic", "expiredCommitLog"] as const).map(
    (what) => [decode(P.CleanStore.decodeRequest)(P.CleanStore.request(what)), what] as const
  )
]

describe("the requests about users and rights", () => {
  it("are written as Java's are", () => {
    for (const [made, expected] of access) {
      const { body, code, extFields } = made
      assert.deepStrictEqual<unknown>({ code, extFields, body: utf8(body) }, expected)
    }
  })
})

describe("requests without a recorded frame read what they write", () => {
  it("both ends", () => {
    const both: ReadonlyArray<readonly [unknown, unknown]> = [
      [
        decode(P.GetMinOffset.decodeRequest)(P.GetMinOffset.request({ topic: "t", queueId: 1, brokerName: "b" })),
        { topic: "t", queueId: 1, brokerName: "b" }
      ],
      [decode(P.GetMinOffset.decodeResponse)(P.GetMinOffset.response({ offset: 5 })), { offset: 5 }],
      [
        decode(P.GetEarliestMsgStoretime.decodeRequest)(P.GetEarliestMsgStoretime.request({ topic: "t", queueId: 1 })),
        { topic: "t", queueId: 1 }
      ],
      [
        decode(P.GetEarliestMsgStoretime.decodeResponse)(P.GetEarliestMsgStoretime.response({ timestamp: -1 })),
        { timestamp: -1 }
      ],
      [
        decode(P.SearchOffsetByTimestamp.decodeResponse)(P.SearchOffsetByTimestamp.response({ offset: 7 })),
        { offset: 7 }
      ],
      [
        decode(P.DeleteTopic.decodeRequest)(P.DeleteTopic.request({ topic: "t", clusterName: "c" }, "namesrv")),
        { topic: "t", clusterName: "c" }
      ],
      [
        decode(P.GetTopicConfig.decodeRequest)(P.GetTopicConfig.request({ topic: "t", lo: true })),
        { topic: "t", lo: true }
      ],
      [decode(P.GetTopicConfig.decodeResponse)(P.GetTopicConfig.response(topic)), topic],
      [decode(P.GetAllTopicConfig.decodeRequest)(P.GetAllTopicConfig.request({ topicSeq: 1 })), { topicSeq: 1 }],
      [
        decode(P.GetAllTopicConfig.decodeResponse)(
          P.GetAllTopicConfig.response({ dataVersion: version, topicConfigTable: new Map([["t", topic]]) })
        ),
        { dataVersion: version, topicConfigTable: new Map([["t", topic]]) }
      ],
      [decode(P.GetTopicList.decodeRequest)(P.GetTopicList.request()), {}],
      [decode(P.GetTopicList.decodeRequest)(P.GetTopicList.request({ cluster: "c" })), { cluster: "c" }],
      [decode(P.GetTopicList.decodeRequest)(P.GetTopicList.request({ system: true })), { system: true }],
      [decode(P.GetTopicList.decodeResponse)(P.GetTopicList.response({ topicList: ["a"] })), { topicList: ["a"] }],
      [decode(P.GetTopicStats.decodeRequest)(P.GetTopicStats.request({ topic: "t" })), { topic: "t" }],
      [
        decode(P.GetConsumeStats.decodeRequest)(P.GetConsumeStats.request({ consumerGroup: "g", topic: "t" })),
        { consumerGroup: "g", topic: "t" }
      ],
      [
        decode(P.GetBrokerRuntimeInfo.decodeResponse)(
          P.GetBrokerRuntimeInfo.response({ table: new Map([["k", "v"]]) })
        ),
        { table: new Map([["k", "v"]]) }
      ],
      [
        decode(P.GetProducerConnectionList.decodeRequest)(P.GetProducerConnectionList.request({ producerGroup: "g" })),
        { producerGroup: "g" }
      ],
      [
        decode(P.GetProducerConnectionList.decodeResponse)(
          P.GetProducerConnectionList.response({
            connectionSet: [{ clientId: "c", clientAddr: "1.2.3.4:5", language: "GO", version: 513 }]
          })
        ),
        { connectionSet: [{ clientId: "c", clientAddr: "1.2.3.4:5", language: "GO", version: 513 }] }
      ],
      [
        decode(P.GetConsumerConnectionList.decodeRequest)(P.GetConsumerConnectionList.request({ consumerGroup: "g" })),
        { consumerGroup: "g" }
      ],
      [
        decode(P.UnregisterBroker.decodeRequest)(
          P.UnregisterBroker.request({ brokerName: "b", brokerAddr: "a:1", clusterName: "c", brokerId: 0 })
        ),
        { brokerName: "b", brokerAddr: "a:1", clusterName: "c", brokerId: 0 }
      ],
      [
        decode(P.GetConsumerStatusFromClient.decodeRequest)(
          P.GetConsumerStatusFromClient.request({ topic: "t", group: "g" })
        ),
        { topic: "t", group: "g" }
      ],
      [
        decode(P.GetConsumerStatusFromClient.decodeResponse)(
          P.GetConsumerStatusFromClient.response({ messageQueueTable: [[mq, 3]] })
        ),
        { messageQueueTable: [[mq, 3]] }
      ],
      [
        decode(P.GetConsumerStatus.decodeRequest)(
          P.GetConsumerStatus.request({ topic: "t", group: "g", clientAddr: "c" })
        ),
        { topic: "t", group: "g", clientAddr: "c" }
      ],
      [
        decode(P.GetConsumerStatus.decodeResponse)(
          P.GetConsumerStatus.response({ consumerTable: new Map([["c", [[mq, 3]]]]) })
        ),
        { consumerTable: new Map([["c", [[mq, 3]]]]), messageQueueTable: [] }
      ],
      [
        decode(P.ResetConsumerClientOffset.decodeRequest)(
          P.ResetConsumerClientOffset.request(
            { topic: "t", group: "g", timestamp: -1, isForce: true },
            { offsetTable: [[mq, 0]] }
          )
        ),
        { header: { topic: "t", group: "g", timestamp: -1, isForce: true }, body: { offsetTable: [[mq, 0]] } }
      ]
    ]
    for (const [read, written] of [...both, ...administration]) assert.deepEqual(read, written)
  })

  it("the code says which of several requests it is", () => {
    assert.strictEqual(P.DeleteTopic.request({ topic: "t" }, "broker").code, 215)
    assert.strictEqual(P.DeleteTopic.request({ topic: "t" }, "namesrv").code, 216)
    assert.strictEqual(P.UpdateConfig.request(settings, "broker").code, 25)
    assert.strictEqual(P.UpdateConfig.request(settings, "namesrv").code, 318)
    assert.strictEqual(P.CleanStore.request("expiredConsumeQueue").code, 306)
    assert.strictEqual(P.CleanStore.request("unusedTopic").code, 316)
    assert.strictEqual(P.CleanStore.request("expiredCommitLog").code, 329)
    assert.strictEqual(P.GetTopicList.request().code, 206)
    assert.strictEqual(P.GetTopicList.request({ cluster: "c" }).code, 224)
    assert.strictEqual(P.GetTopicList.request({ system: true }).code, 304)
  })

  for (const header of [
    { operation: "put", namespace: "n", key: "k", value: "v" },
    { operation: "get", namespace: "n", key: "k" },
    { operation: "delete", namespace: "n", key: "k" },
    { operation: "list", namespace: "n" }
  ] as const) {
    it(`KV config: ${header.operation}`, () => {
      assert.deepEqual(decode(P.KVConfig.decodeRequest)(P.KVConfig.request(header)), header)
    })
  }

  it("KV config: answers", () => {
    const table = { table: new Map([["k", "v"]]) }
    assert.strictEqual(decode(P.KVConfig.decodeResponse)(P.KVConfig.response("v")), "v")
    assert.deepEqual(decode(P.KVConfig.decodeListResponse)(P.KVConfig.response(table)), table)
  })

  for (const header of [
    { operation: "update", config: P.SubscriptionGroup.makeConfig({ groupName: "g", retryMaxTimes: 3 }) },
    { operation: "list" },
    { operation: "delete", groupName: "g", cleanOffset: true },
    { operation: "get", group: "g" }
  ] as const) {
    it(`subscription group: ${header.operation}`, () => {
      assert.deepEqual(decode(P.SubscriptionGroup.decodeRequest)(P.SubscriptionGroup.request(header)), header)
    })
  }

  it("subscription group: answers", () => {
    const config = P.SubscriptionGroup.makeConfig({ groupName: "g" })
    const list = { dataVersion: version, subscriptionGroupTable: new Map([["g", config]]) }
    assert.deepEqual(decode(P.SubscriptionGroup.decodeResponse)(P.SubscriptionGroup.response(config)), config)
    assert.deepEqual(decode(P.SubscriptionGroup.decodeListResponse)(P.SubscriptionGroup.response(list)), list)
  })

  it("broker registration, with its checksum", () => {
    const header = { brokerName: "b", brokerAddr: "a:1", clusterName: "c", haServerAddr: "a:2", brokerId: 0 }
    const body = {
      filterServerList: [],
      topicConfigSerializeWrapper: { dataVersion: version, topicConfigTable: new Map([["t", topic]]) }
    }
    const request = P.RegisterBroker.request(header, body)
    assert.deepEqual(decode(P.RegisterBroker.decodeRequest)(request), { header, body })
    for (const spoilt of [{ bodyCrc32: "7" }, { compressed: "true" }]) {
      const read = decode(P.RegisterBroker.decodeRequest)({
        ...request,
        extFields: { ...request.extFields, ...spoilt }
      })
      assert.strictEqual(read instanceof DecodeError ? read.field : "", Object.keys(spoilt)[0])
    }
    const answer = { masterAddr: "m:1", kvTable: { table: new Map([["t", "b:4"]]) } }
    assert.deepEqual(decode(P.RegisterBroker.decodeResponse)(P.RegisterBroker.response(answer)), answer)
    assert.deepEqual(decode(P.RegisterBroker.decodeResponse)(P.RegisterBroker.response()), {})
  })
})

describe("sends", () => {
  const header: P.SendMessage.SendMessageHeader = {
    producerGroup: "g",
    topic: "t",
    defaultTopic: "TBW102",
    defaultTopicQueueNums: 4,
    queueId: -1,
    sysFlag: 0,
    bornTimestamp: 1_795_409_971_233,
    flag: 0,
    reconsumeTimes: 0,
    unitMode: false
  }
  const body = Uint8Array.of(1)

  for (const [form, code] of [
    ["V2", 310],
    ["V1", 10],
    ["BATCH", 320],
    ["REPLY_V2", 325],
    ["REPLY_V1", 324]
  ] as const) {
    it(`form ${form}`, () => {
      const full = { ...header, properties: "a\u0001b\u0002", maxReconsumeTimes: 3, brokerName: "b" }
      for (const value of [header, full]) {
        const request = P.SendMessage.request(value, body, form)
        assert.strictEqual(request.code, code)
        assert.deepEqual(decode(P.SendMessage.decodeRequest)(request), { ...value, batch: form === "BATCH" })
      }
    })
  }

  it("a request without its fields names the field", () => {
    const { extFields } = P.SendMessage.request(header, body, "V2")
    const field = (without: string): string => {
      const { [without]: _, ...rest } = extFields ?? {}
      const read = decode(P.SendMessage.decodeRequest)({ code: 310, extFields: rest })
      return read instanceof DecodeError ? read.field : "no error"
    }
    for (const name of ["a", "b", "c", "d", "e", "f", "g", "h"]) assert.strictEqual(field(name), name)
    for (const name of ["j", "k", "m"]) assert.strictEqual(field(name), "no error")
    assert.instanceOf(decode(P.SendMessage.decodeRequest)({ code: 310, extFields: undefined }), DecodeError)
    assert.instanceOf(
      decode(P.SendMessage.decodeRequest)({ code: 310, extFields: { ...extFields, l: "x" } }),
      DecodeError
    )
  })

  it("answers: ids and names that are longer than any count as absent, and those of the right length are kept", () => {
    const read = decode(P.SendMessage.decodeResponse)
    const of = (length: number) => {
      const long = "x".repeat(length)
      const extFields = { msgId: "m", queueId: "0", queueOffset: "1", transactionId: long, recallHandle: long }
      return read({ code: 0, extFields: { ...extFields, batchUniqId: long, MSG_REGION: long } })
    }
    const absent = { transactionId: undefined, recallHandle: undefined, batchUniqId: undefined, regionId: undefined }
    assert.deepInclude(of(1 << 20), { status: "SEND_OK", msgId: "m", ...absent })
    assert.deepInclude(of(700), { transactionId: "x".repeat(700), regionId: "x".repeat(700) })
  })

  it("answers: of 4.9, of 5.x, and none at all", () => {
    const read = decode(P.SendMessage.decodeResponse)
    const old = { msgId: "m", queueId: "0", queueOffset: "9007199254740991", MSG_REGION: "R", TRACE_ON: "false" }
    assert.deepEqual(read({ code: 0, extFields: old }), {
      status: "SEND_OK",
      msgId: "m",
      queueId: 0,
      queueOffset: 9_007_199_254_740_991,
      transactionId: undefined,
      batchUniqId: undefined,
      recallHandle: undefined,
      regionId: "R",
      traceOn: false
    })
    const full = {
      msgId: "m",
      queueId: 1,
      queueOffset: 2,
      transactionId: "t",
      batchUniqId: "b",
      recallHandle: "r",
      regionId: "R",
      traceOn: true
    }
    assert.deepEqual(read(P.SendMessage.response(full)), { ...full, status: "SEND_OK" })
    assert.strictEqual(P.SendMessage.response(full, 10).code, 10)
    for (const extFields of [undefined, {}, { msgId: "m" }, { ...old, queueOffset: "x" }, { ...old, queueId: "" }]) {
      assert.instanceOf(read({ code: 0, extFields }), DecodeError)
    }
    const statuses = [0, 10, 11, 12].map((code) => P.SendMessage.statusOf(code))
    assert.deepEqual(statuses, ["SEND_OK", "FLUSH_DISK_TIMEOUT", "SLAVE_NOT_AVAILABLE", "FLUSH_SLAVE_TIMEOUT"])
    assert.instanceOf(read({ code: 1, extFields: old }), DecodeError)
  })
})

const readRoute = (text: string) => P.TopicRouteData.decode(new TextEncoder().encode(text))

describe("routes", () => {
  it("broker ids are quoted or bare, and both are read", () => {
    const route: P.TopicRouteData.TopicRouteData = {
      orderTopicConf: "a:4",
      queueDatas: [{ brokerName: "a", readQueueNums: 1, writeQueueNums: 2, perm: 6, topicSysFlag: 0 }],
      brokerDatas: [
        {
          cluster: "c",
          brokerName: "a",
          brokerAddrs: new Map([
            [0, "h:1"],
            [1, "h:2"]
          ]),
          zoneName: "z"
        }
      ],
      filterServerTable: new Map([["h:1", ["f:1"]]]),
      topicQueueMappingByBroker: new Map([["a", { totalQueues: 8, epoch: 1, currIdMap: new Map([[0, 5]]) }]])
    }
    for (const standardJson of [true, false]) {
      const body = P.TopicRouteData.encode(route, { standardJson })
      assert.include(Buffer.from(body).toString(), standardJson ? '{"0":"h:1"' : '{0:"h:1"')
      assert.deepEqual(P.TopicRouteData.decode(body), route)
    }
  })

  it("what old or odd servers leave out has a default; what is needed is named", () => {
    assert.deepEqual(readRoute("{}"), { brokerDatas: [], filterServerTable: new Map(), queueDatas: [] })
    assert.deepEqual(
      readRoute(
        '{"queueDatas":[{"brokerName":"a","readQueueNums":1,"writeQueueNums":1,"perm":6,"topicSynFlag":0}],"brokerDatas":null}'
      ),
      {
        brokerDatas: [],
        filterServerTable: new Map(),
        queueDatas: [{ brokerName: "a", readQueueNums: 1, writeQueueNums: 1, perm: 6, topicSysFlag: 0 }]
      }
    )
    for (const [text, field] of [
      ["", "body"],
      ["[]", "body"],
      ['{"queueDatas":[{}]}', "body.queueDatas[0].brokerName"],
      ['{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"x":"h"}}]}', "body.brokerDatas[0].brokerAddrs.x"],
      ['{"brokerDatas":[{"brokerName":"a","brokerAddrs":{"0":1}}]}', "body.brokerDatas[0].brokerAddrs.0"]
    ] as const) {
      const result = readRoute(text)
      assert.strictEqual(result instanceof DecodeError ? result.field : "no error", field, text)
    }
  })
})

describe("code tables", () => {
  it("name what they know and what they do not", () => {
    assert.strictEqual(P.requestCodeName(310), "SEND_MESSAGE_V2")
    assert.strictEqual(P.requestCodeName(9999), "REQUEST_9999")
    assert.strictEqual(P.responseCodeName(0), "SUCCESS")
    assert.strictEqual(P.responseCodeName(9999), "RESPONSE_9999")
    assert.strictEqual(P.languageName(13), "NODE_JS")
    assert.strictEqual(P.languageName(99), "OTHER")
    assert.strictEqual(P.languageCode("KLINGON"), 7)
  })
})
