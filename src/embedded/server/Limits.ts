/**
 * What peers can have an embedded server keep. A real one has threads, disks and operators that end what these figures
 * end; they lie far above what clients need.
 */

/** Bytes of answers that one connection may leave unread; above it the connection is closed. */
export const MAX_UNREAD_BYTES = 64 * 1024 * 1024

/** Requests of one connection that are not answered yet, pulls that wait among them; above it the connection is closed. */
export const MAX_REQUESTS_OF_CONNECTION = 32_768

/** The same over all connections of a server; above it requests are answered SYSTEM_BUSY (2). */
export const MAX_REQUESTS = 131_072

/** Connections of a listener, far below the file descriptors that a process may have; another one is closed at once. */
export const MAX_CONNECTIONS = 8_192

/**
 * Bytes that all connections of a listener may have it keep together: answers that are not read, bodies of requests under
 * way, frames of which the end is missing. Above it the connection that has most is closed.
 */
export const MAX_HELD_BYTES = 512 * 1024 * 1024

/** Topics of a broker or name server that peers may create. */
export const MAX_TOPICS = 65_536

/** Queues that peers may give to a topic on one broker: as many as clients take of a topic. */
export const MAX_QUEUES = 65_536

/** Consumer groups of a broker. */
export const MAX_GROUPS = 65_536

/**
 * Characters of the names under which a broker keeps offsets, locks, and clients with their subscriptions: as many for each of
 * the three, and each entry counts {@link ENTRY_SIZE} more.
 */
export const MAX_TABLE_SIZE = 64 * 1024 * 1024

/** What an entry counts besides its names. */
export const ENTRY_SIZE = 64

/** Brokers of other processes that register with a name server: as many as clients take of a route. */
export const MAX_BROKERS = 4_096

/** Characters of a name or an address in a registration. */
export const MAX_NAME_LENGTH = 255

/** Messages of a broker that are popped and not acknowledged; above it pops find nothing. */
export const MAX_POPPED = 262_144

/** The same of one group. */
export const MAX_POPPED_OF_GROUP = 65_536

/** Milliseconds for which a registration holds at most, whatever it asks for. */
export const MAX_REGISTRATION_MILLIS = 24 * 60 * 60_000

/** Characters that a name server's key-value store holds. */
export const MAX_KV_SIZE = 16 * 1024 * 1024
