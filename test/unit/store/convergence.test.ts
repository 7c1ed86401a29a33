/** G2 and G7 for the store alone: what is valid in the end depends on what was in the log, not on how it arrived. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createEntryStore, type EntryStore } from '../../../src/store/entry-store.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { contentAfter, histories, type Placed, subjectOf } from '../../support/bucket-events.ts';
import { putOf } from '../../support/entries.ts';

function apply(store: EntryStore, event: Placed): void {
  const { position } = event;
  if (event.type === 'put') {
    const tags = event.tags.length === 0 ? undefined : event.tags;
    store.put(putOf(event.key, `at ${position}`, { tags, basis: event.basis }), position, 0);
  } else if (event.type === 'delete') {
    store.remove(event.key, position);
  } else if (event.type === 'clear') {
    store.clear(position);
  } else {
    store.invalidateTag(event.tag, position);
  }
}

function contentOf(history: readonly Placed[]): Record<string, number> {
  const store = createEntryStore(createFakeClock(), { entriesMax: 1_000, bytesMax: 1_000_000 });
  for (const event of history) apply(store, event);
  return Object.fromEntries([...store.entries()].map((entry) => [entry.key, entry.revision]));
}

/** Leaves out events that a later one of the same subject has replaced, as the log does sooner or later. */
function compact(history: readonly Placed[], drop: readonly boolean[]): Placed[] {
  return history.filter((event, index) => {
    const isReplaced = history.slice(index + 1).some((later) => subjectOf(later) === subjectOf(event));
    return !(isReplaced && drop[index % drop.length]);
  });
}

/** Any order in which each subject's own events stay in theirs. */
function merge(history: readonly Placed[], picks: readonly number[]): Placed[] {
  const bySubject = new Map<string, Placed[]>();
  for (const event of history) bySubject.set(subjectOf(event), [...(bySubject.get(subjectOf(event)) ?? []), event]);
  const queues = [...bySubject.values()];
  const merged: Placed[] = [];
  for (let turn = 0; merged.length < history.length; turn += 1) {
    const waiting = queues.filter((queue) => queue.length > 0);
    const next = waiting[(picks[turn % picks.length] ?? 0) % waiting.length]?.shift();
    if (next !== undefined) merged.push(next);
  }
  return merged;
}

const drops = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
const picks = fc.array(fc.nat(20), { minLength: 1, maxLength: 40 });

describe('the content of a store', () => {
  it('is by definition what the whole log says, when that is applied in order', () => {
    fc.assert(fc.property(histories, (history) => assert.deepEqual(contentOf(history), contentAfter(history))));
  });

  it('is the same from a log that has dropped replaced events', () => {
    fc.assert(
      fc.property(histories, drops, (history, drop) =>
        assert.deepEqual(contentOf(compact(history, drop)), contentAfter(history)),
      ),
    );
  });

  it('is the same when clears, tags and other keys arrive in any order', () => {
    fc.assert(
      fc.property(histories, drops, picks, (history, drop, picked) =>
        assert.deepEqual(contentOf(merge(compact(history, drop), picked)), contentAfter(history)),
      ),
      { numRuns: 400 },
    );
  });

  it('is the same when some events are told twice', () => {
    fc.assert(
      fc.property(histories, fc.nat(40), (history, again) => {
        const told = [...history, ...history.slice(history.length - Math.min(again, history.length))];
        const last = new Map(history.map((event) => [subjectOf(event), event.position]));
        // The log never tells an event of a subject again after a later one of the same subject.
        const possible = told.filter(
          (event, index) => index < history.length || last.get(subjectOf(event)) === event.position,
        );
        assert.deepEqual(contentOf(possible), contentAfter(history));
      }),
    );
  });
});
