/** One entry of a cache in memory: what the rest of the house sees of it, and how the store holds it. */
import { noSlab, type Slab, sharedValueBytesMax, type Tenant, valueBytesOf } from './value-slabs.ts';

/** Place of an event in the partition's log. */
export type Position = number;

export interface Entry {
  /** Position of the event that set it. */
  readonly revision: Position;
  /** The value as the process's own codec sees it, decoded once per revision; undefined: not yet. */
  decoded: unknown;
  /** A view of the store's own memory, which holds other values beside it. It stays what it is when the entry is replaced. */
  readonly value: Uint8Array;
  readonly key: string;
  /** Position up to which its writer had seen the log; the revision itself unless it was loaded from a source. */
  readonly basis: Position;
  /** ms since 1970 UTC; Infinity: never. */
  readonly expiresAtMs: number;
  /** When the log stored it. */
  readonly atMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  /** A loaded value that is in this process alone and not in the log; its revision is its basis. */
  readonly isLocal: boolean;
  /** What it counts for against `bytesMax`. */
  readonly bytes: number;
}

/** What a put brings. */
export interface EntryPut {
  readonly key: string;
  readonly value: Uint8Array;
  readonly expiresAtMs: number;
  readonly tags: readonly string[] | undefined;
  readonly contentType: string | undefined;
  readonly basis: Position | undefined;
}

/**
 * What an entry costs beside its key and value: the entry object, its places in lru-cache and in the slab, the head of the key,
 * and what tables that double leave unused. Measured by `npm run bench -- --only memory`; see docs/performance.md.
 */
export const entryOverheadBytes = 400;

/** What a value that is too large for a slab costs beside that: a buffer of its own, as the engine and the system keep it. */
export const ownBufferBytes = 250;

/** What a tag costs beside its text: its place in the index of tags, which is largest when no other entry carries it. */
export const tagOverheadBytes = 200;

/** Bytes of an entry as counted against the limit. Texts count two bytes a character, as the engine may store them. */
export function entryBytes(key: string, valueBytes: number, tags?: readonly string[]): number {
  let bytes = valueBytes + 2 * key.length + entryOverheadBytes;
  if (valueBytes > sharedValueBytesMax) bytes += ownBufferBytes;
  if (tags !== undefined) for (const tag of tags) bytes += 2 * tag.length + tagOverheadBytes;
  return bytes;
}

/** A basis above the event itself is nobody's knowledge of the log; it must not make a value immune to invalidations. */
export const basisOf = (put: EntryPut, revision: Position): Position =>
  put.basis === undefined || put.basis > revision ? revision : put.basis;

/** What most entries have in common, so they share it. */
type Traits = Pick<Entry, 'tags' | 'contentType' | 'isLocal'>;

const plainTraits: Traits = { tags: undefined, contentType: undefined, isLocal: false };
/** Those of entries that have a content type and nothing else. */
const traitsByType = new Map<string, Traits>();
const traitsByTypeMax = 1_000;

function traitsOf({ tags, contentType }: EntryPut, isLocal: boolean): Traits {
  if (tags !== undefined || isLocal) return { tags, contentType, isLocal };
  if (contentType === undefined) return plainTraits;
  let traits = traitsByType.get(contentType);
  if (traits === undefined) {
    traits = { tags, contentType, isLocal };
    if (traitsByType.size >= traitsByTypeMax) traitsByType.clear();
    traitsByType.set(contentType, traits);
  }
  return traits;
}

/** The entry as the store holds it. A replay makes millions, and each field is copied twice before it comes to rest. */
export class HeldEntry implements Entry, Tenant {
  // Declared, not initialised: the constructor sets them in this order. The first ones share a cache line with the object's
  // head, and are all that a hit reads.
  /** `expiresAtMs` in whole units of 1.024 s since the store was made, rounded down: a small integer for a quick check. */
  declare expiresCoarse: number;
  declare readonly revision: Position;
  declare decoded: unknown;
  declare readonly key: string;
  declare slab: Slab;
  declare offset: number;
  declare readonly length: number;
  declare readonly basis: Position;
  /** undefined: never. A date is an object of its own, which most entries do without. */
  declare endsAtMs: number | undefined;
  declare atMs: number;
  declare readonly traits: Traits;

  /** Its value has no place yet. */
  constructor(put: EntryPut, revision: Position, atMs: number, expiresCoarse: number, isLocal: boolean) {
    this.expiresCoarse = expiresCoarse;
    this.revision = revision;
    this.decoded = undefined;
    this.key = put.key;
    this.slab = noSlab;
    this.offset = 0;
    this.length = put.value.length;
    this.basis = basisOf(put, revision);
    this.endsAtMs = endOf(put);
    this.atMs = atMs;
    this.traits = traitsOf(put, isLocal);
  }

  get expiresAtMs(): number {
    return this.endsAtMs ?? Number.POSITIVE_INFINITY;
  }

  get tags(): readonly string[] | undefined {
    return this.traits.tags;
  }

  get contentType(): string | undefined {
    return this.traits.contentType;
  }

  get isLocal(): boolean {
    return this.traits.isLocal;
  }

  get value(): Uint8Array {
    return valueBytesOf(this);
  }

  get bytes(): number {
    return entryBytes(this.key, this.length, this.tags);
  }
}

/** When it ends; undefined: never. */
export const endOf = ({ expiresAtMs }: EntryPut): number | undefined =>
  expiresAtMs === Number.POSITIVE_INFINITY ? undefined : expiresAtMs;

/** True when the put says what is held already. */
export function isSameEvent(known: HeldEntry, put: EntryPut): boolean {
  return (
    known.length === put.value.length &&
    known.basis === basisOf(put, known.revision) &&
    known.contentType === put.contentType &&
    (known.tags === put.tags || (known.tags ?? []).join() === (put.tags ?? []).join()) &&
    Buffer.compare(known.value, put.value) === 0
  );
}
