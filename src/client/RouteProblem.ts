import { Schema } from "effect"

/** Why a topic has no route that a message can be sent over. */
export const RouteProblem = Schema.Literals([
  "no-name-server-address",
  "name-not-resolved",
  "name-server-refused",
  "name-server-silent",
  "name-server-rejected",
  "name-server-unreadable",
  "name-server-tls",
  "request-not-signed",
  "client-exhausted",
  "no-broker",
  "topic-absent",
  "no-writable-queue",
  "no-master",
  "too-many-queues",
  "address-not-allowed",
  "address-unreadable"
])
/** Why a topic has no route; see the schema of the same name. */
export type RouteProblem = typeof RouteProblem.Type

/** What to do about each. */
export const routeRemedy: { readonly [K in RouteProblem]: string } = {
  "no-name-server-address": "Set namesrvAddr or NAMESRV_ADDR.",
  "name-not-resolved":
    "A name server's host name has no address; check its spelling and this machine's DNS. Names of containers are known inside their network only.",
  "name-server-refused":
    "Nothing listens at the name server's address; check host and port (9876 by default), and that it runs.",
  "name-server-silent":
    "The name server took the connection or the packets and did not answer; check firewalls and its load.",
  "name-server-rejected":
    "The name server answered with an error; see its remark. A broker that was named as name server answers REQUEST_CODE_NOT_SUPPORTED.",
  "name-server-unreadable":
    "What answers at the name server's address does not speak RocketMQ's protocol; check host and port, and that it is no HTTP or TLS port.",
  "name-server-tls":
    "No TLS connection to a name server came about; check the certificates, and whether it speaks TLS. Nothing was sent in plain text instead.",
  "request-not-signed": "The request could not be signed; see what the rpc hook or the source of the credentials says.",
  "client-exhausted":
    "This process or its host has no file descriptors or memory left for a connection; close some, or raise the limit (ulimit -n).",
  "no-broker":
    "The name server knows no broker at all: check that brokers run and that their namesrvAddr names this name server, with which they register within 30 s; and that it is the name server that is meant.",
  "topic-absent":
    "No broker has the topic; check its spelling and namespace, or create it (`effect-rocketmq topic create <topic>`; a send creates it where borrowRoute and the brokers' autoCreateTopicEnable allow that).",
  "no-writable-queue":
    "The topic exists, but no queue of it may be written: give it write permission (`effect-rocketmq topic update <topic> --perm rw`), or have its brokers opened where those are closed (brokerPermission, wipeWritePerm).",
  "no-master": "The topic's brokers have no master (broker id 0) at present; start it, or wait for the fail-over.",
  "too-many-queues":
    "Check who answers as name server, or give the topic less queues: to write first (`effect-rocketmq topic update <topic> --write-queues <number>`), to read when the others are read up, for what is unread in a queue that is taken away is lost to consumers. The route known before, if any, stays in use.",
  "address-not-allowed":
    "The addresses that the route names may not be dialled; let the option allowAddress allow them, or check who answers as name server.",
  "address-unreadable":
    "Set brokerIP1 in the brokers' configuration to an address that clients reach, or provide an AddressTranslator."
}
