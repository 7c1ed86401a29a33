/**
 * What comes with a request, checked: the key in the path, query parameters, positions, durations, JSON bodies. Nothing is
 * guessed and nothing is ignored: input that breaks a rule is refused with the name, the value and the rule.
 */
import { readDuration } from '../../config/units.ts';
import { SluiceError } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import { HttpProblem } from './problem.ts';

export type Query = ReadonlyMap<string, string>;

const shownCharacters = 64;

/** Throws `bad-request` naming the field, the value and the rule. */
export function refuse(field: string, value: string, rule: string): never {
  const shown = value.length > shownCharacters ? `${value.slice(0, shownCharacters)}…` : value;
  throw new SluiceError('bad-request', `${field}: ${JSON.stringify(shown)}: ${rule}`, {
    details: { field, value: shown, rule },
  });
}

/** The path of an origin-form target, without its query. */
export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

const keyRule = 'must be percent-encoded UTF-8';

/** The key of `/v1/caches/{cache}/keys/{key}`: all that follows the fifth slash, so a key may contain slashes. */
export function keyOf(url: string): string {
  const path = pathOf(url);
  let from = 0;
  for (let slashes = 0; slashes < 5; slashes += 1) from = path.indexOf('/', from) + 1;
  const raw = path.slice(from);
  const key = decodePart(raw);
  if (key === undefined) {
    throw new SluiceError('bad-key', `key: ${JSON.stringify(raw.slice(0, shownCharacters))}: ${keyRule}`, {
      details: { field: 'key', rule: keyRule },
    });
  }
  return key;
}

/** Undefined unless it is printable ASCII whose percent-escapes are well-formed UTF-8. `#` starts no part of a target. */
export function decodePart(raw: string): string | undefined {
  if (!/^[!"$-~]*$/.test(raw)) return undefined;
  if (!raw.includes('%')) return raw;
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** The query parameters; throws `bad-request` for one that is unknown, given twice or badly encoded. */
export function parseQuery(url: string, known: readonly string[]): Query {
  const query = new Map<string, string>();
  const start = url.indexOf('?');
  if (start < 0) return query;
  for (const pair of url.slice(start + 1).split('&')) {
    if (pair === '') continue;
    const [rawName = '', ...rest] = pair.replaceAll('+', '%20').split('=');
    const name = decodePart(rawName);
    const value = decodePart(rest.join('='));
    if (name === undefined || value === undefined) refuse('query', pair, keyRule);
    if (!known.includes(name)) {
      const names = known.length === 0 ? 'this request takes none' : `known ones are ${known.join(', ')}`;
      throw new SluiceError(
        'bad-request',
        `query: unknown parameter ${JSON.stringify(name.slice(0, shownCharacters))}; ${names}`,
        {
          details: { field: name.slice(0, shownCharacters), known },
        },
      );
    }
    if (query.has(name)) refuse(name, value, 'given more than once');
    query.set(name, value);
  }
  return query;
}

export function parsePosition(field: string, text: string): Position {
  const position = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(position)) refuse(field, text, 'must be a position: digits only');
  return position;
}

/** Milliseconds of a text with a unit. */
export function parseTime(field: string, text: string): number {
  return readDuration(text) ?? refuse(field, text, 'must be a duration with a unit, such as 500ms, 30s, 5m, 24h or 7d');
}

export function parseCount(field: string, text: string, min: number, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) refuse(field, text, `must be an integer from ${min} to ${max}`);
  return count;
}

export function parseWord<const Word extends string>(field: string, text: string, words: readonly Word[]): Word {
  return words.find((word) => word === text) ?? refuse(field, text, `must be ${words.join(' or ')}`);
}

/** The JSON of a body. An empty body is `undefined`. Another declared type is refused, which also keeps web pages out. */
export function parseJson(contentType: string | undefined, body: Uint8Array): unknown {
  if (contentType !== undefined && !/^\s*application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(contentType)) {
    throw new HttpProblem(
      'bad-request',
      `Content-Type: ${JSON.stringify(contentType.slice(0, shownCharacters))}: this request takes application/json`,
      { status: 415, headers: ['Accept', 'application/json'] },
      { field: 'Content-Type' },
    );
  }
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new SluiceError(
      'bad-request',
      `body: is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`,
      {
        details: { field: 'body' },
      },
    );
  }
}
