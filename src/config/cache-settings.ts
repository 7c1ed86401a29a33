/**
 * The declaration of a cache, as the HTTP door, the library and the commands take it: checked completely, completed with
 * the defaults, with units in the names. Rules of single settings are those of the schema's section `cacheDefaults`.
 */
import { z } from 'zod';
import { SluiceError } from '../errors.ts';
import { type Problem, problemError, showValue, unknownNameRule } from './problems.ts';
import { type CacheSettings, cacheTree } from './schema.ts';
import type { Form } from './setting.ts';
import { validateCacheRelations } from './validate.ts';

const cacheNamePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
export const cacheNameRule = 'must be 1 to 64 letters, digits, - or _, beginning with a letter or digit';

/** What a declaration may give; each may be left out. */
const patchSchema = z
  .strictObject({
    partitions: cacheTree.partitions.schema.optional(),
    replicas: cacheTree.replicas.schema.optional(),
    logReplicas: cacheTree.logReplicas.schema.optional(),
    entriesMax: cacheTree.entriesMax.schema.optional(),
    bytesMax: cacheTree.bytesMax.schema.optional(),
    ttl: cacheTree.ttl.schema.optional(),
    valueBytesMax: cacheTree.valueBytesMax.schema.optional(),
    logBytesMax: cacheTree.logBytesMax.schema.optional(),
    whenFull: cacheTree.whenFull.schema.optional(),
  })
  .transform(({ ttl, ...patch }) => ({ ...patch, ttlMs: ttl }));

type CachePatch = z.output<typeof patchSchema>;

/** The defaults of the schema, for who has no settings of their own. */
export const builtInCacheSettings: CacheSettings = Object.freeze({
  partitions: cacheTree.partitions.initial,
  replicas: cacheTree.replicas.initial,
  logReplicas: cacheTree.logReplicas.initial,
  entriesMax: cacheTree.entriesMax.initial,
  bytesMax: cacheTree.bytesMax.initial,
  ttlMs: cacheTree.ttl.initial,
  valueBytesMax: cacheTree.valueBytesMax.initial,
  logBytesMax: cacheTree.logBytesMax.initial,
  whenFull: cacheTree.whenFull.initial,
});

/** A declaration completed with the built-in defaults. Relations between the settings are not checked here. */
export const cacheSettingsSchema: z.ZodType<CacheSettings> = patchSchema.transform((patch) =>
  complete(patch, builtInCacheSettings),
);

/**
 * The settings of a cache from a declaration: durations and sizes as texts with units or as numbers, `null` or "none" for
 * none, what is left out from `defaults`. Throws bad-request with every problem.
 */
export function parseCacheSettings(input: unknown, defaults: CacheSettings): CacheSettings {
  const parsed = patchSchema.safeParse(input);
  if (!parsed.success) throw problemError('bad-request', 'cache settings', listProblems(parsed.error, input));
  const settings = complete(parsed.data, defaults);
  const broken = validateCacheRelations(settings);
  if (broken.length > 0) throw problemError('bad-request', 'cache settings', broken);
  return settings;
}

/** The name itself. Throws bad-request. */
export function validateCacheName(name: unknown): string {
  if (typeof name === 'string' && cacheNamePattern.test(name)) return name;
  const value = showValue(name);
  throw new SluiceError('bad-request', `cache name: ${value}: ${cacheNameRule}`, {
    details: { field: 'cache', value, rule: cacheNameRule },
  });
}

function complete(patch: CachePatch, defaults: CacheSettings): CacheSettings {
  return Object.freeze({
    partitions: patch.partitions ?? defaults.partitions,
    replicas: patch.replicas ?? defaults.replicas,
    logReplicas: patch.logReplicas ?? defaults.logReplicas,
    entriesMax: patch.entriesMax ?? defaults.entriesMax,
    bytesMax: patch.bytesMax ?? defaults.bytesMax,
    ttlMs: patch.ttlMs === undefined ? defaults.ttlMs : patch.ttlMs,
    valueBytesMax: patch.valueBytesMax ?? defaults.valueBytesMax,
    logBytesMax: patch.logBytesMax === undefined ? defaults.logBytesMax : patch.logBytesMax,
    whenFull: patch.whenFull ?? defaults.whenFull,
  });
}

function listProblems(error: z.ZodError, input: unknown): Problem[] {
  const fields = new Set<string>();
  const problems: Problem[] = [];
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const field of issue.keys) {
        problems.push({ field, value: shownField(input, field), rule: unknownNameRule(field, Object.keys(cacheTree)) });
      }
    } else if (issue.path.length === 0) {
      problems.push({ field: 'settings', value: showValue(input), rule: 'must be an object' });
    } else {
      const field = String(issue.path[0]);
      if (fields.has(field)) continue;
      fields.add(field);
      problems.push({ field, value: shownField(input, field), rule: `must be ${formOf(field).rule}` });
    }
  }
  return problems;
}

function shownField(input: unknown, field: string): string {
  return showValue((input as Readonly<Record<string, unknown>>)[field]);
}

function formOf(field: string): Form<unknown> {
  const forms: Readonly<Record<string, Form<unknown>>> = cacheTree;
  const form = forms[field];
  if (form === undefined) throw new TypeError(`${field} is in the declaration but not in the schema`);
  return form;
}
