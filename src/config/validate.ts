/**
 * What must hold between settings, in one place. A single setting's range is in `schema.ts`. Each relation names the
 * settings it is about, so that it is not judged while one of them is wrong by itself.
 */
import { hiddenValue, type Problem } from './problems.ts';
import { type CacheSettings, type SettingEntry, type Settings, settingEntries } from './schema.ts';
import { formatBytes, formatDuration } from './units.ts';

export interface Relation<Subject> {
  /** Paths; the first is the one that is reported, with the values of the others. */
  readonly fields: readonly [string, ...string[]];
  /** What the first must be, as it completes "must be …". */
  readonly rule: string;
  readonly holds: (subject: Subject) => boolean;
}

export const cacheRelations: readonly Relation<CacheSettings>[] = [
  {
    fields: ['bytesMax', 'valueBytesMax'],
    rule: 'at least valueBytesMax',
    holds: (cache) => cache.bytesMax >= cache.valueBytesMax,
  },
  {
    fields: ['logBytesMax', 'partitions', 'valueBytesMax'],
    rule: 'at least 2 × partitions × valueBytesMax, or none',
    holds: ({ logBytesMax, partitions, valueBytesMax }) =>
      logBytesMax === null || logBytesMax >= 2 * partitions * valueBytesMax,
  },
];

const isGiven = (...values: readonly unknown[]): number => values.filter((value) => value !== null).length;

const ownRelations: readonly Relation<Settings>[] = [
  {
    fields: ['http.headersTimeout', 'http.requestTimeout'],
    rule: 'at most http.requestTimeout',
    holds: ({ http }) => http.headersTimeoutMs <= http.requestTimeoutMs,
  },
  {
    fields: ['http.bodyBytesMax', 'cacheDefaults.valueBytesMax'],
    rule: 'at least cacheDefaults.valueBytesMax',
    holds: ({ http, cacheDefaults }) => http.bodyBytesMax >= cacheDefaults.valueBytesMax,
  },
  {
    fields: ['nats.password', 'nats.user'],
    rule: 'given together with nats.user, or neither',
    holds: ({ nats }) => isGiven(nats.user, nats.password) !== 1,
  },
  {
    fields: ['nats.credentialsFile', 'nats.user', 'nats.token'],
    rule: 'the only way to log in, where more than one of nats.user, nats.token and nats.credentialsFile is given',
    holds: ({ nats }) => isGiven(nats.user, nats.token, nats.credentialsFile) <= 1,
  },
  {
    fields: ['nats.tls.keyFile', 'nats.tls.certFile'],
    rule: 'given together with nats.tls.certFile, or neither',
    holds: ({ nats: { tls } }) => isGiven(tls.certFile, tls.keyFile) !== 1,
  },
  {
    fields: ['log.silence', 'log.heartbeat'],
    rule: 'more than 2 × log.heartbeat',
    holds: ({ log }) => log.silenceMs > 2 * log.heartbeatMs,
  },
  {
    fields: ['log.bytesInFlightMax', 'cacheDefaults.valueBytesMax'],
    rule: 'at least cacheDefaults.valueBytesMax',
    holds: ({ log, cacheDefaults }) => log.bytesInFlightMax >= cacheDefaults.valueBytesMax,
  },
  {
    fields: ['membership.suspectAfter', 'membership.pulse'],
    rule: 'more than 2 × membership.pulse',
    holds: ({ membership }) => membership.suspectAfterMs > 2 * membership.pulseMs,
  },
  {
    fields: ['membership.evictAfter', 'membership.suspectAfter'],
    rule: 'more than membership.suspectAfter',
    holds: ({ membership }) => membership.evictAfterMs > membership.suspectAfterMs,
  },
];

const cacheSection = 'cacheDefaults.';

/** All relations between settings; those of a cache apply to its defaults as well. */
export const relations: readonly Relation<Settings>[] = [
  ...ownRelations,
  ...cacheRelations.map(
    ({ fields: [first, ...others], rule, holds }): Relation<Settings> => ({
      fields: [`${cacheSection}${first}`, ...others.map((field) => `${cacheSection}${field}`)],
      rule,
      holds: (settings) => holds(settings.cacheDefaults),
    }),
  ),
];

/** The relations that do not hold. `wrongFields`: settings that broke their own rule; nothing is said about them. */
export function validateRelations(settings: Settings, wrongFields: ReadonlySet<string>): Problem[] {
  return relations
    .filter(({ fields, holds }) => !fields.some((field) => wrongFields.has(field)) && !holds(settings))
    .map((relation) => relationProblem(relation, settings, ''));
}

/** The same for the settings of one cache, whose fields have no section. */
export function validateCacheRelations(cache: CacheSettings): Problem[] {
  return cacheRelations
    .filter(({ holds }) => !holds(cache))
    .map((relation) => relationProblem(relation, cache, cacheSection));
}

function relationProblem<Subject>(relation: Relation<Subject>, subject: Subject, section: string): Problem {
  const [field, ...others] = relation.fields;
  const shown = (path: string): string => showHeld(subject, path, `${section}${path}`);
  const given = others.map((other) => `${other} is ${shown(other)}`).join(', ');
  return { field, value: shown(field), rule: `must be ${relation.rule} (${given})` };
}

/** A value as the program holds it, in the units that people write. */
function showHeld(subject: unknown, path: string, entryPath: string): string {
  const entry = settingEntries.find((candidate) => candidate.path === entryPath);
  if (entry === undefined) throw new TypeError(`${entryPath} is in a relation but not in the schema`);
  const value = heldAt(subject, path, entry);
  if (value === null) return 'none';
  if (entry.setting.isHidden(value)) return hiddenValue;
  if (typeof value !== 'number') return String(value);
  if (entry.setting.suffix === 'Ms') return formatDuration(value);
  return entry.setting.type.startsWith('size') ? formatBytes(value) : String(value);
}

function heldAt(subject: unknown, path: string, entry: SettingEntry): unknown {
  const held: unknown = `${path}${entry.setting.suffix}`
    .split('.')
    .reduce<unknown>((branch, name) => (branch as Record<string, unknown>)[name], subject);
  return held;
}
