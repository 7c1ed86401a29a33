/**
 * The auditor: reads keys from the log and from every copy, at a common position, and compares revision and checksum.
 *
 * What differs at first sight is only suspect, for both may have moved meanwhile. It is proven by asking again: the log, the copy
 * at the position that the log told, and the log once more. If the log said the same twice, the copy had to say it in between.
 * It reads alone; what it finds is repaired by `rebuild`.
 */
import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { messageOf } from '../../errors.ts';
import type { PartitionAccess } from '../../service/cache.ts';
import type { CacheHost } from '../cache-host.ts';
import type { CacheRegistry } from '../cache-registry.ts';
import { auditKeysMax, auditNamedKeysMax, type PeerRequest } from '../peer-protocol.ts';
import { type CopyReading, compareReadings, divergenceOf, type HeldKey, type Reading } from './compare.ts';
import type { Copies, Copy } from './copies.ts';
import type { KeyShare } from './entry-checksum.ts';
import { type KeyTruth, type LogCosts, readTruth, replayKeys } from './log-reading.ts';
import { createPacer } from './pacer.ts';
import type { CacheAudit, CopyAudit, Divergence, Unchecked } from './report.ts';

export interface AuditorOptions {
  readonly registry: Pick<CacheRegistry, 'open' | 'owners'>;
  readonly clock: Clock;
  readonly random: Random;
  /** Keys read in a second, of each copy and of the log. */
  readonly keysPerSecond: number;
  /** How long a copy may take to reach the position. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export interface AuditPlan {
  /** Which share of the keys. */
  readonly share: KeyShare;
  /**
   * Whether the log is replayed as a whole, which finds also what no copy has, or the keys that the copies have are read from it
   * one by one.
   */
  readonly isWholeLog: boolean;
  readonly onProgress?: (keys: number) => void;
}

export interface Auditor {
  /** Rejects when the log itself cannot be read. */
  audit(cache: string, copies: Copies, plan: AuditPlan): Promise<CacheAudit>;
}

/** Suspects of one copy of a partition that are looked at again, and divergences that are told by name. */
const suspectsMax = 1_000;
const namedMax = 100;
const roundsMax = 3;

export function createAuditor(options: AuditorOptions): Auditor {
  const { registry, clock, random, signal } = options;
  const newPacer = () => createPacer(clock, options.keysPerSecond, signal);

  async function audit(cache: string, copies: Copies, plan: AuditPlan): Promise<CacheAudit> {
    const startedMs = clock.monotonic();
    const host = await registry.open(cache);
    const log: LogCosts = { records: 0, bytes: 0, gets: 0 };
    const found = new Map<string, CopyAudit>();
    const positions: number[] = [];
    const unchecked: Unchecked[] = copies.silent.map((copy) => ({
      copy,
      partition: null,
      reason: 'no pulse was heard',
    }));
    const tools = { clock, random, pacer: newPacer(), costs: log, signal };
    const pace = new Map(copies.all.map((copy) => [copy, newPacer()]));
    let keys = 0;

    const auditOf = ({ name, kind }: Copy): CopyAudit => {
      let one = found.get(name);
      if (one === undefined) {
        one = emptyAudit(name, kind);
        found.set(name, one);
      }
      return one;
    };

    async function ask(
      copy: Copy,
      request: PeerRequest<'audit'>,
    ): Promise<CopyReading & { readonly next?: string | undefined }> {
      const { answer, bytes } = await copy.audit(request);
      const costs = auditOf(copy);
      costs.requests += 1;
      costs.bytes += bytes;
      await pace.get(copy)?.take(answer.entries.length);
      const { at, isComplete, entries, next } = answer;
      return { at, isComplete, entries: new Map(entries.map(([key, ...held]) => [key, toHeld(held)])), next };
    }

    async function readCopy(copy: Copy, partition: number, position: number): Promise<CopyReading> {
      const entries = new Map<string, HeldKey>();
      let at = Number.POSITIVE_INFINITY;
      let isComplete = true;
      let after: string | undefined;
      const { waitMs } = options;
      do {
        signal.throwIfAborted();
        const from = after === undefined ? {} : { after };
        const request = { cache, partition, position, waitMs, limit: auditKeysMax, share: plan.share, ...from };
        const page = await ask(copy, request);
        for (const [key, held] of page.entries) entries.set(key, held);
        at = Math.min(at, page.at);
        isComplete &&= page.isComplete;
        keys += page.entries.size;
        plan.onProgress?.(keys);
        after = page.next;
      } while (after !== undefined);
      return { entries, at, isComplete };
    }

    /** Differences that stay when log, copy and log are asked once more. */
    async function prove(copy: Copy, partition: number, access: PartitionAccess, suspects: readonly string[]) {
      const proven: Divergence[] = [];
      let open = [...suspects];
      for (let round = 0; round < roundsMax && open.length > 0; round += 1) {
        const before = await readTruth(access, open, tools);
        const position = Math.max(0, ...[...before.values()].map((truth) => truth.position));
        const asked = { cache, partition, position, waitMs: options.waitMs, limit: auditKeysMax };
        const reading = await ask(copy, { ...asked, keys: open, isFloorAsked: true });
        const readings = { log: endless, copy: reading, nowMs: clock.now() };
        const differing = open.filter(
          (key) => divergenceOf(before.get(key)?.held, reading.entries.get(key), readings) !== undefined,
        );
        const after = await readTruth(access, differing, tools);
        open = differing.filter((key) => !isSameTruth(before.get(key), after.get(key)));
        for (const key of differing) {
          if (open.includes(key)) continue;
          const inLog = before.get(key)?.held;
          const inCopy = reading.entries.get(key);
          const kind = divergenceOf(inLog, inCopy, readings);
          if (kind === undefined) continue;
          const revisions = { logRevision: inLog?.revision ?? null, copyRevision: inCopy?.revision ?? null };
          proven.push({ cache, copy: copy.name, partition, key, kind, ...revisions, at: reading.at });
        }
      }
      return proven;
    }

    async function compare(
      copy: Copy,
      partition: number,
      access: PartitionAccess,
      inLog: Reading,
      inCopy: CopyReading,
    ) {
      const { agreed, moved, evicted, expired, suspects } = compareReadings(inLog, inCopy, clock.now());
      const looked = suspects.slice(0, suspectsMax);
      const proven: Divergence[] = [];
      for (let from = 0; from < looked.length; from += auditNamedKeysMax)
        proven.push(...(await prove(copy, partition, access, looked.slice(from, from + auditNamedKeysMax))));
      const one = auditOf(copy);
      one.partitions += 1;
      one.compared += agreed + proven.length;
      one.moved += moved + looked.length - proven.length;
      one.evicted += evicted;
      one.expired += expired;
      one.divergent += proven.length;
      one.unverified += suspects.length - looked.length;
      one.divergences.push(...proven.slice(0, namedMax - one.divergences.length));
    }

    /** What goes wrong with one copy is told, and keeps no other from being looked at. */
    async function attempt<Result>(
      copy: Copy,
      partition: number,
      work: () => Promise<Result>,
    ): Promise<Result | undefined> {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) throw error;
        unchecked.push({ copy: copy.name, partition, reason: messageOf(error) });
        return undefined;
      }
    }

    async function auditPartition(access: PartitionAccess, partition: number): Promise<void> {
      const holders = copies.all.filter((copy) => copy.serves(cache).includes(partition));
      unchecked.push(...absentees(host, copies, partition, holders));
      if (plan.isWholeLog) {
        const inLog = await replayKeys(access, plan.share, tools);
        positions[partition] = inLog.at;
        for (const copy of holders) {
          await attempt(copy, partition, async () =>
            compare(copy, partition, access, inLog, await readCopy(copy, partition, inLog.at)),
          );
        }
        return;
      }
      const { last } = await access.log.bounds(signal);
      positions[partition] = last;
      const readings = new Map<Copy, CopyReading>();
      for (const copy of holders) {
        const reading = await attempt(copy, partition, () => readCopy(copy, partition, last));
        if (reading !== undefined) readings.set(copy, reading);
      }
      const named = new Set([...readings.values()].flatMap(({ entries }) => [...entries.keys()]));
      const truths = await readTruth(access, [...named], tools);
      const entries = new Map([...truths].flatMap(([key, { held }]) => (held === undefined ? [] : [[key, held]])));
      for (const [copy, reading] of readings)
        await attempt(copy, partition, () =>
          compare(copy, partition, access, { entries, at: Number.POSITIVE_INFINITY }, reading),
        );
    }

    for (const [partition, access] of host.partitions.entries()) {
      signal.throwIfAborted();
      await auditPartition(access, partition);
    }
    const all = [...found.values()].sort((a, b) => (a.copy < b.copy ? -1 : 1));
    return { cache, positions, copies: all, unchecked, log, elapsedMs: clock.monotonic() - startedMs };
  }

  /** Nodes that placement gives the partition to, and that do not say that they serve it. */
  function absentees(host: CacheHost, copies: Copies, partition: number, holders: readonly Copy[]): Unchecked[] {
    if (host.kind === 'adopted') return [];
    const owners = registry.owners(host.name)[partition] ?? [];
    const isHeard = (node: string): boolean => !copies.silent.includes(node);
    const isHolder = (node: string): boolean => holders.some(({ name, kind }) => kind === 'node' && name === node);
    return owners
      .filter((node) => isHeard(node) && !isHolder(node))
      .map((copy) => ({ copy, partition, reason: 'it does not say that it serves the partition' }));
  }

  return { audit };
}

/** What was read from the log after the copy had answered. */
const endless: Reading = { entries: new Map(), at: Number.POSITIVE_INFINITY };

const emptyAudit = (copy: string, kind: Copy['kind']): CopyAudit => ({
  copy,
  kind,
  partitions: 0,
  compared: 0,
  moved: 0,
  evicted: 0,
  expired: 0,
  divergent: 0,
  unverified: 0,
  divergences: [],
  requests: 0,
  bytes: 0,
});

function toHeld([revision, checksum, expiresAtMs]: [number, string, number | null]): HeldKey {
  return { revision, checksum, expiresAtMs: expiresAtMs ?? Number.POSITIVE_INFINITY };
}

const isSameTruth = (one: KeyTruth | undefined, other: KeyTruth | undefined): boolean =>
  one?.position === other?.position &&
  one?.held?.revision === other?.held?.revision &&
  one?.held?.checksum === other?.held?.checksum;
