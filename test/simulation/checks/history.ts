/**
 * The truth: everything that the simulated logs ever stored, with the moments at which it came, was taken away, or became
 * void with the whole history. It is told by the server's side and reads messages by rules of its own, a dozen lines, so that
 * an error in the shipped code cannot hide behind itself.
 */
import type { Removal, Stored, StreamWitness } from '../jetstream/stream.ts';

export interface Event {
  readonly stream: string;
  readonly position: number;
  /** Virtual time. */
  readonly atMs: number;
  readonly kind: 'put' | 'delete' | 'clear' | 'tag' | 'other';
  readonly subject: string;
  /** Of a put or delete. */
  readonly key: string | undefined;
  /** Of a tag invalidation. */
  readonly tag: string | undefined;
  readonly value: string | undefined;
  readonly basis: number;
  readonly tags: readonly string[];
  /** Wall time; Infinity: never. */
  readonly expiresAtMs: number;
  readonly origin: string | undefined;
  /** The history that it belongs to was given up at this moment. */
  voidAtMs: number;
  /** No longer in the log, although nothing replaced it. */
  gone: Removal | undefined;
}

export interface Reset {
  readonly atMs: number;
  readonly last: number;
  readonly why: 'recreated' | 'rolled-back';
}

export interface History extends StreamWitness {
  readonly events: (stream: string) => readonly Event[];
  readonly resets: (stream: string) => readonly Reset[];
  /** All puts of a value, in the order of storing. */
  putsOf(value: string): readonly Event[];
  /** The event that stands at a position at a moment, if any. */
  at(stream: string, position: number, atMs: number): Event | undefined;
  /** Events that may end a value of the key: those of the key, and all clears and tags. */
  touching(stream: string, key: string): readonly Event[];
  /** True when the history was given up after the moment. */
  wasResetSince(stream: string, atMs: number): boolean;
}

const fieldsOf = (header: Uint8Array | undefined): Map<string, string> => {
  const lines = header === undefined ? [] : Buffer.from(header).toString('utf8').split('\r\n').slice(1);
  return new Map(
    lines.flatMap((line) => {
      const colon = line.indexOf(': ');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 2)] as const];
    }),
  );
};

export function createHistory(nowMs: () => number, onEvent: (line: string) => void): History {
  const byStream = new Map<string, Event[]>();
  const byKey = new Map<string, Event[]>();
  const byMessage = new WeakMap<Stored, Event>();
  const byValue = new Map<string, Event[]>();
  const resets = new Map<string, Reset[]>();

  const listOf = <Item>(lists: Map<string, Item[]>, name: string): Item[] => {
    const known = lists.get(name);
    if (known !== undefined) return known;
    const list: Item[] = [];
    lists.set(name, list);
    return list;
  };

  function eventOf(stream: string, message: Stored): Event {
    const { position, subject, header, data } = message;
    const fields = fieldsOf(header);
    const parts = subject.split('.');
    const isKey = parts[0] === '$KV';
    const isDelete = fields.has('KV-Operation') || fields.has('Nats-Marker-Reason');
    const isBucket = parts[1] === 'bucket';
    return {
      stream,
      position,
      atMs: nowMs(),
      kind: isKey
        ? isDelete
          ? 'delete'
          : 'put'
        : isBucket && parts[3] === 'clear'
          ? 'clear'
          : isBucket
            ? 'tag'
            : 'other',
      subject,
      key: isKey ? parts.slice(2).join('.') : undefined,
      tag: isBucket && parts[3] === 'tag' ? parts[4] : undefined,
      value: isKey && !isDelete ? Buffer.from(data).toString('utf8') : undefined,
      // One above the message is of another history, and says nothing about this one.
      basis: Math.min(position, Number(fields.get('Sluice-Basis') ?? position)),
      tags: fields.get('Sluice-Tags')?.split(',') ?? [],
      expiresAtMs: Number(fields.get('Sluice-Expires') ?? Number.POSITIVE_INFINITY),
      origin: fields.get('Sluice-Origin'),
      voidAtMs: Number.POSITIVE_INFINITY,
      gone: undefined,
    };
  }

  return {
    stored(stream, message) {
      const event = eventOf(stream, message);
      byMessage.set(message, event);
      listOf(byStream, stream).push(event);
      if (event.key !== undefined) listOf(byKey, `${stream} ${event.key}`).push(event);
      if (event.kind === 'clear' || event.kind === 'tag') listOf(byKey, stream).push(event);
      if (event.value !== undefined) listOf(byValue, event.value).push(event);
      onEvent(`${stream} ${message.position} ${event.subject} ${event.value ?? event.kind}`);
    },
    removed(stream, message, why) {
      const event = byMessage.get(message);
      if (event !== undefined && why !== 'superseded') event.gone = why;
      if (why !== 'superseded') onEvent(`${stream} ${message.position} ${why}`);
    },
    reset(stream, last, why) {
      const atMs = nowMs();
      for (const event of listOf(byStream, stream))
        if (event.position > last && event.voidAtMs > atMs) event.voidAtMs = atMs;
      listOf(resets, stream).push({ atMs, last, why });
      onEvent(`${stream} ${why} to ${last}`);
    },
    events: (stream) => byStream.get(stream) ?? [],
    resets: (stream) => resets.get(stream) ?? [],
    putsOf: (value) => byValue.get(value) ?? [],
    at: (stream, position, atMs) =>
      byStream.get(stream)?.find((event) => event.position === position && event.atMs <= atMs && event.voidAtMs > atMs),
    touching: (stream, key) => [...(byKey.get(`${stream} ${key}`) ?? []), ...(byKey.get(stream) ?? [])],
    wasResetSince: (stream, atMs) => (resets.get(stream) ?? []).some((reset) => reset.atMs > atMs),
  };
}

/** True when the event ends the put, both of one history. */
export function ends(event: Event, put: Event): boolean {
  if (event === put) return false;
  if (event.key !== undefined) return event.key === put.key && event.position > put.position;
  if (event.kind === 'clear') return event.position > put.basis;
  return event.tag !== undefined && put.tags.includes(event.tag) && event.position > put.basis;
}

/**
 * A copy remembers no tag of an invalidation that the log has dropped, only where it stood: it takes every value with tags that was
 * loaded before for void, and the value is loaded again.
 */
export const mayCountAsVoid = (put: Event, touching: readonly Event[]): boolean =>
  put.tags.length > 0 &&
  touching.some(({ kind, gone, position }) => kind === 'tag' && gone !== undefined && position > put.basis);

export const isIn = (event: Event, atMs: number): boolean => event.atMs <= atMs && event.voidAtMs > atMs;
