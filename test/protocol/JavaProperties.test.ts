import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as JavaProperties from "../../src/protocol/JavaProperties.ts"

const read = (text: string) => {
  const settings = JavaProperties.read(new TextEncoder().encode(text))
  return settings === undefined ? undefined : Object.fromEntries(settings)
}

const plainText = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(Array.from("azAZ09.-_/@~"))), { minLength: 1, maxLength: 30 }),
  (characters) => characters.join("")
)

/** Characters that mean something to Java, and some that Latin-1 does not have. */
const anyText = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.schema(Schema.Literals(["a", "=", ":", "#", "!", " ", "\\", "\n", "\t", "\0", "u", "ü", "€", "😀"]))
  ),
  (characters) => characters.join("")
)

describe("settings as Java reads them", () => {
  it("separators, spaces, comments, empty values, the last of several", () => {
    assert.deepStrictEqual(read("a=1\n b : 2\nc 3\n\td=\ne\n# f=6\n!g=7\n\n  \na=8\nh = x = y \n"), {
      a: "8",
      b: "2",
      c: "3",
      d: "",
      e: "",
      h: "x = y "
    })
    assert.deepStrictEqual(read(""), {})
  })

  it("line ends of every kind, and lines that go on", () => {
    assert.deepStrictEqual(read("a=1\r\nb=2\rc=3"), { a: "1", b: "2", c: "3" })
    assert.deepStrictEqual(read("a=1,\\\n   2\nb=x\\\\\nc=3\\"), { a: "1,2", b: "x\\", c: "3" })
    assert.deepStrictEqual(read("a=1\\\n# no comment\n"), { a: "1# no comment" })
  })

  it("escapes, also in names; what is no escape loses its backslash", () => {
    assert.deepStrictEqual(read("a\\=b=1\nc\\ d=2\ne=\\t\\n\\r\\f\\u0041\\q\\\\\n"), {
      "a=b": "1",
      "c d": "2",
      e: "\t\n\r\fAq\\"
    })
    for (const broken of ["a=\\u00zz", "a=\\u12", "\\u=1"]) assert.isUndefined(read(broken), broken)
    assert.deepStrictEqual(read("a=\\\\u00zz"), { a: "\\u00zz" })
  })

  it("bytes as Latin-1, as Java has it", () => {
    assert.deepStrictEqual(read("a=ü"), { a: "Ã¼" })
  })

  it.prop(
    "reads what RocketMQ writes of plain settings",
    [Arbitrary.array(Arbitrary.all([plainText, plainText] as const))],
    ([entries]) => {
      const settings = new Map(entries)
      assert.deepStrictEqual(JavaProperties.read(JavaProperties.write(settings)), settings)
    }
  )

  it.prop(
    "reads back whatever is stored",
    [Arbitrary.array(Arbitrary.all([anyText, anyText] as const))],
    ([entries]) => {
      const settings = new Map(entries)
      assert.deepStrictEqual(JavaProperties.read(JavaProperties.store(settings)), settings)
    }
  )
})
