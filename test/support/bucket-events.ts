/**
 * Events of a partition for property tests, and what is true after them by definition: said in the simplest way, from the
 * whole history at once, so that it shares nothing with the code that applies events one by one.
 */
import fc from 'fast-check';

export type HistoryEvent =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly tags: readonly string[];
      /** undefined: not loaded from a source. */
      readonly basis: number | undefined;
    }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'clear' }
  | { readonly type: 'tag'; readonly tag: string };

export type Placed = HistoryEvent & { readonly position: number };

export const someKeys = ['a', 'b', 'c', 'd'] as const;
export const someTags = ['red', 'blue'] as const;

const keys = fc.constantFrom(...someKeys);

/** A whole log: the event at index 0 stands at position 1. */
export const histories: fc.Arbitrary<Placed[]> = fc
  .array(
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          type: fc.constant('put' as const),
          key: keys,
          tags: fc.subarray([...someTags]),
          /** How many positions its basis is behind; 0: not loaded. */
          behind: fc.constantFrom(0, 0, 1, 2, 3, 5, 8),
        }),
      },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), key: keys }) },
      { weight: 1, arbitrary: fc.constant({ type: 'clear' as const }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('tag' as const), tag: fc.constantFrom(...someTags) }) },
    ),
    { maxLength: 40 },
  )
  .map((events) =>
    events.map((event, index): Placed => {
      const position = index + 1;
      if (event.type !== 'put') return { ...event, position };
      const { type, key, tags, behind } = event;
      return { type, key, tags, basis: behind === 0 ? undefined : Math.max(0, position - behind), position };
    }),
  );

/** What overwrites what: the log keeps the last event of each. */
export function subjectOf(event: HistoryEvent): string {
  if (event.type === 'clear') return 'clear';
  return event.type === 'tag' ? `tag ${event.tag}` : `key ${event.key}`;
}

/** Key → revision of each valid entry after all of the history. */
export function contentAfter(history: readonly Placed[]): Record<string, number> {
  const content: Record<string, number> = {};
  for (const key of someKeys) {
    const last = history.findLast((event) => 'key' in event && event.key === key);
    if (last?.type !== 'put') continue;
    const basis = last.basis ?? last.position;
    const isVoid = history.some(
      (other) =>
        other.position > basis && (other.type === 'clear' || (other.type === 'tag' && last.tags.includes(other.tag))),
    );
    if (!isVoid) content[key] = last.position;
  }
  return content;
}
