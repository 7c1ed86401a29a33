/**
 * One way to a cache: over HTTP to a node, or over a channel to a process that uses the library. It answers, or throws what its
 * caller would get: a SluiceError where a code was told, anything else where nobody knows how it ended.
 */
import { type ErrorCode, errorTable, isSluiceError, messageOf, SluiceError } from '../../../../src/errors.ts';
import type { NodeProcess } from '../../../support/node-process.ts';
import type { ClientProcess } from './client.ts';

export interface DoorRead {
  readonly consistency: 'local' | 'latest';
  readonly minPosition?: number | undefined;
  readonly maxStalenessMs?: number | undefined;
}

export interface DoorAnswer {
  readonly value: string | null;
  readonly revision?: number | undefined;
  readonly position?: number | undefined;
  readonly lagMs?: number | undefined;
}

export interface DoorPut {
  readonly tags?: readonly string[] | undefined;
  readonly ifRevision?: number | undefined;
  readonly ifAbsent?: boolean | undefined;
}

export interface Door {
  readonly process: string;
  /** Of the process that lives now. */
  readonly incarnation: string;
  /** Whether its reads are of a copy of its own for every key; else they may be of other nodes' copies in turn. */
  readonly hasAllKeys: (cache: string) => boolean;
  put(cache: string, key: string, value: string, put?: DoorPut): Promise<number>;
  delete(cache: string, key: string): Promise<number>;
  /** Position by partition. */
  clear(cache: string): Promise<ReadonlyMap<number, number>>;
  invalidate(cache: string, tag: string): Promise<ReadonlyMap<number, number>>;
  read(cache: string, key: string, read: DoorRead): Promise<DoorAnswer>;
}

const notSent = { isSent: false } as const;

/** Nothing at all happened, also where one call is several writes. */
export const isUnsent = (error: unknown): boolean => isSluiceError(error) && error.details['isSent'] === false;

/** Longer than a write's deadline, so that the door has the last word, if it has one. */
const httpWaitMs = 14_000;

export function openNodeDoor(node: NodeProcess, hasAllKeys: Door['hasAllKeys']): Door {
  async function call(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${node.url}/v1/caches/${path}`, { ...init, signal: AbortSignal.timeout(httpWaitMs) });
    } catch (error) {
      const cause = (error as { cause?: { code?: string } }).cause;
      // Nobody listened: nothing was sent.
      if (cause?.code === 'ECONNREFUSED')
        throw new SluiceError('log-unavailable', 'the node does not listen', { details: notSent });
      throw new Error(`${path}: ${messageOf(error)} ${cause?.code ?? ''}`);
    }
    if (response.ok || response.status === 404) return response;
    const problem = (await response.json()) as { code: string; detail?: string };
    if (!(problem.code in errorTable)) throw new Error(`${path}: ${response.status} ${JSON.stringify(problem)}`);
    throw new SluiceError(problem.code as ErrorCode, problem.detail ?? '');
  }

  async function write(path: string, init: RequestInit): Promise<number> {
    const response = await call(path, init);
    await response.arrayBuffer();
    if (response.status === 404) throw new SluiceError('cache-unknown', path);
    return positionOf(response) ?? Number.NaN;
  }

  async function change(path: string, body: object): Promise<ReadonlyMap<number, number>> {
    const response = await call(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    if (response.status === 404) throw new SluiceError('cache-unknown', path);
    const answer = (await response.json()) as { position?: number; positions?: Record<string, number> };
    if (answer.position !== undefined) return new Map([[0, answer.position]]);
    return new Map(Object.entries(answer.positions ?? {}).map(([partition, at]) => [Number(partition), at]));
  }

  return {
    process: node.id,
    get incarnation() {
      return String(node.pid);
    },
    hasAllKeys,
    put: (cache, key, value, { tags, ifRevision, ifAbsent } = {}) =>
      write(`${cache}/keys/${key}`, {
        method: 'PUT',
        body: value,
        headers: {
          'content-type': 'text/plain',
          ...(tags === undefined ? {} : { 'sluice-tags': tags.join(',') }),
          ...(ifRevision === undefined ? {} : { 'if-match': `"${ifRevision}"` }),
          ...(ifAbsent === true ? { 'if-none-match': '*' } : {}),
        },
      }),
    delete: (cache, key) => write(`${cache}/keys/${key}`, { method: 'DELETE' }),
    clear: (cache) => change(`${cache}/clear`, {}),
    invalidate: (cache, tag) => change(`${cache}/invalidate`, { tags: [tag] }),
    async read(cache, key, { consistency, minPosition, maxStalenessMs }) {
      const response = await call(`${cache}/keys/${key}${consistency === 'latest' ? '?consistency=latest' : ''}`, {
        headers: {
          ...(minPosition === undefined ? {} : { 'sluice-min-position': String(minPosition) }),
          ...(maxStalenessMs === undefined ? {} : { 'sluice-max-staleness': `${maxStalenessMs}ms` }),
        },
      });
      const text = await response.text();
      const position = positionOf(response);
      if (response.status === 404) {
        if (position === undefined) throw new SluiceError('cache-unknown', text);
        return { value: null, position };
      }
      const etag = /^"(\d+)"$/.exec(response.headers.get('etag') ?? '')?.[1];
      const revision = etag === undefined ? undefined : Number(etag);
      return { value: text, position, revision };
    },
  };
}

function positionOf(response: Response): number | undefined {
  const position = response.headers.get('sluice-position');
  return position === null ? undefined : Number(position);
}

export function openClientDoor(client: ClientProcess): Door {
  return {
    process: client.id,
    get incarnation() {
      return String(client.pid);
    },
    hasAllKeys: () => true,
    put: async (cache, key, value, put = {}) => revisionOf(await client.ask({ do: 'put', cache, key, value, ...put })),
    delete: async (cache, key) => revisionOf(await client.ask({ do: 'delete', cache, key })),
    clear: () => Promise.reject(new Error('a library client is not told where a clear stands')),
    invalidate: () => Promise.reject(new Error('a library client is not told where an invalidation stands')),
    async read(cache, key, { consistency }) {
      const { value = null, revision, lagMs } = await client.ask({ do: consistency, cache, key });
      return { value, revision, lagMs };
    },
  };
}

const revisionOf = ({ revision }: { readonly revision?: number | undefined }): number => revision ?? Number.NaN;
