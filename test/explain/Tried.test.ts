import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { AccessProblem } from "../../src/client/AccessDenied.ts"
import { AddressProblem } from "../../src/client/AddressRefused.ts"
import { RouteProblem } from "../../src/client/RouteProblem.ts"
import { explainers } from "../../src/explain/Explain.ts"
import { TlsReason } from "../../src/transport/Tls.ts"
import { WireErrorKind } from "../../src/transport/Wire.ts"
import { tried } from "./tried.ts"

const textOf = (file: string) => Fs.readFileSync(new URL(`../${file}`, import.meta.url), "utf8")

describe("the table of remedies and how they are tried", () => {
  it("has every remedy, and no other", () => {
    const kinds = {
      route: RouteProblem.literals,
      tls: TlsReason.literals,
      wire: WireErrorKind.literals,
      access: AccessProblem.literals,
      address: AddressProblem.literals,
      tag: Object.keys(explainers)
    }
    assert.sameMembers(
      Object.keys(tried),
      Object.entries(kinds).flatMap(([kind, words]) => words.map((word) => `${kind} ${word}`))
    )
  })

  it("names tests that there are", () => {
    for (const [key, how] of Object.entries(tried)) {
      const word = key.split(" ")[1] ?? ""
      if ("followed" in how) assert.include(textOf(how.followed[0]), JSON.stringify(how.followed[1]), key)
      else if ("met" in how) assert.include(textOf(how.met), word, key)
      else assert.isNotEmpty(how.read)
    }
  })

  it("follows those that an operator meets", () => {
    const followed = Object.values(tried).filter((how) => "followed" in how)
    assert.isAtLeast(followed.length, 43)
  })
})
