/** What a watcher is told. */
import type { Position } from '../events/record.ts';

export type WatchEvent =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly position: Position;
      readonly value: Uint8Array;
      readonly contentType: string | undefined;
      readonly tags: readonly string[] | undefined;
      readonly expiresAtMs: number;
    }
  /** Also a put whose value was void on arrival. */
  | { readonly type: 'delete'; readonly key: string; readonly position: Position }
  | { readonly type: 'clear'; readonly position: Position }
  | { readonly type: 'tag'; readonly tag: string; readonly position: Position }
  /** What the watcher knows of this partition is void: list the keys, then go on from `position`. */
  | { readonly type: 'reset'; readonly position: Position; readonly reason: string };
