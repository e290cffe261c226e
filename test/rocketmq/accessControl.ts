/** Real servers with access control: ACL 1.0 of 4.9.7, ACL 2.0 of 5.5.0, and who may do what there. */
import { Redacted } from "effect"
import type { Credentials } from "../../src/client/SessionCredentials.ts"
import type { Release } from "../conformance/Target.ts"
import type { RocketMQOptions } from "./RocketMQServer.ts"

/** Who may do everything. */
export const admin: Credentials = { accessKey: "admin-key", secretKey: Redacted.make("admin-secret") }

/** Who may write to `orders` and read `secrets`. */
export const writer: Credentials = { accessKey: "writer-key", secretKey: Redacted.make("writer-secret") }

const plainAcl = `
accounts:
  - accessKey: admin-key
    secretKey: admin-secret
    whiteRemoteAddress:
    admin: true
  - accessKey: writer-key
    secretKey: writer-secret
    whiteRemoteAddress:
    admin: false
    defaultTopicPerm: DENY
    defaultGroupPerm: DENY
    topicPerms:
      - orders=PUB
      - secrets=SUB
`

const auth = "org.apache.rocketmq.auth"

/** What makes a broker of each release check who asks. */
export const guardedBy: Readonly<Record<Release, Pick<RocketMQOptions, "brokerProperties" | "files">>> = {
  "4.9.7": { brokerProperties: { aclEnable: "true" }, files: { "conf/plain_acl.yml": plainAcl } },
  "5.5.0": {
    brokerProperties: {
      authenticationEnabled: "true",
      authenticationProvider: `${auth}.authentication.provider.DefaultAuthenticationProvider`,
      authenticationMetadataProvider: `${auth}.authentication.provider.LocalAuthenticationMetadataProvider`,
      initAuthenticationUser: JSON.stringify({ username: "admin-key", password: "admin-secret" }),
      innerClientAuthenticationCredentials: JSON.stringify({ accessKey: "inner-key", secretKey: "inner-secret" }),
      authorizationEnabled: "true",
      authorizationProvider: `${auth}.authorization.provider.DefaultAuthorizationProvider`,
      authorizationMetadataProvider: `${auth}.authorization.provider.LocalAuthorizationMetadataProvider`
    }
  }
}
