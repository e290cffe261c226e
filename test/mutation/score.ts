/** What docs/reliability.md says of mistakes on purpose: the outcome of a run of `npm run mutate` that somebody has read. */
export const mistakes = `\`npm run mutate -- <files or folders of src>\` puts small mistakes into the client, one at a time in a copy of it: a condition
that is always true or false, a boundary off by one, another operator, a statement or the options of a call left out, a
number or a boolean changed. After each it runs the tests that concern the file: the one of its name, those that
[architecture.md](architecture.md) names for it, and those that import it. A mistake that none of them finds is a hole, or
changes nothing that can be seen.

So far a small sample has been tried, 16 of the 1,195 mistakes that can be made there:

\`\`\`sh
npm run mutate -- --sample 16 --seed 1 src/consumer/queue src/consumer/offset src/consumer/rebalance src/producer/queue \\
  src/transport/FrameWriter.ts src/transport/ResponseTable.ts src/transport/Deadline.ts
\`\`\`

9 of 16 were found at first. Four more are since: whether a message is done, which is the next to be finished
(\`queue/Position.ts\`); a queue that is handed out again and has nothing waiting (\`queue/ReadyList.ts\`); a lock that was given
back before its renewal was answered (\`queue/QueueLocks.ts\`); the oldest request where the next number falls on its place
(\`transport/ResponseTable.ts\`). The others change nothing that can be seen:

- \`queue/Position.ts\`, \`slot < this.tail\` as \`<=\`: the slot behind the last one is never marked done.
- \`queue/QueueLocks.ts\`, \`if (isGranted) gained(queue)\` always: a queue without its lock is looked at once more, and waits on.
- \`queue/QueueLocks.ts\`, \`onlyIfMissing\` false: a renewal ends by its own time limit before the next one is looked for.

This says something of these folders and little of the rest of the client.`
