import type { RemotingError } from "../../transport/RemotingError.ts"
import type { WireErrorKind } from "../../transport/Wire.ts"
import { hostKind } from "../../client/HostKind.ts"

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"))

/** What to do about a name server that cannot be connected to. */
export const nameServerUnreachable = (address: string, kind: WireErrorKind): string => {
  switch (kind) {
    case "dns":
      return `The name ${hostOf(address)} has no address here: check its spelling and this machine's DNS. Names of containers are known inside their network only.`
    case "refused":
      return `Nothing listens at ${address}: check that the name server runs, and its port (9876 by default; 10911 is a broker's, 8080 and 8081 the proxy's).`
    case "timeout":
      return `${address} takes the packets and says nothing: look for a firewall or a security group between here and there.`
    case "unreachable":
      return `There is no route to ${hostOf(address)}: check the network, and a VPN if there is one.`
    case "exhausted":
      return "This machine has no file descriptors or memory left for a connection: close some programs, or raise the limit (ulimit -n)."
    default:
      return `Check ${address}, and that it is a RocketMQ name server.`
  }
}

/** What to do about a name server that was connected to and does not answer as one. */
export const nameServerSilent = (address: string): string =>
  `Something listens at ${address} and does not answer as a name server does: check the port (9876 by default), and whether TLS is required there.`

/** How a name server without brokers comes about. */
export const NO_BROKERS =
  "No broker has registered: check that a broker runs, and that its namesrvAddr names this name server. A broker registers within 30 s."

const CURE =
  "set brokerIP1 in its broker.conf to an address that clients reach, or give the client an AddressTranslator"

/** What to do about a broker that the route names and this machine cannot talk to. */
export const brokerUnreachable = (address: string, error: RemotingError): string => {
  const host = hostOf(address)
  const kind = hostKind(host)
  switch (kind) {
    case "container":
      return `${host} looks like an address inside a container network: publish the broker's port, and ${CURE}.`
    case "loopback":
      return `The broker announces ${host}, which here means this machine: if it runs elsewhere, ${CURE}.`
    case "private":
    case "link-local":
      return `${host} is a ${kind} address: if this machine is outside that network, ${CURE}. Otherwise check that the broker runs and that no firewall is between.`
    case "name":
      return `The broker announces the name ${host}: if it is a container's or has no address here, ${CURE}.`
    case "unspecified":
      return `The broker announces ${host}, which is no address to connect to: ${CURE}.`
    default:
      return error._tag === "ConnectFailed" && error.kind === "timeout"
        ? `Look for a firewall between here and ${address}; clients need the brokers' ports (10911 by default), not only the name server's.`
        : `Check that the broker runs and listens at ${address}.`
  }
}

/** What to do about a broker's clock that differs. */
export const CLOCK =
  "Synchronise the clocks (NTP): message times, delayed delivery and searches by time depend on them."
