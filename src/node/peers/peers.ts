/**
 * Reads through other nodes: picks one that says it is ready for the partition, sends the request with the epoch, and goes
 * to the next when it is refused or not answered. One hop: a receiver only ever answers from its own copy.
 */

import {
  decodePeerAnswer,
  encodePeerBody,
  type PeerReply,
  type PeerRequest,
  type PeerVerb,
} from '../../cluster/peer-protocol.ts';
import type { Session } from '../../cluster/session.ts';
import { isSluiceError } from '../../errors.ts';
import type { Position } from '../../events/record.ts';
import { parseRanges } from '../../membership/ranges.ts';
import type { Messenger } from '../../nats/messenger.ts';
import type { KeyPage, ListOptions, ReadOptions, ReadResult, RemoteReader } from '../../service/cache-service.ts';
import type { Membership } from './membership.ts';

export interface PeersOptions {
  readonly session: Session;
  readonly messenger: Messenger;
  readonly membership: Membership;
  /** Bound of a read's wait when the reader names none. */
  readonly waitMaxMs: number;
  /** Owners of a cache's partition by placement, the primary first. */
  readonly owners: (cache: string, partition: number) => readonly string[];
}

export interface Peers {
  reader(cache: string): RemoteReader;
  /** Sends a request to a node. Rejects with `log-unavailable` when it does not answer, or with the node's own error. */
  ask<Verb extends PeerVerb>(
    node: string,
    verb: Verb,
    request: PeerRequest<Verb>,
    timeoutMs: number,
  ): Promise<PeerReply<Verb>>;
  /** Nodes that were heard lately and serve the partition, owners by placement first. */
  candidates(cache: string, partition: number): string[];
}

/** Half of the time after which a node that died must be suspected: a request that was on its way to it is sent to another before that. */
const readAnswerMs = 500;
const listAnswerMs = 2_500;
/** An owner that is behind may be so for long, while another has everything. */
const turnMaxMs = 500;
const epochWaitMs = 1_000;
/** Refused, silent, gone, or an entry that fits into no answer: another node may do better, and at last the log. */
const movesOn = ['not-owner', 'not-ready', 'log-unavailable', 'closed', 'too-large'] as const;

interface Question {
  readonly cache: string;
  readonly partition: number;
  /** How long what is asked for may take, over all who are asked. */
  readonly waitMs: number;
  /** How long the answer of one may take beyond that. */
  readonly answerMs: number;
}

export function createPeers({ session, messenger, membership, owners, waitMaxMs }: PeersOptions): Peers {
  const { clock } = session.options;
  const parsed = new Map<string, ReadonlySet<number>>();

  /** The same few texts come four times a second. */
  function partitionsOf(ranges: string): ReadonlySet<number> {
    let known = parsed.get(ranges);
    if (known === undefined) {
      if (parsed.size > 1_024) parsed.clear();
      known = new Set(parseRanges(ranges) ?? []);
      parsed.set(ranges, known);
    }
    return known;
  }

  function candidates(cache: string, partition: number): string[] {
    const ready = membership
      .audible()
      .filter(
        (pulse) =>
          membership.standing(pulse.node) !== 'suspect' && partitionsOf(pulse.ready[cache] ?? '').has(partition),
      )
      .map((pulse) => pulse.node);
    const preferred = owners(cache, partition);
    const rank = (node: string): number => (preferred.includes(node) ? preferred.indexOf(node) : preferred.length);
    return ready.sort((a, b) => rank(a) - rank(b));
  }

  async function ask<Verb extends PeerVerb>(
    node: string,
    verb: Verb,
    request: PeerRequest<Verb>,
    timeoutMs: number,
  ): Promise<PeerReply<Verb>> {
    return decodePeerAnswer(verb, await messenger.request(node, verb, encodePeerBody(request), timeoutMs));
  }

  /**
   * Asks the candidates one after the other; a refusal by a newer epoch is answered by learning that epoch, once. While the time
   * that a demand may take lasts, those that are behind are given turns: another may have what the first one lacks.
   */
  async function askSome<Verb extends 'get' | 'list'>(
    { cache, partition, waitMs, answerMs }: Question,
    verb: Verb,
    build: (epoch: Position, waitMs: number) => PeerRequest<Verb>,
  ): Promise<PeerReply<Verb> | undefined> {
    const untilMs = clock.monotonic() + waitMs;
    const refused = new Set<string>();
    const turns = new Map<string, number>();
    const turnsOf = (node: string): number => turns.get(node) ?? 0;
    let behind: unknown;
    let hasLearned = false;
    for (;;) {
      const able = candidates(cache, partition).filter((candidate) => !refused.has(candidate));
      const node = able.sort((a, b) => turnsOf(a) - turnsOf(b))[0];
      if (node === undefined) break;
      const askedAtMs = clock.monotonic();
      const leftMs = Math.max(0, untilMs - askedAtMs);
      const turnMs = able.length > 1 ? Math.min(turnMaxMs, leftMs) : leftMs;
      turns.set(node, turnsOf(node) + 1);
      try {
        return await ask(node, verb, build(membership.epoch, turnMs), answerMs + turnMs);
      } catch (error) {
        const nowMs = clock.monotonic();
        if (isSluiceError(error, 'stale')) {
          behind = error;
          // It has not waited, or there is no time for another turn.
          if (nowMs - askedAtMs < turnMs / 2 || nowMs >= untilMs) refused.add(node);
          continue;
        }
        if (!movesOn.some((code) => isSluiceError(error, code))) throw error;
        const epoch = isSluiceError(error, 'not-owner') ? Number(error.details['epoch'] ?? 0) : 0;
        if (epoch > membership.epoch && !hasLearned) {
          hasLearned = true;
          await session.control.follower.reached(epoch, { waitMs: epochWaitMs }).catch(() => undefined);
        } else {
          refused.add(node);
        }
      }
    }
    if (behind !== undefined) throw behind;
    return undefined;
  }

  return {
    ask,
    candidates,
    reader: (cache) => ({
      async get(partition: number, key: string, read: ReadOptions): Promise<ReadResult | undefined> {
        const { consistency, minPosition, maxStalenessMs, waitMs } = read;
        const demands = { consistency, minPosition, maxStalenessMs };
        const isWaiting = consistency === 'latest' || minPosition !== undefined || maxStalenessMs !== undefined;
        const answer = await askSome(
          { cache, partition, waitMs: isWaiting ? (waitMs ?? waitMaxMs) : 0, answerMs: readAnswerMs },
          'get',
          (epoch, turnMs) => ({ cache, partition, key, epoch, ...demands, waitMs: turnMs }),
        );
        if (answer === undefined) return undefined;
        const { found, position } = answer.fields;
        if (found === undefined) return { found: undefined, position };
        const { expiresAtMs, tags, contentType, ...rest } = found;
        return {
          position,
          found: {
            ...rest,
            value: answer.bytes,
            expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY,
            tags,
            contentType,
          },
        };
      },
      async list(partition: number, wanted: ListOptions): Promise<KeyPage | undefined> {
        const answer = await askSome({ cache, partition, waitMs: 0, answerMs: listAnswerMs }, 'list', (epoch) => ({
          cache,
          partition,
          epoch,
          ...wanted,
        }));
        return answer === undefined ? undefined : { ...answer.fields, next: answer.fields.next };
      },
    }),
  };
}
