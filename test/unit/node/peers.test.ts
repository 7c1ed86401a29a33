/** Which owner is asked when, by nodes that are scripted and a clock that stands still. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodePeerRequest, encodePeerBody, encodePeerFailure } from '../../../src/cluster/peer-protocol.ts';
import { type ErrorCode, SluiceError } from '../../../src/errors.ts';
import type { PeersOptions } from '../../../src/node/peers/peers.ts';
import { createPeers } from '../../../src/node/peers/peers.ts';
import type { ReadOptions } from '../../../src/service/cache-service.ts';
import { createFakeClock, type FakeClock } from '../../../src/testing/fake-clock.ts';
import { refusalOf } from '../../support/refusals.ts';

interface Asked {
  readonly node: string;
  readonly atMs: number;
  readonly waitMs: number;
}

type Answer = Uint8Array | ErrorCode;
/** What a node says after how many ms; what it says later than the asker waits is lost. */
type Script = (waitMs: number, turn: number) => readonly [afterMs: number, Answer];

const has = (position: number): Uint8Array =>
  encodePeerBody(
    { position, found: { revision: position, atMs: 0, expiresAtMs: null, tags: [], contentType: 'text/plain' } },
    Buffer.from(`at ${position}`),
  );
const behind: Script = (waitMs) => [waitMs, 'stale'];
const silent: Script = () => [60_000, has(1)];

interface Scene {
  readonly clock: FakeClock;
  readonly asked: Asked[];
  read(options: ReadOptions): Promise<string | undefined>;
}

function scene(nodes: Readonly<Record<string, Script>>): Scene {
  const clock = createFakeClock();
  const startMs = clock.monotonic();
  const asked: Asked[] = [];
  const messenger = {
    async request(node: string, verb: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
      assert.equal(verb, 'get');
      const { waitMs = 0 } = decodePeerRequest('get', body);
      const turn = asked.filter((other) => other.node === node).length;
      asked.push({ node, atMs: clock.monotonic() - startMs, waitMs });
      const [afterMs, answer] = nodes[node]?.(waitMs, turn) ?? [0, 'not-owner' as const];
      await new Promise<void>((resolve) => clock.timer(Math.min(afterMs, timeoutMs), resolve));
      if (afterMs > timeoutMs) throw new SluiceError('log-unavailable', `${node} does not answer`);
      return typeof answer === 'string' ? encodePeerFailure(new SluiceError(answer, `${node}: ${answer}`), 1) : answer;
    },
  };
  const membership = {
    epoch: 1,
    audible: () => Object.keys(nodes).map((node) => ({ node, ready: { demo: '0' } })),
    standing: () => 'alive',
  };
  const { reader } = createPeers({
    session: { options: { clock }, control: { follower: { reached: () => Promise.resolve() } } },
    messenger,
    membership,
    waitMaxMs: 5_000,
    owners: () => Object.keys(nodes),
  } as unknown as PeersOptions);
  return {
    clock,
    asked,
    async read(options) {
      const answer = await reader('demo').get(0, 'k', options);
      return answer?.found === undefined ? undefined : Buffer.from(answer.found.value).toString('utf8');
    },
  };
}

describe('a read through other nodes', () => {
  it('is answered by the first owner', async () => {
    const { clock, asked, read } = scene({ a: () => [1, has(7)], b: () => [1, has(8)] });
    const reading = read({});
    await clock.advance(1);
    assert.equal(await reading, 'at 7');
    assert.deepEqual(asked, [{ node: 'a', atMs: 0, waitMs: 0 }]);
  });

  it('moves on from an owner that does not answer, and ends without an answer when nobody has one', async () => {
    const { clock, asked, read } = scene({ a: silent, b: () => [1, 'not-ready'] });
    const reading = read({});
    await clock.advance(1_000);
    assert.equal(await reading, undefined);
    assert.deepEqual(asked, [
      { node: 'a', atMs: 0, waitMs: 0 },
      { node: 'b', atMs: 500, waitMs: 0 },
    ]);
  });

  it('gives owners turns while its demand may wait: another may have what the first one lacks', async () => {
    const { clock, asked, read } = scene({ a: behind, b: () => [1, has(9)] });
    const reading = read({ minPosition: 9 });
    await clock.advance(600);
    assert.equal(await reading, 'at 9');
    assert.deepEqual(asked, [
      { node: 'a', atMs: 0, waitMs: 500 },
      { node: 'b', atMs: 500, waitMs: 500 },
    ]);
  });

  it('comes back to who was behind, and takes no longer than it may', async () => {
    const late: Script = (waitMs, turn) => (turn === 1 ? [100, has(9)] : [waitMs, 'stale']);
    const { clock, read } = scene({ a: late, b: behind });
    const reading = read({ minPosition: 9 });
    await clock.advance(1_100);
    assert.equal(await reading, 'at 9');

    const never = scene({ a: behind, b: behind });
    const refused = refusalOf('stale', never.read({ minPosition: 9, waitMs: 1_200 }));
    await never.clock.advance(1_200);
    await refused;
    assert.deepEqual(
      never.asked.map(({ node, waitMs }) => [node, waitMs]),
      [
        ['a', 500],
        ['b', 500],
        ['a', 200],
        ['b', 0],
      ],
    );
  });

  it('waits for the only owner as long as it may', async () => {
    const { clock, asked, read } = scene({ a: behind });
    const refused = refusalOf('stale', read({ consistency: 'latest' }));
    await clock.advance(5_000);
    await refused;
    assert.deepEqual(asked, [{ node: 'a', atMs: 0, waitMs: 5_000 }]);
  });

  it('asks nobody again who refuses without having waited', async () => {
    const { clock, asked, read } = scene({ a: () => [1, 'stale'], b: () => [1, 'stale'] });
    const refused = refusalOf('stale', read({ minPosition: 9 }));
    await clock.advance(10);
    await refused;
    assert.equal(asked.length, 2);
  });

  it('asks each owner once when it may not wait at all', async () => {
    const { clock, asked, read } = scene({ a: behind, b: () => [0, has(9)] });
    const reading = read({ minPosition: 9, waitMs: 0 });
    await clock.advance(10);
    assert.equal(await reading, 'at 9');
    assert.equal(asked.length, 2);
  });

  it('tells any other error as it is', async () => {
    const { clock, asked, read } = scene({ a: () => [1, 'bad-request'], b: () => [1, has(9)] });
    const refused = refusalOf('bad-request', read({}));
    await clock.advance(10);
    await refused;
    assert.equal(asked.length, 1);
  });
});
