/**
 * What a store takes: memory in use after it was filled in part and after it was filled, as replay fills it, from messages in
 * receive buffers of 64 KiB, each time after the garbage was collected.
 */

import { systemClock } from '../../src/base/clock.ts';
import { type BucketContext, decodeBucketRecord } from '../../src/events/entry.ts';
import { encodeHeader, formatField, headerNames } from '../../src/events/header.ts';
import { LogRecord } from '../../src/events/record.ts';
import { bucketSubjects } from '../../src/events/subjects.ts';
import { createEntryStore, type EntryStore, entryBytes } from '../../src/store/entry-store.ts';
import { spreadOf } from '../rounds.ts';
import type { CreateSide, Figures } from '../side.ts';

export interface MemorySetup {
  readonly entries: number;
  readonly valueBytes: number;
  /** After the filling, in ten parts; 0: none. */
  readonly overwrites: number;
}

const frameBytes = 64 * 1_024;
const context: BucketContext = {
  subjects: bucketSubjects('sluice', 'bench'),
  log: { maxAgeMs: Number.POSITIVE_INFINITY },
};
const header = encodeHeader(
  formatField(headerNames.origin, 'client-12345678') + formatField(headerNames.type, 'application/octet-stream'),
);

const keyOf = (index: number): string => `tenant/${String(index).padStart(8, '0')}/profile`;

export const createSide: CreateSide<MemorySetup> = async ({ entries, valueBytes, overwrites }) => {
  let frame = Buffer.alloc(0);
  let position = 0;

  /** Applies a message as it comes from the network: a slice of a buffer that holds others too. */
  function apply(into: EntryStore, index: number): void {
    const payloadBytes = header.length + valueBytes;
    if (frame.length < payloadBytes) frame = Buffer.alloc(Math.max(frameBytes, payloadBytes), position % 251);
    const payload = frame.subarray(0, payloadBytes);
    payload.set(header);
    frame = frame.subarray(payload.length);
    position += 1;
    const subject = Buffer.from(context.subjects.keyPrefix + keyOf(index));
    const atMs = 1_700_000_000_000 + position;
    const event = decodeBucketRecord(context, new LogRecord(position, atMs, subject, payload, header.length));
    if (event.type !== 'entry.put') throw new Error(event.type);
    into.put(event, position, atMs);
  }

  async function overwriteAll(into: EntryStore): Promise<Figures> {
    const after: number[] = [];
    let seed = 1;
    for (let part = 0; part < 10; part += 1) {
      for (let count = 0; count < overwrites / 10; count += 1) {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        apply(into, Math.floor((seed / 2 ** 32) * entries));
      }
      after.push((await memoryInUse()).resident);
    }
    // What the system has given moves up and down by some percent; a leak would show in the middle of the last three all the same.
    return { first: spreadOf(after.slice(0, 3)).median, last: spreadOf(after.slice(-3)).median };
  }

  return {
    async round() {
      const store = createEntryStore(systemClock, { entriesMax: 2 * entries, bytesMax: Number.MAX_SAFE_INTEGER });
      // What the process takes in any case has been taken after the first part.
      const first = Math.ceil(entries / 5);
      for (let index = 0; index < first; index += 1) apply(store, index);
      const before = await memoryInUse();
      for (let index = first; index < entries; index += 1) apply(store, index);
      const after = await memoryInUse();
      if (store.size !== entries) throw new Error(`${store.size} of ${entries} entries are there`);
      const key = keyOf(0);
      const own = valueBytes + key.length;
      return {
        resident: (after.resident - before.resident) / (entries - first) - own,
        heap: (after.heap - before.heap) / (entries - first) - own,
        counted: entryBytes(key, valueBytes) - own,
        ...(overwrites > 0 ? await overwriteAll(store) : {}),
      };
    },
    stop: async () => undefined,
  };
};

/** `heap`: what the engine knows of, buffers outside its heap included. `resident`: what the system has given. */
async function memoryInUse(): Promise<{ heap: number; resident: number }> {
  if (gc === undefined) throw new Error('needs --expose-gc');
  // Buffers are given back by finalizers and helper threads a little after the collection.
  for (let turn = 0; turn < 4; turn += 1) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, resident: rss };
}
