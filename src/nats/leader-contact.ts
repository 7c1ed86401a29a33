/**
 * Whether who answers for a stream is its leader, and can still be. A question about a stream is answered by its leader, who asks no
 * other replica; one that was cut off, or stood still, tells of the past until it learns of its successor. But it says when it
 * has last heard from each of the others, which it does every second. They elect a successor 4 s after they last heard from a leader,
 * at the earliest (`minElectionTimeout` in raft.go of nats-server), so an answer is good as long as a majority was heard less long ago.
 *
 * A replica that has stepped down and knows of no leader answers, too, for seconds, and names no leader: what it tells is the past.
 *
 * What remains: a third server, cut off from the leader alone, can be elected by one that still hears it. Then up to a second passes
 * until the old leader is told.
 */
import { SluiceError } from '../errors.ts';
import type { StreamInfo } from './stream-api.ts';

/** Less than the 4 s of an election, more than a few of the heartbeats that come each second. */
const silenceMaxMs = 3_000;

/** ms since the leader has last heard from so many others that they are a majority with it; 0 where it needs none. */
export function leaderSilenceMs({ config, cluster }: StreamInfo): number {
  const needed = Math.floor(config.num_replicas / 2);
  const heardMs = (cluster?.replicas ?? []).map(({ active = 0 }) => active / 1e6).sort((a, b) => a - b);
  // A server outside of a cluster names no replicas, whatever the stream asks for.
  return needed === 0 || heardMs.length === 0 ? 0 : (heardMs[needed - 1] ?? Number.POSITIVE_INFINITY);
}

/** Throws `log-unavailable` when the answer may be one of the past. */
export function requireLeader(info: StreamInfo): void {
  const { config, cluster } = info;
  if (config.num_replicas > 1 && cluster !== undefined && !cluster.leader)
    throw new SluiceError('log-unavailable', `${config.name}: the server that answers knows of no leader`);
  const silenceMs = leaderSilenceMs(info);
  if (silenceMs <= silenceMaxMs) return;
  const since = Number.isFinite(silenceMs) ? `for ${Math.round(silenceMs)} ms` : 'at all';
  throw new SluiceError(
    'log-unavailable',
    `${config.name}: its leader ${cluster?.leader} has not heard from a majority of the replicas ${since}`,
  );
}
