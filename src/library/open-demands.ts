/**
 * What `open` demands of a cache that exists already, and cannot have: it is refused, so that nobody works on a cache that is
 * not the one he asked for. What may change is the declaration's; in `open` it is a wish for a new cache only.
 */
import type { CacheHost, MemoryLimits } from '../cluster/cache-host.ts';
import { SluiceError } from '../errors.ts';
import type { CacheDeclaration } from '../events/control.ts';
import { fixedSettings, settingsConflict } from '../state/caches.ts';

/** Throws `settings-conflict` for a setting in `demands` that cannot change; `wanted` is their parsed form. */
export function requireFixed(
  cache: string,
  existing: CacheDeclaration,
  wanted: CacheDeclaration | undefined,
  demands: Readonly<Record<string, unknown>>,
): void {
  for (const field of fixedSettings) {
    if (wanted === undefined || demands[field] === undefined || wanted[field] === existing[field]) continue;
    throw settingsConflict(cache, { field, existing: existing[field], wanted: wanted[field] });
  }
}

/** A process has one copy of a cache, with the limits of who opened it first. Throws `settings-conflict`. */
export function requireLimits(host: CacheHost, inForce: MemoryLimits, wanted: MemoryLimits): void {
  for (const field of ['entriesMax', 'bytesMax'] as const) {
    const existing = inForce[field] ?? host.settings[field];
    const value = wanted[field];
    if (value === undefined || value === existing) continue;
    throw new SluiceError(
      'settings-conflict',
      `${field}: is ${existing} in this process's copy of ${host.name} and cannot become ${value}`,
      { details: { cache: host.name, field, existing, wanted: value } },
    );
  }
}
