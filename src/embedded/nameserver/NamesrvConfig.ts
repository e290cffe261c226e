import { MQVersion } from "../../protocol/MQVersion.ts"
import { type Setting, toTexts, withText } from "../server/Settings.ts"

/** The settings of a name server, those that an embedded one looks at and the plain ones beside them. */
export interface NamesrvConfig {
  /** Whether routes carry the configuration of ordered topics; default false. */
  readonly orderMessageEnable: boolean
  /** Whether it tells every topic (206); 5.x only. Default true. */
  readonly enableAllTopicList: boolean
  /** Whether it tells the topics of a cluster (224) and of the system (304); 5.x only. Default true. */
  readonly enableTopicList: boolean
}

/** The settings of a running name server. Source: RocketMQ `NamesrvConfig`, `Configuration`. */
export interface LiveNamesrvConfig {
  /** The settings as they are now: the same object, whose values change. */
  readonly current: NamesrvConfig
  /** Every setting by its name, as texts. */
  readonly texts: () => ReadonlyMap<string, string>
  /** Sets what is named; a setting that there is not changes nothing. */
  readonly update: (texts: ReadonlyMap<string, string>) => void
}

/** Settings that begin as given. */
export const live = (options: {
  readonly version: number
  readonly orderMessageEnable: boolean
  /** `host:port` on which it listens. */
  readonly address: () => string
}): LiveNamesrvConfig => {
  const legacy = options.version < MQVersion.V5_0_0
  const current = {
    clusterTest: false,
    orderMessageEnable: options.orderMessageEnable,
    productEnvName: "center",
    enableAllTopicList: true,
    enableTopicList: true
  }
  /** What a name server of 4.x does not have. */
  const newIn5: ReadonlySet<string> = new Set<keyof typeof current>(["enableAllTopicList", "enableTopicList"])
  const known = (name: string): boolean => !legacy || !newIn5.has(name)
  return {
    current,
    texts: () => {
      const address = options.address()
      const at = address.lastIndexOf(":")
      const settings = Object.entries<Setting>(current).filter(([name]) => known(name))
      return toTexts({
        ...Object.fromEntries(settings),
        bindAddress: address.slice(0, at),
        listenPort: address.slice(at + 1)
      })
    },
    update: (texts) => {
      for (const [name, setting] of Object.entries<Setting>(current)) {
        const text = known(name) ? texts.get(name) : undefined
        if (text !== undefined) Object.assign(current, { [name]: withText(setting, text) })
      }
    }
  }
}
