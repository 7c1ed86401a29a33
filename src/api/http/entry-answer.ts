/**
 * An entry as an HTTP response: what is said of a value beside its bytes. The path for plain hits and the full route build
 * their answers here.
 */
import { defaultContentType } from '../../events/entry.ts';
import type { Position } from '../../events/record.ts';
import type { Found } from '../../service/cache-service.ts';
import type { Answer } from './answer.ts';
import { formatTagList } from './header-text.ts';

/** 200 with the value. `position`: the answer is at least as new. */
export function entryAnswer(found: Found, position: Position, nowMs: number): Answer {
  const headers = ['Content-Type', found.contentType ?? defaultContentType, ...validators(found, position, nowMs)];
  if (found.tags !== undefined && found.tags.length > 0) headers.push('Sluice-Tags', formatTagList(found.tags));
  return { status: 200, headers, body: found.value };
}

/** 304: the client's copy is the current one. */
export function notModifiedAnswer(found: Found, position: Position, nowMs: number): Answer {
  return { status: 304, headers: validators(found, position, nowMs), body: undefined };
}

/**
 * `max-age` is the whole life of the entry, of which `Age` has passed (RFC 9111 section 4.2.3). `no-cache` because a put or an
 * invalidation may end it at any time: whoever keeps a copy must ask before use, and gets a 304.
 */
function validators({ revision, atMs, expiresAtMs }: Found, position: Position, nowMs: number): string[] {
  const ageSeconds = Math.max(0, Math.floor((nowMs - atMs) / 1000));
  const headers = ['ETag', `"${revision}"`, 'Sluice-Position', String(position), 'Age', String(ageSeconds)];
  if (expiresAtMs === Number.POSITIVE_INFINITY) {
    headers.push('Cache-Control', 'no-cache');
  } else {
    headers.push('Sluice-Expires', String(Math.ceil(expiresAtMs)));
    headers.push('Cache-Control', `no-cache, max-age=${Math.max(0, Math.floor((expiresAtMs - atMs) / 1000))}`);
  }
  return headers;
}
