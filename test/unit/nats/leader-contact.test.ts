/** A leader is believed as long as it has heard from a majority lately enough. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { leaderSilenceMs, requireLeader } from '../../../src/nats/leader-contact.ts';
import type { StreamInfo } from '../../../src/nats/stream-api.ts';

/** `heardMs`: how long ago the leader has heard from each of the others; undefined: the server is not of a cluster. */
function infoOf(replicas: number, heardMs: readonly number[] | undefined): StreamInfo {
  const others = heardMs?.map((ms, index) => ({ name: `server-${index}`, active: ms * 1e6 }));
  return {
    config: { name: 'KV_demo', num_replicas: replicas, max_bytes: -1, max_age: 0 },
    created: '2026-01-01T00:00:00Z',
    state: { messages: 0, bytes: 0, first_seq: 0, last_seq: 0 },
    ...(others === undefined ? {} : { cluster: { leader: 'server-9', replicas: others } }),
  };
}

describe('the leader of a stream', () => {
  it('needs half of the others, the nearest ones', () => {
    assert.equal(leaderSilenceMs(infoOf(3, [40, 9_000])), 40);
    assert.equal(leaderSilenceMs(infoOf(3, [9_000, 5_000])), 5_000);
    assert.equal(leaderSilenceMs(infoOf(5, [9_000, 20, 700, 8_000])), 700);
    assert.equal(leaderSilenceMs(infoOf(5, [20])), Number.POSITIVE_INFINITY);
  });

  it('needs nobody for a stream of one replica, or outside of a cluster', () => {
    assert.equal(leaderSilenceMs(infoOf(1, [])), 0);
    assert.equal(leaderSilenceMs(infoOf(1, undefined)), 0);
    assert.equal(leaderSilenceMs(infoOf(3, undefined)), 0);
  });

  it('is no replica that has stepped down and knows of no other leader', () => {
    const { cluster, ...info } = infoOf(3, [0, 0, 1_030]);
    const { leader: _, ...leaderless } = cluster ?? {};
    assert.throws(() => requireLeader({ ...info, cluster: leaderless }), {
      code: 'log-unavailable',
      message: 'KV_demo: the server that answers knows of no leader',
    });
    requireLeader({ ...infoOf(1, undefined), cluster: leaderless });
  });

  it('is believed up to three seconds of silence, and then no more', () => {
    requireLeader(infoOf(3, [3_000, 60_000]));
    assert.throws(() => requireLeader(infoOf(3, [3_001, 60_000])), {
      code: 'log-unavailable',
      message: 'KV_demo: its leader server-9 has not heard from a majority of the replicas for 3001 ms',
    });
    assert.throws(() => requireLeader(infoOf(5, [1])), /of the replicas at all$/);
  });
});
