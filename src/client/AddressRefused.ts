import { Schema } from "effect"

/** Why a broker's address is not dialled. */
export const AddressProblem = Schema.Literals([
  "unreadable",
  "link-local",
  "unspecified",
  "multicast",
  "broadcast",
  "not-allowed",
  "rule-failed",
  "not-translated"
])

/** Why a broker's address is not dialled. */
export type AddressProblem = typeof AddressProblem.Type

const ANNOUNCED =
  "Set brokerIP1 in the broker's configuration to an address that clients reach, or provide an AddressTranslator"

/** What each means, and what to do about it. */
const sentences: { readonly [K in AddressProblem]: (detail: string) => readonly [means: string, remedy: string] } = {
  unreadable: (detail) => [`is no host:port (${detail})`, `${ANNOUNCED}.`],
  "link-local": () => [
    "is a link-local address, which reaches this machine's own network alone and is where clouds keep their metadata",
    `${ANNOUNCED}; where it is meant, let the option allowAddress allow it.`
  ],
  unspecified: () => [
    "is the unspecified address, behind which this machine would find itself",
    `${ANNOUNCED}; where it is meant, let the option allowAddress allow it.`
  ],
  multicast: () => ["is a multicast address, to which no connection can be opened", `${ANNOUNCED}.`],
  broadcast: () => ["is the broadcast address, to which no connection can be opened", `${ANNOUNCED}.`],
  "not-allowed": () => [
    "is not allowed by the option allowAddress",
    "Extend allowAddress, or check who answers as name server."
  ],
  "rule-failed": (detail) => [
    `is not allowed, because allowAddress failed on it (${detail})`,
    "Mend the function that the option allowAddress has."
  ],
  "not-translated": (detail) => [`cannot be translated (${detail})`, "Mend the AddressTranslator."]
}

/** A broker's address that is not dialled, and why. Nothing was sent to it. */
export class AddressRefused extends Schema.TaggedError<AddressRefused>()("AddressRefused", {
  /** The address, translated if that was possible; cut and without control characters. */
  address: Schema.String,
  /** The broker that has it; undefined for an address that a user or a message id names. */
  brokerName: Schema.optional(Schema.String),
  /** Why it is not dialled. */
  problem: AddressProblem,
  /** For `unreadable`, `rule-failed` and `not-translated`: what is wrong. Empty otherwise. */
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.evidence}. ${this.remedy}`
  }
  /** What is wrong with it, as a sentence without its full stop: `The address 169.254.1.1:10911 of broker broker-a ...`. */
  get evidence(): string {
    const whose = this.brokerName === undefined ? "" : ` of broker ${this.brokerName}`
    return `The address "${this.address}"${whose} ${sentences[this.problem](this.detail)[0]}, and is not dialled`
  }
  /** What to do about it. */
  get remedy(): string {
    return sentences[this.problem](this.detail)[1]
  }
}
