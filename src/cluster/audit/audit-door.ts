/**
 * What a process answers to an auditor, from its own copies alone. Nodes answer it among their other verbs; a library process
 * answers nothing else, and only where its user allowed it.
 */
import type { Random } from '../../base/random.ts';
import { SluiceError } from '../../errors.ts';
import type { Messenger } from '../../nats/messenger.ts';
import type { CacheRegistry } from '../cache-registry.ts';
import { decodePeerRequest, encodePeerBody, encodePeerFailure } from '../peer-protocol.ts';
import { answerAudit } from './audit-page.ts';
import { encodePresence } from './copies.ts';

/** The body of the answer. Rejects with `not-owner` for what is not held here. */
export async function answerAuditHere(
  registry: Pick<CacheRegistry, 'hosts'>,
  body: Uint8Array,
  { name, waitMaxMs }: { readonly name: string; readonly waitMaxMs: number },
): Promise<Uint8Array> {
  const request = decodePeerRequest('audit', body);
  const { cache, partition, waitMs } = request;
  const view = registry.hosts.get(cache)?.views.get(partition);
  if (view === undefined || !view.follower.isReady)
    throw new SluiceError('not-owner', `${name} does not serve partition ${partition} of ${cache}`);
  return encodePeerBody(await answerAudit(view, request, Math.min(waitMs, waitMaxMs)));
}

export interface AuditDoorOptions {
  readonly messenger: Messenger;
  readonly registry: Pick<CacheRegistry, 'hosts' | 'ready'>;
  readonly random: Random;
  readonly name: string;
  readonly waitMaxMs: number;
}

/** Lets auditors find this process and ask it; returns the way to stop. */
export function openAuditDoor({ messenger, registry, random, name, waitMaxMs }: AuditDoorOptions): () => void {
  // Several processes may have one name.
  const id = random.hex(8);
  return messenger.serveClient(
    id,
    async (verb, body) => {
      try {
        if (verb !== 'audit') throw new SluiceError('unsupported', `verb ${verb.slice(0, 64)}: known is audit`);
        return await answerAuditHere(registry, body, { name, waitMaxMs });
      } catch (error) {
        return encodePeerFailure(error, 0);
      }
    },
    () => encodePresence({ id, name, ready: registry.ready() }),
  );
}
