import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as AclSignature from "../../src/protocol/AclSignature.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { encode } from "../../src/protocol/Frame.ts"
import type { RemotingCommand, Request } from "../../src/protocol/RemotingCommand.ts"
import { bytes, fieldName, record, text } from "./arbitraries.ts"
import { golden, goldenBytes, goldenCommand } from "./goldenFrames.ts"

const credentials = { accessKey: "rocketmq2", secretKey: "12345678", securityToken: "sectoken" }
const hookFields: ReadonlySet<string> = new Set(["AccessKey", "SecurityToken", "Signature"])

const received = (request: Request, version: number = MQVersion.CURRENT): RemotingCommand => ({
  code: request.code,
  language: "OTHER",
  version,
  opaque: 1,
  flag: 0,
  remark: undefined,
  extFields: request.extFields,
  body: request.body ?? new Uint8Array(0),
  serializeType: "JSON"
})

/** The recorded request as it was before the Java client signed it. */
const recorded = () => {
  const frame = golden("send-v2-request-acl-signed")
  const cmd = goldenCommand(frame)
  const fields = Object.entries(cmd.extFields ?? {}).filter(([name]) => !hookFields.has(name))
  return { frame, cmd, unsigned: { code: cmd.code, extFields: Object.fromEntries(fields), body: cmd.body } }
}

const someFields = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 8 }),
  (entries) => record(entries.filter(([name]) => !hookFields.has(name)))
)

const signatureOf = (fields: Request["extFields"]) =>
  AclSignature.sign({ accessKey: "ak", secretKey: "s" }, { code: 10, extFields: fields }).extFields?.["Signature"]

describe("AclSignature", () => {
  it("signs as the Java client does, byte for byte", () => {
    const { cmd, frame, unsigned } = recorded()
    const signed = AclSignature.sign(credentials, unsigned)
    assert.strictEqual(signed.extFields?.["Signature"], "ih7r4hvOxSHQ9843Sf6ZFWqwBVc=")
    assert.strictEqual(
      Buffer.from(encode({ ...cmd, ...signed, body: cmd.body })).toString("hex"),
      Buffer.from(goldenBytes(frame)).toString("hex")
    )
    assert.isTrue(AclSignature.verify(credentials.secretKey, cmd))
    assert.strictEqual(AclSignature.accessKeyOf(cmd), "rocketmq2")
  })

  it("upper case sorts before lower case, and names are not signed", () => {
    assert.strictEqual(signatureOf({ b: "1", Z: "2", a: "3" }), signatureOf({ B: "2", c: "3", d: "1" }))
    assert.notStrictEqual(signatureOf({ b: "1", Z: "2" }), signatureOf({ b: "2", Z: "1" }))
    // A surrogate pair sorts before U+FF01 by UTF-16 code units, behind it by code points.
    assert.strictEqual(signatureOf({ "\u{1f680}": "1", "\uff01": "2" }), signatureOf({ x: "1", y: "2" }))
    assert.strictEqual(signatureOf({ a: "", b: "1" }), signatureOf({ a: "1" }))
    assert.strictEqual(signatureOf(undefined), signatureOf({}))
  })

  it("a second signature replaces the first, so rotation works on the same request", () => {
    const { unsigned } = recorded()
    const first = AclSignature.sign(credentials, unsigned)
    const second = AclSignature.sign({ accessKey: "other", secretKey: "new" }, first)
    assert.deepEqual(second, AclSignature.sign({ accessKey: "other", secretKey: "new" }, unsigned))
    assert.isUndefined(second.extFields?.["SecurityToken"])
    assert.isTrue(AclSignature.verify("new", received(second)))
  })

  it("A16: the field that old clients add after signing does not count for them", () => {
    const signed = AclSignature.sign(credentials, { code: 12, extFields: { topic: "t", key: "k" } })
    const later = { ...signed, extFields: { ...signed.extFields, _UNIQUE_KEY_QUERY: "true" } }
    assert.isTrue(AclSignature.verify(credentials.secretKey, received(later, MQVersion.V4_9_3)))
    assert.isFalse(AclSignature.verify(credentials.secretKey, received(later, MQVersion.V4_9_4)))
  })

  it("A16: a server of 4.x never counts that field, and one of 5.x does for newer clients", () => {
    const fields = { topic: "t", key: "k" }
    const before = AclSignature.sign(credentials, { code: 12, extFields: fields })
    const added = { ...before, extFields: { ...before.extFields, _UNIQUE_KEY_QUERY: "true" } }
    const over = AclSignature.sign(credentials, { code: 12, extFields: { ...fields, _UNIQUE_KEY_QUERY: "true" } })
    const { secretKey } = credentials
    for (const client of [MQVersion.V4_9_3, MQVersion.V4_9_7, MQVersion.CURRENT]) {
      assert.isTrue(AclSignature.verify(secretKey, received(added, client), MQVersion.V4_9_7))
      assert.isFalse(AclSignature.verify(secretKey, received(over, client), MQVersion.V4_9_7))
      assert.isTrue(AclSignature.verify(secretKey, received(before, client), MQVersion.V4_9_7))
    }
    assert.isFalse(AclSignature.verify(secretKey, received(added), MQVersion.V5_5_0))
    assert.isTrue(AclSignature.verify(secretKey, received(over), MQVersion.V5_5_0))
  })

  it("unsigned, half signed and badly signed requests do not pass", () => {
    const secret = credentials.secretKey
    const signed = received(AclSignature.sign(credentials, { code: 10, extFields: { a: "1" } }))
    const withFields = (fields: Record<string, string>) => ({
      ...signed,
      extFields: { ...signed.extFields, ...fields }
    })
    assert.isTrue(AclSignature.verify(secret, signed))
    assert.isFalse(AclSignature.verify("12345679", signed))
    assert.isFalse(AclSignature.verify(secret, { ...signed, extFields: undefined }))
    assert.isFalse(AclSignature.verify(secret, { ...signed, extFields: { a: "1" } }))
    assert.isFalse(AclSignature.verify(secret, { ...signed, extFields: { Signature: "" } }))
    for (const Signature of ["", "x", "標", `${signed.extFields?.["Signature"]}=`]) {
      assert.isFalse(AclSignature.verify(secret, withFields({ Signature })))
    }
    assert.isFalse(AclSignature.verify(secret, withFields({ a: "2" })))
    assert.isFalse(AclSignature.verify(secret, { ...signed, body: Uint8Array.of(1) }))
    assert.isUndefined(AclSignature.accessKeyOf({ extFields: undefined }))
    assert.isUndefined(AclSignature.accessKeyOf({ extFields: {} }))
  })

  it.prop(
    "what is signed verifies with the same secret only, and the request is left as it was",
    [someFields, bytes, Schema.String, Schema.UndefinedOr(Schema.String)],
    ([fields, body, secretKey, securityToken]) => {
      const request: Request = Object.freeze({ code: 310, extFields: Object.freeze({ ...fields }), body })
      const before = structuredClone(request)
      const signed = AclSignature.sign({ accessKey: "ak", secretKey, securityToken }, request)
      assert.deepEqual(request, before)
      assert.isTrue(AclSignature.verify(secretKey, received(signed)))
      assert.isFalse(AclSignature.verify(`${secretKey}!`, received(signed)))
      for (const name of Object.keys(fields)) assert.strictEqual(signed.extFields?.[name], fields[name])
    }
  )
})
