/**
 * Errors written into the core on purpose, each of which the simulation must find. Each is a text of one compiled file (below
 * `dist/src`), replaced by another; it must occur there exactly once, so that a mutation cannot go stale unseen.
 */

export interface Mutation {
  readonly name: string;
  /** What is broken, and what would follow. */
  readonly what: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** It must be found within so many seeds, from 1 on. */
  readonly seeds: number;
}

export const mutations: readonly Mutation[] = [
  {
    name: 'apply rule off by one',
    what: 'an event changes a key only above the next revision: of two writes in a row the second is ignored',
    file: 'store/entry-store.js',
    from: 'known === undefined || known.revision < revision',
    to: 'known === undefined || known.revision + 1 < revision',
    seeds: 50,
  },
  {
    name: 'follower skips a record',
    what: 'a new reader begins one too high, so a message that came meanwhile is never applied',
    file: 'log/follower.js',
    from: 'from: history.readFrom,',
    to: 'from: applied === 0 ? 1 : applied + 2,',
    seeds: 50,
  },
  {
    name: 'no floor rule',
    what: 'entries below the first message of the log are kept',
    file: 'store/entry-store.js',
    from: 'floor = first;',
    to: 'void first;',
    seeds: 100,
  },
  {
    name: 'no doubt after an absence',
    what: 'a hole in the positions counts as something that was replaced, though a TTL may have removed it while the copy was away',
    file: 'log/copy/doubt.js',
    from: 'freshness.isOlderThan(isCatchingUp ? leastTtlMs : 2 * limits.silenceMs)',
    to: 'freshness.isOlderThan(Infinity)',
    seeds: 300,
  },
  {
    name: 'no age of a doubt',
    what: 'a copy in doubt about what it holds says that it is young',
    file: 'log/copy/doubt.js',
    from: 'Math.min(freshness.provenAtMs, provenAtMs, ',
    to: 'Math.min(freshness.provenAtMs, ',
    seeds: 600,
  },
  {
    name: 'no look for a rollback',
    what: 'a log that was rolled back and has grown again is taken for the same',
    file: 'log/copy/history.js',
    from: 'const reason = await testimony.compare(log, known()?.first ?? 0, signal);',
    to: 'const reason = undefined;',
    seeds: 400,
  },
  {
    name: 'retry without message id',
    what: 'each attempt has an id of its own, so a lost acknowledgement stores the write twice',
    file: 'nats/wire/ready-command.js',
    from: 'return this.memory.subarray(this.headerAt, this.bodyAt);',
    to: "return Buffer.from(String(this.memory.subarray(this.headerAt, this.bodyAt)).replace(/(Nats-Msg-Id: .*)/, '$1-' + this.attempts));",
    seeds: 50,
  },
  {
    name: 'ids trusted after a restart',
    what: 'a server that was started anew is taken to know the ids of what it no longer has, so a write is stored twice',
    file: 'nats/publisher.js',
    from: 'const doubtful = window.checkAll(',
    to: 'const doubtful = [].filter(',
    seeds: 600,
  },
  {
    name: 'ready too early',
    what: 'a copy says that it is ready before it has the head that was read at its start',
    file: 'log/follower.js',
    from: 'if (!isReady && applied >= target)',
    to: 'if (!isReady)',
    seeds: 150,
  },
  {
    name: 'heartbeat taken for a proof of now',
    what: 'a heartbeat proves what was in the log when it arrived, not when its pull was sent: the lag is told too small',
    file: 'nats/reading/reader.js',
    from: 'return isReplicated ? Number.NEGATIVE_INFINITY : sentAtMs + (heartbeats - 1) * limits.heartbeatMs;',
    to: 'return isReplicated ? Number.NEGATIVE_INFINITY : clock.monotonic() + 0 * sentAtMs * heartbeats;',
    seeds: 100,
  },
  {
    name: 'heartbeat of a replica taken for a proof',
    what: 'a reader on a replica that is cut off from its leader proves that nothing is missing',
    file: 'nats/reading/reader.js',
    from: 'return isReplicated ? Number.NEGATIVE_INFINITY : sentAtMs',
    to: 'return sentAtMs',
    seeds: 900,
  },
  {
    name: 'basis ignored',
    what: 'a loaded value counts as new as its storing, so an invalidation during the load does not end it',
    file: 'store/entry.js',
    from: 'put.basis === undefined || put.basis > revision ? revision : put.basis',
    to: 'revision',
    seeds: 300,
  },
  {
    name: 'loads not fenced by the key',
    what: 'a value loaded before a put or delete is stored over it',
    file: 'library/loads.js',
    from: "if (state.position > basis || (state.entry !== undefined && state.position !== replaced))\n                return 'fenced';",
    to: '',
    seeds: 100,
  },
  {
    name: 'tag rule by clock',
    what: 'a tag ends what the log stored before this process heard of it, by the clock, not by position',
    file: 'store/entry-store.js',
    from: 'filter((entry) => entry.basis < position)',
    to: 'filter((entry) => entry.atMs < clock.now() - 5)',
    seeds: 50,
  },
  {
    name: 'clear forgotten',
    what: 'a clear ends what is there, and not what turns up later',
    file: 'store/invalidations.js',
    from: 'if (basis < clearedAt)\n                return true;',
    to: '',
    seeds: 50,
  },
  {
    name: 'compare-and-set on servers that cannot',
    what: 'old servers with replicas are trusted to compare, and let two writers win',
    file: 'nats/nats-log.js',
    from: "const isCompareAndSetSafe = () => !isReplicated() || isAtLeast(link.serverVersion, '2.9.21');",
    to: 'const isCompareAndSetSafe = () => true;',
    seeds: 100,
  },
  {
    name: 'left without expectation',
    what: 'members are put out again and again, since the log does not compare',
    file: 'node/peers/membership.js',
    from: 'encodeControlEvent(cluster, event), { expected: 0 }',
    to: 'encodeControlEvent(cluster, event), {}',
    seeds: 300,
  },
  {
    name: 'watch tells what was told',
    what: 'a watcher that changes over to the copy is told events again',
    file: 'service/watch-partition.js',
    from: 'else if (change.position <= told)\n            return;',
    to: '',
    seeds: 300,
  },
  {
    name: 'echo of a write told as conflict',
    what: 'a comparison that loses against an earlier attempt of the same write is reported as lost',
    file: 'nats/writing/pending-write.js',
    from: 'return { position, isDuplicate: true };\n        // Stored and overwritten',
    to: 'return conflictOf(pending, reason);\n        // Stored and overwritten',
    seeds: 900,
  },
  {
    name: 'forward without its demand',
    what: 'a node that asks another one does not pass on what the reader demands',
    file: 'node/peers/peers.js',
    from: 'const demands = { consistency, minPosition, maxStalenessMs };',
    to: 'const demands = {};',
    seeds: 400,
  },
  {
    name: 'own departure not read',
    what: 'a node that was put out goes on pulsing and never joins again',
    file: 'node/peers/membership.js',
    from: "if (member.status === 'left')",
    to: "if (member.status === 'never')",
    seeds: 50,
  },
  {
    name: 'latest without waiting',
    what: 'a read of the latest state asks the leader, and does not wait until the copy has got there',
    file: 'log/copy/copy-waits.js',
    from: 'head = Math.max(last, state().acknowledged);',
    to: 'head = 0;',
    seeds: 300,
  },
  {
    name: 'any replica is believed',
    what: 'a replica that has stepped down is taken for the leader, and what it lacks for lost',
    file: 'nats/leader-contact.js',
    from: 'if (config.num_replicas > 1 && cluster !== undefined && !cluster.leader)',
    to: 'if (false)',
    seeds: 900,
  },
];
