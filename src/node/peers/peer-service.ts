/**
 * The receiving side of node to node: answers from this node's own copies, never by a further hop. A partition that is not
 * held or not ready is refused with this node's epoch, so that the asker can tell who of both is behind.
 */

import { answerAuditHere } from '../../cluster/audit/audit-door.ts';
import type { CacheRegistry } from '../../cluster/cache-registry.ts';
import {
  decodePeerRequest,
  encodePeerBody,
  encodePeerFailure,
  type PeerRequest,
  peerRequests,
} from '../../cluster/peer-protocol.ts';
import { isSluiceError, SluiceError } from '../../errors.ts';
import type { PartitionView } from '../../replay/partition-view.ts';
import { listView } from '../../service/cache.ts';
import type { CacheService } from '../../service/cache-service.ts';
import { cutPage } from '../../service/key-page.ts';
import { rebuildHere } from '../local-node.ts';
import type { Membership } from './membership.ts';

export interface PeerServiceOptions {
  readonly node: string;
  readonly registry: CacheRegistry;
  readonly membership: Membership;
  /** Bound of waits that an asker may demand. */
  readonly waitMaxMs: number;
  /** Bound of an answer in bytes. */
  readonly answerBytesMax: () => number;
  /** Told of each request that breaks the protocol. */
  readonly onUnreadable: () => void;
}

/** Answers one request; never rejects. */
export function createPeerService(
  options: PeerServiceOptions,
): (verb: string, body: Uint8Array) => Promise<Uint8Array> {
  const { node, registry, membership } = options;

  function held(cache: string, partition: number): { readonly cache: CacheService; readonly view: PartitionView } {
    const host = registry.hosts.get(cache);
    const view = host?.views.get(partition);
    if (host === undefined || view === undefined || !view.follower.isReady) {
      throw new SluiceError('not-owner', `${node} does not serve partition ${partition} of ${cache}`);
    }
    return { cache: host.cache, view };
  }

  const bounded = (waitMs: number | undefined): number => Math.min(waitMs ?? options.waitMaxMs, options.waitMaxMs);

  async function get({ cache, partition, key, waitMs, ...read }: PeerRequest<'get'>): Promise<Uint8Array> {
    const { position, found } = await held(cache, partition).cache.get(key, { ...read, waitMs: bounded(waitMs) });
    if (found === undefined) return encodePeerBody({ position });
    const { value, revision, atMs, expiresAtMs, tags, contentType } = found;
    const fields = {
      revision,
      atMs,
      expiresAtMs: Number.isFinite(expiresAtMs) ? expiresAtMs : null,
      tags,
      contentType,
    };
    return encodePeerBody({ position, found: fields }, value);
  }

  async function list({ cache, partition, prefix, after, limit }: PeerRequest<'list'>): Promise<Uint8Array> {
    const page = listView(held(cache, partition).view, { prefix, after, limit });
    // The first keys of a page are a page, too; the asker goes on behind the last one.
    return encodePeerBody(cutPage(page, options.answerBytesMax() / 2));
  }

  async function reached({ cache, positions, waitMs }: PeerRequest<'reached'>): Promise<Uint8Array> {
    const views = registry.hosts.get(cache)?.views;
    const wait = { waitMs: bounded(waitMs) };
    await Promise.all(
      positions.map(([partition, position]) => views?.get(partition)?.follower.reached(position, wait)),
    );
    return encodePeerBody({});
  }

  async function answer(verb: string, body: Uint8Array): Promise<Uint8Array> {
    switch (verb) {
      case 'get':
        return get(decodePeerRequest('get', body));
      case 'list':
        return list(decodePeerRequest('list', body));
      case 'reached':
        return reached(decodePeerRequest('reached', body));
      case 'audit':
        return answerAuditHere(registry, body, { name: node, waitMaxMs: options.waitMaxMs });
      case 'rebuild':
        return encodePeerBody({ rebuilt: rebuildHere(registry, decodePeerRequest('rebuild', body).cache) });
      default:
        throw new SluiceError(
          'unsupported',
          `verb ${verb.slice(0, 64)}: known are ${Object.keys(peerRequests).join(', ')}`,
        );
    }
  }

  return async (verb, request) => {
    try {
      const body = await answer(verb, request);
      const bytesMax = options.answerBytesMax();
      if (body.length <= bytesMax) return body;
      throw new SluiceError('too-large', `${verb}: the answer has ${body.length} bytes; at most ${bytesMax} fit`);
    } catch (error) {
      if (isSluiceError(error, 'bad-request') || isSluiceError(error, 'unsupported')) options.onUnreadable();
      return encodePeerFailure(error, membership.epoch);
    }
  };
}
