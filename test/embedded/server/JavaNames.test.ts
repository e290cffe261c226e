import { assert, describe, it } from "@effect/vitest"
import * as JavaNames from "../../../src/embedded/server/JavaNames.ts"

describe("what Java makes of", () => {
  it("addresses", () => {
    for (const [address, text] of [
      ["127.0.0.1:7", "127.0.0.1:7"],
      ["[::1]:7", "[0:0:0:0:0:0:0:1]:7"],
      ["[fe80::a:0:1]:65535", "[fe80:0:0:0:0:a:0:1]:65535"],
      ["[1:2:3:4:5:6:7:8]:1", "[1:2:3:4:5:6:7:8]:1"]
    ] as const) {
      assert.strictEqual(JavaNames.remoteAddress(address), text)
      assert.strictEqual(JavaNames.socketAddress(address), `/${text}`)
    }
  })

  it("release numbers", () => {
    const names: ReadonlyArray<readonly [number, string]> = [
      [0, "V3_0_0_SNAPSHOT"],
      [1, "V3_0_0_ALPHA1"],
      [6, "V3_0_0_BETA5"],
      [7, "V3_0_0_BETA6_SNAPSHOT"],
      [14, "V3_0_0_BETA9"],
      [15, "V3_0_0_FINAL"],
      [16, "V3_0_1_SNAPSHOT"],
      [45, "V3_0_15"],
      [46, "V3_1_0_SNAPSHOT"],
      [JavaNames.V3_1_8_SNAPSHOT, "V3_1_8_SNAPSHOT"],
      [407, "V4_9_7"],
      [513, "V5_5_0"],
      [9999, "HIGHER_VERSION"]
    ]
    for (const [version, name] of names) assert.strictEqual(JavaNames.releaseName(version), name)
  })
})
