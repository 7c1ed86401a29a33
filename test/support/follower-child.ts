/**
 * A process that follows one stream and tells its parent every few milliseconds what it claims, with the time of the
 * claim. The parent can stop it and let it go on, as a suspended machine does. Arguments: port, stream.
 */
import { systemClock } from '../../src/base/clock.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import { streamInfo } from '../../src/nats/stream-api.ts';
import { makeCopy } from '../contract/follower-contract.ts';
import { connectTo, publisherOf } from './log-harness.ts';

export interface Claim {
  /** Wall-clock time, which is the same in both processes. */
  readonly atMs: number;
  readonly applied: number;
  readonly lagMs: number;
  /** Records that came in order, without a gap. */
  readonly inOrder: boolean;
  readonly rebuilds: number;
}

const [port = '', stream = ''] = process.argv.slice(2);
const link = await connectTo(Number(port));
const info = await streamInfo(link, stream, 5_000);
if (info === undefined) throw new Error(`no stream ${stream}`);
const reader = { heartbeatMs: 100, pullMs: 1_000, inactiveMs: 1_000 };
const log = createNatsLog({ link, publisher: publisherOf(link), clock: systemClock, info, reader });
const copy = makeCopy({ log });
await copy.follower.start();
await copy.follower.ready({ waitMs: 10_000 });

function claim(): void {
  const { follower, positions } = copy;
  const atMs = Date.now();
  process.send?.({
    atMs,
    applied: follower.applied,
    lagMs: follower.lagMs(),
    inOrder: positions.every((position, index) => position === index + 1),
    rebuilds: follower.counters.rebuilds,
  } satisfies Claim);
}

const timer = setInterval(claim, 5);
process.once('disconnect', () => process.exit());
process.once('message', async () => {
  clearInterval(timer);
  await copy.follower.stop();
  await link.close();
  process.disconnect?.();
});
