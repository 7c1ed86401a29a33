/** Everything that a stream holds, read by a reader of its own: what the tests of writing compare their promises with. */
import type { Position } from '../../src/events/record.ts';
import type { Log } from '../../src/log/log.ts';
import { waitUntil } from './wait-until.ts';

export interface Stored {
  readonly position: Position;
  readonly subject: string;
  readonly body: string;
}

export async function readStored(log: Log): Promise<Stored[]> {
  const { last } = await waitUntil('the bounds of the log', () => log.bounds().catch(() => undefined), 30_000);
  const stored: Stored[] = [];
  let through = 0;
  const reader = await waitUntil(
    'a reader',
    () =>
      log
        .open(1, {
          record({ position, subject, data }) {
            stored.push({ position, subject, body: Buffer.from(data).toString() });
            through = position;
          },
          idle: (_, idleThrough) => {
            through = Math.max(through, idleThrough);
          },
          alive: () => undefined,
          ended: (reason) => {
            throw new Error(reason);
          },
        })
        .catch(() => undefined),
    30_000,
  );
  await waitUntil('all messages', () => through >= last, 30_000);
  await reader.close();
  return stored;
}
