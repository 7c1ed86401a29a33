/**
 * The short way of a plain hit: a GET of a key without query and without conditions, answered from memory before any
 * routing. It may only ever answer what the full route would answer; for everything else it steps aside.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { NodeService } from '../../service/node-service.ts';
import { writeAnswer } from './answer.ts';
import { entryAnswer } from './entry-answer.ts';
import { decodePart } from './input.ts';

/** Request headers that change the answer, in lower case; see `routes/keys.ts`. */
export const decidingHeaders = ['if-match', 'if-none-match', 'sluice-min-position', 'sluice-max-staleness'] as const;

const decidingLengths: ReadonlySet<number> = new Set(decidingHeaders.map((name) => name.length));
const plainTarget = /^\/v1\/caches\/([A-Za-z0-9_-]+)\/keys\/([!"$->@-~]+)$/;

/** True when the request was answered. */
export type FastPath = (req: IncomingMessage, res: ServerResponse) => boolean;

export function createFastPath(service: NodeService, clock: Clock, isLast: () => boolean): FastPath {
  return (req, res) => {
    if (req.method !== 'GET') return false;
    const target = plainTarget.exec(req.url ?? '');
    if (target === null || hasDecidingHeader(req.rawHeaders)) return false;
    const key = decodePart(target[2] ?? '');
    const hit = key === undefined ? undefined : service.hit?.(target[1] ?? '', key);
    if (hit === undefined) return false;
    writeAnswer(res, entryAnswer(hit.entry, hit.position, clock.now()), isLast());
    return true;
  };
}

/** Reads the names as they came: building the object of all headers would cost more than the rest of a hit. */
function hasDecidingHeader(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (decidingLengths.has(name.length) && isDeciding(name.toLowerCase())) return true;
  }
  return false;
}

const isDeciding = (name: string): boolean => decidingHeaders.some((deciding) => deciding === name);
