/** Which fields each kind of record has in a file, and what each may hold. The one table behind reading and `docs/history-format.md`. */

/** What a value must be, in the words of the error; undefined: it is. */
export type Rule = (value: unknown) => string | undefined;

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

const text: Rule = (value) => (typeof value === 'string' ? undefined : 'must be a string');
const textOrNull: Rule = (value) => (value === null ? undefined : text(value) && 'must be a string or null');
const texts: Rule = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === 'string') ? undefined : 'must be an array of strings';
const flag: Rule = (value) => (typeof value === 'boolean' ? undefined : 'must be true or false');
const time: Rule = (value) => (isNumber(value) ? undefined : 'must be a number of ms');
const position: Rule = (value) =>
  isNumber(value) && Number.isSafeInteger(value) && value >= 0 ? undefined : 'must be a whole number from 0';
const revision: Rule = (value) =>
  position(value) === undefined && value !== 0 ? undefined : 'must be a whole number from 1';
const age: Rule = (value) => (isNumber(value) && value >= 0 ? undefined : 'must be a number of ms from 0');
const oneOf =
  (...names: readonly string[]): Rule =>
  (value) =>
    names.includes(value as string) ? undefined : `must be one of ${names.join(', ')}`;

const entries: Rule = (value) => {
  const isEntry = (entry: unknown): boolean => {
    if (typeof entry !== 'object' || entry === null) return false;
    const { key, revision: at, value: held } = entry as Record<string, unknown>;
    return text(key) === undefined && revision(at) === undefined && text(held) === undefined;
  };
  return Array.isArray(value) && value.every(isEntry)
    ? undefined
    : 'must be an array of {"key": string, "revision": whole number from 1, "value": string}';
};

export interface Fields {
  readonly needed: Readonly<Record<string, Rule>>;
  readonly optional: Readonly<Record<string, Rule>>;
}

const operation = {
  needed: { process: text, start: time, outcome: oneOf('ok', 'failed', 'unknown') },
  optional: { incarnation: text, session: text, partition: position, end: time },
};
const write = { ...operation, optional: { ...operation.optional, revision } };
const conditions = { ifRevision: revision, conflict: flag };
const seen = { needed: { process: text, at: time }, optional: { incarnation: text } };

export const recordFields: Readonly<Record<string, Fields>> = {
  put: {
    needed: { ...write.needed, key: text, value: text },
    optional: { ...write.optional, ...conditions, tags: texts, ifAbsent: flag, basis: position, expiresAt: time },
  },
  delete: { needed: { ...write.needed, key: text }, optional: { ...write.optional, ...conditions } },
  clear: write,
  invalidate: { needed: { ...write.needed, tag: text }, optional: write.optional },
  read: {
    needed: { ...operation.needed, key: text, consistency: oneOf('latest', 'local') },
    optional: {
      ...operation.optional,
      value: textOrNull,
      revision,
      position,
      lagMs: age,
      minPosition: position,
      maxStalenessMs: age,
    },
  },
  log: {
    needed: { event: oneOf('put', 'delete', 'clear', 'tag'), position: revision },
    optional: {
      partition: position,
      at: time,
      key: text,
      value: text,
      tag: text,
      tags: texts,
      basis: position,
      expiresAt: time,
    },
  },
  state: {
    needed: { ...seen.needed, position, entries },
    optional: { ...seen.optional, partition: position, quiescence: text, isComplete: flag },
  },
  reset: { needed: seen.needed, optional: { ...seen.optional, partition: position } },
  watch: {
    needed: {
      ...seen.needed,
      watch: text,
      event: oneOf('opened', 'put', 'delete', 'clear', 'tag', 'progress', 'closed', 'reset'),
      position,
    },
    optional: {
      ...seen.optional,
      partition: position,
      key: text,
      value: text,
      tag: text,
      resumes: text,
      head: position,
      prefix: text,
    },
  },
  member: {
    needed: { ...seen.needed, event: oneOf('joined', 'left'), node: text, nodeIncarnation: text, position: revision },
    optional: seen.optional,
  },
};
