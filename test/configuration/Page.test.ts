import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { page, pageOf, sections, spellings } from "./pageText.ts"

const rows = Object.values(sections).flat()

describe("docs/configuration.md", () => {
  it("has the tables that the options give; npm run docs:options writes them", async () => {
    const text = Fs.readFileSync(page, "utf8")
    const made = await pageOf(text)
    assert.strictEqual(text, made)
    for (const name of Object.keys(sections)) assert.include(text, `<!-- options: ${name} -->`)
    assert.isAbove(rows.length, 70)
  })

  it("would not be the same if a default or a name were another", async () => {
    const text = Fs.readFileSync(page, "utf8")
    const other = text
      .replace("| 3 seconds", "| 4 seconds")
      .replace("| `rocketmq.producer.group`", "| `rocketmq.group`")
    assert.strictEqual(await pageOf(other), text)
    assert.notStrictEqual(other, text)
  })

  it("of every option there is a word to users, which says its default", () => {
    const silent = rows
      .filter(({ option }) => !/^(?:credentials|tls)\./.test(option))
      .filter(({ doc, entry: { printed } }) => {
        const said = printed === undefined ? /default|required/i.test(doc) : false
        return (
          !said &&
          !spellings(printed ?? "").some((text) => doc.includes(`efault ${text}`) || doc.includes(`efault \`${text}\``))
        )
      })
      .map(({ doc, option }) => `${option}: ${doc}`)
    assert.deepStrictEqual(silent, [])
    assert.deepStrictEqual(
      rows.filter(({ doc }) => doc === "").map(({ option }) => option),
      []
    )
  })
})
