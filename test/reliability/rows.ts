/** A kind of fault, as docs/reliability.md groups them. */
export type RowGroup =
  | "Name server"
  | "Framing and decoding"
  | "Broker and send"
  | "Network and host"
  | "Life cycle"
  | "Content that is valid but absurd"
  | "Consuming in a group"

/** One row of the fault matrix: what goes wrong, and what the client then has to do. */
export interface Row {
  /** The number that the title of its tests begins with. */
  readonly row: string
  readonly group: RowGroup
  readonly fault: string
  readonly expected: string
}

const group =
  (name: RowGroup) =>
  (row: string, fault: string, expected: string): Row => ({ row, group: name, fault, expected })

const nameServer = group("Name server")
const framing = group("Framing and decoding")
const broker = group("Broker and send")
const host = group("Network and host")
const lifeCycle = group("Life cycle")
const absurd = group("Content that is valid but absurd")
const consuming = group("Consuming in a group")

/**
 * The fault matrix. A test belongs to a row when its title begins with the row's number and a colon, as in
 * `N3: a flapping name server ...` or `C2, C3: a length that cannot be ...`. Rows of consumers have a hyphen, `C-07`. docs/reliability.md shows the rows with the
 * tests they have and how these ended.
 */
export const rows: ReadonlyArray<Row> = [
  nameServer(
    "N1",
    "it is down when the client starts",
    "a lazy start succeeds and the first send fails, saying that no name server could be reached; an eager start fails within the connect timeout of each address and gives everything back"
  ),
  nameServer(
    "N2",
    "it goes down later, with the route already known",
    "sends go on over the known route; the failing refresh warns once when it begins to fail, not at every poll"
  ),
  nameServer(
    "N3",
    "it goes up and down all the time",
    "no storm of dials: waits with jitter between them, and at most one dial to an address at a time"
  ),
  nameServer(
    "N4",
    "one of three is dead",
    "the first request moves on to the next at the cost of one connect timeout at most, and later ones stay with the one that lives"
  ),
  nameServer(
    "N5",
    "all are dead, then one comes back",
    "the next poll or send works again; nothing has to be restarted"
  ),
  nameServer(
    "N6",
    "the connection is half-open: no answers, and no end either",
    "the request times out, its connection is closed, the next server is asked"
  ),
  nameServer(
    "N7",
    "it answers byte by byte, very slowly",
    "the deadline is that of the whole answer; a byte now and then does not put it off"
  ),
  nameServer("N8", "it answers with garbage", "`FrameError`, the connection is closed, the next server is asked"),
  nameServer(
    "N9",
    "the list of addresses changes (address server)",
    "the new list takes the place of the old one at once; connections to addresses that left it end after what is under way on them"
  ),
  nameServer(
    "N10",
    "the address server answers 500, nothing, or a web page",
    "the old list stays; the warning says what was wrong"
  ),
  nameServer(
    "N11",
    "a server with an older view answers with a stale or empty route",
    "the newer route is taken when it differs; an empty table never replaces one that can be sent over"
  ),
  nameServer(
    "N12",
    "the route has no writable queue, or its brokers no master",
    "the send fails with the reason: the topic's route cannot be sent over, and why"
  ),

  framing("C1", "a length above the limit (16 MiB)", "refused before memory is taken for it; the connection closes"),
  framing("C2", "a negative length, or one below 4", "refused before memory is taken for it; the connection closes"),
  framing("C3", "a header longer than its frame", "refused before memory is taken for it; the connection closes"),
  framing(
    "C4",
    "half a header, then the end of the stream",
    "what was pending fails with `ConnectionClosed`, outcome unknown"
  ),
  framing("C5", "a serialize type that does not exist", "`FrameError`, the connection closes"),
  framing(
    "C6",
    "a binary header whose strings have negative lengths or end behind it",
    "a typed error; nothing outside the frame is read"
  ),
  framing(
    "C7",
    "broken JSON, wrong types, deep nesting",
    "a typed error, never an exception or an overflow of the stack"
  ),
  framing(
    "C8",
    "frames split anywhere, byte by byte, or many in one chunk",
    "the same result as from one chunk with one frame"
  ),
  framing("C9", "an answer to a request that nobody sent", "counted, logged for debugging, dropped"),
  framing("C10", "the same answer twice", "the first one counts, the second is counted and dropped"),
  framing("C11", "an answer after the timeout", "counted and dropped; nothing stays in the table"),
  framing(
    "C12",
    "an answer on another connection that has the number of a pending request",
    "not taken: numbers belong to a connection (Java's to the client)"
  ),
  framing("C13", "request numbers pass 2^31 while some are pending", "taken numbers are skipped, none is negative"),
  framing(
    "C14",
    "a request of the server that nobody expected, or that nobody knows",
    "handled, or answered with code 3"
  ),

  broker(
    "B1",
    "the broker dies in the middle of a send",
    "sent again to another broker within the one budget of the send; the last error says that the outcome is unknown"
  ),
  broker("B2", "the broker restarts on its address", "the next use connects again; nobody has to do anything"),
  broker(
    "B3",
    "the broker restarts on another address",
    "the next update of the route finds it; the address that is gone is forgotten"
  ),
  broker("B4", "2 SYSTEM_BUSY", "sent again elsewhere after a wait (Java does not wait)"),
  broker("B5", "215 FLOW_CONTROL", "one wait and one more attempt, then the error (others do not retry)"),
  broker("B6", "16 NO_PERMISSION", "sent to another broker and the route is read again; then a typed error"),
  broker(
    "B7",
    "17 TOPIC_NOT_EXIST",
    "the route is read again and the message sent again; then a typed error that names the topic"
  ),
  broker("B8", "13 MESSAGE_ILLEGAL, 29 INVALID_PARAMETER", "never sent again, whatever else the answer says"),
  broker(
    "B9",
    "10, 11, 12: stored, but not as durably as asked",
    "a success whose status says so; sending to another broker is an option that is off, and documented to make duplicates"
  ),
  broker("B10", "1 SYSTEM_ERROR with a stack trace of the broker", "sent again; the text is cut in logs and errors"),
  broker(
    "B11",
    "1500 GO_AWAY",
    "a new connection takes over, the request is repeated once, the old connection ends after its other answers"
  ),
  broker(
    "B12",
    "14, 501, and any code that nobody has mapped",
    "`BrokerRejected` with code and remark; no code can crash the client"
  ),
  broker(
    "B13",
    "the broker takes requests and never answers",
    "`RequestTimeout` within the budget, outcome unknown, and the place in flight is free again"
  ),
  broker("B14", "the connection is reset", "what is pending fails at once, outcome unknown"),
  broker(
    "B15",
    "the broker reads slowly",
    "writes wait for it; requests and bytes in flight keep to their caps; callers wait, memory does not grow"
  ),
  broker(
    "B16",
    "a one-way on a connection that is dead",
    "best effort, as documented; counted; never an unhandled error"
  ),
  broker("B17", "a batch that is too large or mixes topics", "refused before anything is sent"),
  broker(
    "B18",
    "one of three brokers is slow",
    "its share of the sends falls while latency avoidance is on, and comes back after the penalty"
  ),
  broker("B19", "every broker is in penalty", "one is chosen all the same: avoidance never stops a send"),

  host(
    "H1",
    "host names that do not resolve, or slowly; one bad name of three",
    "a typed error (kind `dns`) within the connect timeout; the other addresses are tried"
  ),
  host("H2", "the host has an IPv6 address first, and it is dead", "the next address of the host is used"),
  host(
    "H3",
    "access refused: unknown key, wrong secret, clock skew",
    "a typed error, not sent again, and no key in any output"
  ),
  host(
    "H4",
    "TLS: expired, self-signed, another host's, a plain server, no client certificate",
    "a typed error (kind `tls`) with the reason; never plain text instead"
  ),
  host("H5", "the wall clock jumps by an hour", "timeouts and heartbeats do not notice: their clock only goes forward"),
  host(
    "H6",
    "the event loop stands still for seconds",
    "answers that had arrived win over their timeout; one heartbeat afterwards, not a burst"
  ),
  host(
    "H7",
    "SIGTERM or SIGINT while sends are under way",
    "they may end within the drain limit, the client says goodbye, exit code 143 or 130; a second signal ends at once"
  ),
  host("H8", "no file descriptors left", "a typed error, tried again after growing waits; no busy loop"),

  lifeCycle(
    "L1",
    "the scope closes with sends under way",
    "they may end within the drain limit of 3 s; the rest fails with `ClientClosed`, outcome unknown"
  ),
  lifeCycle("L2", "two starts, one after the other", "the second fails with a typed error; the first is unharmed"),
  lifeCycle("L3", "100 starts at once", "one of them does the work, all share its result"),
  lifeCycle("L4", "start and shutdown race", "it ends running or shut down, never in between"),
  lifeCycle("L5", "a start after the shutdown", "a typed error; a new scope works"),
  lifeCycle(
    "L6",
    "an interruption at any step of the start",
    "the state is CREATE_JUST or START_FAILED, everything is given back, another start works"
  ),
  lifeCycle(
    "L7",
    "a failure at any step of the start",
    "as after an interruption, and a shutdown afterwards releases everything (Java's does nothing)"
  ),
  lifeCycle("L8", "a producer group that is taken", "a typed error; the shared instance goes on working for the other"),
  lifeCycle("L9", "two producers share a client id and one closes", "the instance lives until the last one has closed"),
  lifeCycle(
    "L10",
    "the body of a timer fails or hangs",
    "the timer goes on, runs never overlap, the other timers are on time"
  ),
  lifeCycle("L11", "a callback or a hook of the user throws", "contained, typed and reported"),
  lifeCycle("L12", "1,000 starts and stops", "sockets, fibers and timers are back where they were"),
  lifeCycle("L13", "a shutdown while a connection is being dialled", "the dial ends within 100 ms"),
  lifeCycle(
    "L14",
    "a shutdown with name server and brokers gone",
    "the goodbye is best effort: within its bound, and clean all the same"
  ),

  // A1 to A19: routes, addresses, and the servers that give them.
  absurd(
    "A1",
    "a route, an order configuration or a static topic with more queues than a topic can have",
    "`RouteUnavailable`, `too-many-queues`, with the figures; the route known before stays in use"
  ),
  absurd(
    "A2",
    "a route that names the same broker or queue hundreds of times",
    "each queue counts once; time and memory are linear in the route"
  ),
  absurd(
    "A3",
    "a route of thousands of brokers, most of them dead",
    "the first 4,096 by name are used, with a warning; at most 64 heartbeats at once, a few lines of log; brokers that live are greeted in time"
  ),
  absurd(
    "A4",
    "a route address that is none: a space or slash in it, empty, a megabyte long",
    "never dialled; the error says what is wrong with it; other brokers are used"
  ),
  absurd(
    "A5",
    "a route address that is link-local, unspecified, multicast or broadcast, however it is written",
    "not dialled unless `allowAddress` says so; typed, and told once"
  ),
  absurd(
    "A6",
    "names in a route that are a megabyte long, or that a terminal acts on",
    "left out, and told in a line that is short and clean"
  ),
  absurd(
    "A7",
    "an address server that answers without end, byte by byte, with thousands of addresses, or sends one in circles",
    "`AddressServerFailed` within 3 s and 64 KiB; the list known before stays in use"
  ),
  absurd(
    "A8",
    "a broker that announces an IPv6 address without brackets",
    "sent to like any other; state and errors show the one form with brackets"
  ),
  absurd(
    "A9",
    "a name server given as the endpoint of an instance, `http://MQ_INST_<id>.<host>:port`",
    "every request is of the namespace `MQ_INST_<id>`, unless one is set"
  ),
  absurd(
    "A10",
    "a list of name servers that commas, blanks or full-width marks separate",
    "`InvalidConfig` at the start, which says that `;` is what separates; nobody is asked"
  ),
  absurd(
    "A11",
    "an address server given as a whole URL, or one that sends on to another place",
    "asked as it stands, and followed within its scheme; what is no URL is refused at the start"
  ),
  absurd(
    "A12",
    "a name server's host name that stands for several machines",
    "each of them is told what an administrator changes"
  ),
  absurd(
    "A13",
    "a server of an old release, which leaves a code that it does not know without an answer",
    "the release that its answers name chooses the request; nothing waits for a timeout"
  ),
  absurd(
    "A14",
    "a topic that may not be written, by itself or because its broker is closed",
    "the remedy opens what is closed and changes nothing else; there is none at the topic where the broker is closed"
  ),
  absurd("A15", "a topic or a group to be created that is there already", "refused, and nothing changed, unless meant"),
  absurd(
    "A16",
    "releases that sign different fields of one request",
    "each request is signed as the server's release reads it; the embedded broker is as strict as the original"
  ),
  absurd(
    "A17",
    "a view of more brokers or queues than an administrator can work through",
    "a typed error with the figures; nobody is asked, and no list is laid out"
  ),

  // A20 to A39: what is pulled, pushed and asked for by a server.
  absurd(
    "A20",
    "a server that asks without end and reads no answer",
    "`AnswersNotRead` at 4 MiB: the connection closes, and says why"
  ),
  absurd(
    "A21",
    "packed replies that nobody waits for, as many as anybody likes",
    "dropped as they came: nothing is unpacked that nobody wants"
  ),
  absurd(
    "A22",
    "transaction checks of a kilobyte that become 32 MiB, as many as anybody likes",
    "unpacked one by one within 64 MiB and off the main thread; each that was taken is answered, and the loop stays free"
  ),
  absurd(
    "A23",
    "a queue full of messages of a kilobyte that become 32 MiB",
    "they stay as they are stored until one is shown or handed over, and have one budget of 64 MiB"
  ),
  absurd(
    "A24",
    "a broker that leads on from offset to offset, back to where it was asked, or to where nothing can be",
    "a reader ends with `UnreadableAnswer`; a consumer slows down, and tells it in a few lines"
  ),
  absurd(
    "A25",
    "an answer to a pull with more messages than were asked for, or with some that cannot be read",
    "no more are read than were asked for; what cannot be read is passed over by nobody"
  ),
  absurd(
    "A26",
    "a packed body that is damaged, of a kind that nobody knows, or longer than 32 MiB",
    "a typed error, or shown as it is stored; the broker is told, and others do not notice"
  ),
  absurd(
    "A27",
    "text of a peer that a terminal acts on, that forges a line, or that is a megabyte long",
    "cleaned and cut wherever it is told: in logs, errors, states and on a terminal"
  ),
  absurd(
    "A28",
    "times that are negative, fractions, in nanoseconds, or beyond every calendar",
    "whole milliseconds and never negative in messages; shown as a date, or as the number where there is none"
  ),
  absurd(
    "A29",
    "a broker that says without end that a group has changed",
    "one round of rebalance a second at the most"
  ),
  absurd(
    "A30",
    "anything that a server can make a client tell as often as it likes",
    "a few lines of log a minute, and then how many more there were"
  ),
  absurd(
    "A31",
    "a message whose sender counted its redeliveries from far below nothing, or to beyond every limit",
    "it comes again after the first delay at the soonest, or is a dead letter; handlers see attempt 1 and up"
  ),

  // A40 to A59: what clients write, those of other kinds too, which the embedded broker takes as the original does.
  absurd(
    "A40",
    "a consumer whose version is in nanoseconds and whose hashes are texts",
    "taken, and kept to the last digit"
  ),
  absurd(
    "A41",
    "an offset of any 64-bit int",
    "committed and given back as each release does; a pull from there is told"
  ),
  absurd("A42", "a time of birth in nanoseconds", "stored and read to the last digit, as each release does"),
  absurd(
    "A43",
    "a number in a header in any form that Java reads, or in none",
    "what Java reads; what it cannot read is refused, or counts as absent"
  ),
  absurd(
    "A44",
    "half an emoji in any text of a message, of the configuration or of an administrator",
    "`InvalidMessage`, `InvalidConfig` or `InvalidText` with the field's name, before anything is sent"
  ),
  absurd(
    "A45",
    "half an emoji in the header of another client",
    "a question mark in what is stored and in what a signature is compared with, as in Java"
  ),
  absurd(
    "A46",
    "a consumer that leaves it to the broker to share out the queues",
    "gets its queues as from the original, and an answer where there is none"
  ),
  absurd(
    "A47",
    "an old client that sends to the port two below the broker's own",
    "served there, all but pulls, where that port is free; the state says where"
  ),
  absurd(
    "A48",
    "a question to a client that goes by its broker: running info, direct consumption",
    "passed on and back unread; the original's code where the client is gone, too old or silent"
  ),
  absurd(
    "A49",
    "a delay that is no number, or one that only Java takes for one",
    "read as `Integer.parseInt` reads it; where that throws, nothing is stored"
  ),
  absurd(
    "A50",
    "what operators ask a broker or name server by mqadmin: settings, stores, lists, slaves",
    "answered as each release answers it; what it refuses changes nothing"
  ),
  absurd(
    "A51",
    "a client that asks without end and reads nothing, or has a server keep names, connections or bytes without end",
    "the connection closes and says why, or the request is refused; all others are served"
  ),

  // The rows of consumers that this client has so far; their numbers are those of a longer list.
  consuming(
    "C-01",
    "name servers are down at the start",
    "as the readiness says: a typed failure, or it starts, and works once they are up"
  ),
  consuming(
    "C-02",
    "a subscribed topic is not there at the start",
    "a problem in the state; it is owned after the next poll at the latest"
  ),
  consuming(
    "C-03",
    "a filter in SQL92 on brokers that filter by tags only, or one that cannot be read",
    "the start fails with the broker's words and with what to do, everything is released"
  ),
  consuming(
    "C-04",
    "a start fails, dies, hangs or is interrupted at any step",
    "everything is given back, and another start works"
  ),
  consuming(
    "C-05",
    "the group is not there and cannot be made (26)",
    "a problem with a remedy, pauses up to 30 s, and it goes on once the group is there"
  ),
  consuming("C-06", "no permission for the topic or the group (16)", "the same; other topics are unaffected"),
  consuming(
    "C-07",
    "a member joins",
    "its share is handed over; twice come only messages whose handlers outlive the hand-over"
  ),
  consuming("C-08", "a member closes", "its queues are read again within 2 s, nothing comes twice"),
  consuming(
    "C-09",
    "a member is killed",
    "its queues move when the broker sees the end of the connection; twice comes at most what it had not finished or written"
  ),
  consuming("C-10", "a member vanishes without the end of its connections", "its queues move after 120 s"),
  consuming(
    "C-11",
    "a member is half dead: its heartbeats arrive, its pulls do not",
    "its queues stay with it and say so; an administrator sees how far it is behind; the others go on"
  ),
  consuming(
    "C-12",
    "members come, leave and die all the time",
    "in the end each queue has one owner; nothing is lost, no position falls"
  ),
  consuming(
    "C-13",
    "brokers name no members, other ones, or fail",
    "no queue is given up for it; a broker that forgot this member is called on and asked again"
  ),
  consuming("C-14", "a thousand times a second the group is said to have changed", "one round a second"),
  consuming(
    "C-15",
    "a topic gets more queues, or fewer",
    "new ones are read after the next poll; those that go are written and left"
  ),
  consuming(
    "C-16",
    "random groups of members and queues, by every strategy",
    "each member computes the share that Java's client computes"
  ),
  consuming("C-17", "a pull is answered after its queue was lost", "the answer is dropped"),
  consuming(
    "C-18",
    "a pull is answered after its queue was lost and won back",
    "the answer is dropped; no gap, and nothing twice"
  ),
  consuming("C-19", "a held pull is never answered", "its deadline of 30 s ends it, the next pull follows"),
  consuming(
    "C-20",
    "a broker dies and starts again on its port",
    "pulls, offsets and send-backs go on; twice comes at most what it had not written"
  ),
  consuming("C-21", "a broker starts again on another port", "the next route finds it"),
  consuming(
    "C-22",
    "one of three brokers takes requests and answers none",
    "pulls, offsets and rounds of the others are unaffected"
  ),
  consuming(
    "C-23",
    "the master is gone, or says to read from its slave",
    "queues are read from the slave and from the master afterwards; a master takes the offsets where there is one"
  ),
  consuming(
    "C-24",
    "pulls are answered 2, 215 or 1",
    "pauses of 1 s, 20 ms, 1 s and growing; other queues are unaffected"
  ),
  consuming(
    "C-25",
    "the broker does not know the group, or an older subscription (24, 25)",
    "a heartbeat at once, then the pull"
  ),
  consuming(
    "C-26",
    "the offset is not in the queue (21)",
    "it goes on where the broker says; backwards is a problem in the state"
  ),
  consuming(
    "C-27",
    "a stored entry is damaged",
    "what lies before it is handled, the queue stops there and says so; no offset passes it"
  ),
  consuming("C-28", "a body cannot be unpacked", "that message is given back, the queue goes on"),
  consuming("C-29", "a value does not fit its schema", "a dead letter, or what the policy says; the others go on"),
  consuming("C-30", "a handler fails, dies, throws or interrupts itself", "the message is given back, once"),
  consuming(
    "C-31",
    "a handler never ends",
    "it is interrupted after consumeTimeout, its message is given back once, its place is free"
  ),
  consuming("C-32", "the process stands still for 40 s", "one heartbeat is made up for, and everything goes on"),
  consuming(
    "C-33",
    "a message cannot be given back",
    "it is kept and tried again, no offset passes it, the others go on; a next member gets it"
  ),
  consuming("C-34", "a message is taken back and the answer is lost", "one copy more at most, and it is counted"),
  consuming("C-35", "the broker of a message is gone for good", "a copy goes to the retry topic of another"),
  consuming("C-36", "sixteen redeliveries", "delays and dead letters as Java has them"),
  consuming(
    "C-37",
    "the dead letters cannot be written",
    "the message is kept and tried again, and that is a problem in the state"
  ),
  consuming(
    "C-38",
    "an offset that is written is refused, lost or slow",
    "it is kept, the newest one is written later, pulls carry it meanwhile"
  ),
  consuming(
    "C-39",
    "the commit timer and a hand-over at the same moment",
    "the old owner writes nothing after its last"
  ),
  consuming("C-40", "a crash between the end of a handler and the write of its offset", "that message once more"),
  consuming("C-41", "a crash right after it was found where to begin", "nothing that came since is passed over"),
  consuming(
    "C-42",
    "the group is reset while its members run: back, ahead, one queue, during a hand-over",
    "what is cached and what runs counts for nothing, reading goes on there, nothing old is written after it"
  ),
  consuming(
    "C-43",
    "the lock of a queue is refused, its answer is lost, or a dead member has it",
    "it is asked for again after 500 ms; after 60 s it is free"
  ),
  consuming(
    "C-44",
    "a lock expires while a handler runs",
    "its successors wait for a lock; what the handler did counts only when nobody else had it meanwhile"
  ),
  consuming(
    "C-45",
    "members that consume in order join, leave and die",
    "no message of a queue begins before the one before it has ended; what is given up is written and then unlocked"
  ),
  consuming(
    "C-46",
    "a message that is consumed in order never succeeds",
    "a dead letter after maxReconsumeTimes, and its successors follow"
  ),
  consuming(
    "C-47",
    "the scope closes: idle, with handlers, with stuck ones, without brokers, during the first round",
    "in bounded time; what ended counts, the rest comes once, no interruption is a failure"
  ),
  consuming(
    "C-48",
    "a second signal while handlers may still end",
    "the process ends at once, with exit code 130 or 143; what ran comes again"
  ),
  consuming(
    "C-49",
    "a stream is not read for an hour",
    "no pull beyond what is prefetched; its queues stay, and reading goes on"
  ),
  consuming(
    "C-50",
    "a delivery of a stream is never settled",
    "no offset passes it; it is given back after consumeTimeout, and is late from then on"
  ),
  consuming("C-51", "a stream ends in the middle", "what was not acknowledged comes again, the rest does not"),
  consuming(
    "C-52",
    "a delivery is settled twice, after its queue was lost, or after it was given back",
    "`already`, `revoked` or `late`; nothing is committed"
  ),
  consuming(
    "C-53",
    "a member of a broadcasting group cannot write its offsets, finds them damaged, or loses a broker for an hour",
    "a problem in the state while it goes on in memory; nothing is read from where nobody knows; it goes on where it was"
  ),
  consuming(
    "C-54",
    "two tags with one hash, and no tag",
    "only what was asked for is delivered, all of it counts as read"
  ),
  consuming(
    "C-55",
    "members of one group with different filters",
    "all of them say so once, name both and what each reads, and no longer when they agree"
  ),
  consuming(
    "C-57",
    "a lite pull consumer seeks during a pull, or loses a queue between pull and poll, for good or to regain it",
    "what was cached, and the answer under way, never come; nothing is committed but what earlier polls gave"
  ),
  consuming("C-58", "handlers stand still, bodies are large", "what is cached stays within the limits of all queues"),
  consuming("C-59", "a hundred starts and closes", "every message once, nothing is left"),
  consuming(
    "C-60",
    "a handler sends through the consumer's own client, at its limit",
    "no dead-lock: pulls, send-backs and offsets have places of their own"
  )
]

/** The rows that the title of a test names, in front of its first colon; none when it names something else. */
export const rowsOf = (title: string): ReadonlyArray<string> => {
  const match = /^((?:[NCBHLA]|C-)\d+(?:, (?:[NCBHLA]|C-)\d+)*): /.exec(title)
  return match?.[1] === undefined ? [] : match[1].split(", ")
}
