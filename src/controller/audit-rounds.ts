/**
 * Audits without end: every interval one share of the keys of every declared cache, the next share the next time, and in between
 * a canary into every copy. It only looks and tells; nothing is repaired without an operator.
 */
import type { Logger } from 'pino';
import { type Clock, pause } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import type { Random } from '../base/random.ts';
import { createAuditor } from '../cluster/audit/auditor.ts';
import { beat } from '../cluster/audit/canary.ts';
import { type Copies, findCopies } from '../cluster/audit/copies.ts';
import { type CacheAudit, outcomeOf } from '../cluster/audit/report.ts';
import type { CacheRegistry } from '../cluster/cache-registry.ts';
import type { Session } from '../cluster/session.ts';
import type { Settings } from '../config/schema.ts';
import { isSluiceError, messageOf } from '../errors.ts';
import type { Messenger } from '../nats/messenger.ts';

export interface AuditEvents {
  /** One cache was looked at; `share`: which of the shares. */
  audited(audit: CacheAudit, share: number): void;
  /** A cache could not be audited at all. */
  failed(cache: string): void;
  /** All caches were looked at; these are still declared. */
  rounded(caches: readonly string[]): void;
  /** How stale a copy was, in ms; Infinity: longer than was waited. */
  stale(copy: string, stalenessMs: number): void;
  /** These copies were heard; others are gone. */
  heard(copies: readonly string[]): void;
}

export interface AuditRoundsOptions {
  readonly session: Session;
  readonly registry: CacheRegistry;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly settings: Settings['audit'];
  readonly waitMs: number;
  readonly events: AuditEvents;
}

const canaryWaitMs = 5_000;
/** What the server does not permit is not tried again and again: each attempt is a violation in its log. */
const forbiddenMs = 3_600_000;

const toText = ({ copy, partition, reason }: CacheAudit['unchecked'][number]): string =>
  `${copy}${partition === null ? '' : ` partition ${partition}`}: ${reason}`;

export function createAuditRounds(options: AuditRoundsOptions): Lifecycle {
  const { session, registry, messenger, clock, random, logger, settings, events } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const { keysPerSecond } = settings;
  const auditor = createAuditor({ registry, clock, random, keysPerSecond, waitMs: options.waitMs, signal });
  /** The same trouble every minute is told once, until it is over. */
  const told = new Map<string, string>();
  /** By cache: what the last audit could not look at. */
  const openBefore = new Map<string, ReadonlySet<string>>();
  const forbiddenUntilMs = new Map<string, number>();
  let running: Promise<unknown> | undefined;

  const isForbidden = (what: string): boolean => (forbiddenUntilMs.get(what) ?? 0) > clock.monotonic();

  function refuse(what: string, error: unknown, message: string): void {
    if (isSluiceError(error, 'unsupported')) forbiddenUntilMs.set(what, clock.monotonic() + forbiddenMs);
    tell(what, message);
  }

  const cacheNames = (): string[] => [...session.control.state.caches.caches.keys()].sort();
  const find = (): Promise<Copies> => findCopies({ session, messenger, clock, signal });

  function tell(about: string, message: string | undefined): void {
    if (message !== undefined && told.get(about) !== message) logger.warn({ about }, message);
    if (message === undefined) told.delete(about);
    else told.set(about, message);
  }

  function report(audit: CacheAudit): void {
    const { cache } = audit;
    for (const { divergences } of audit.copies) {
      for (const one of divergences)
        logger.error(
          { ...one },
          `${one.copy} differs from the log in ${cache}: ${one.kind}; sluice rebuild ${one.copy}`,
        );
    }
    const open = new Set(audit.unchecked.map(toText));
    // A node that joins is not ready for a moment; what was so the last time as well is worth a line.
    const lasting = [...open].filter((text) => openBefore.get(cache)?.has(text) === true);
    openBefore.set(cache, open);
    tell(
      `audit of ${cache}`,
      lasting.length === 0 ? undefined : `${cache}: not everything was checked: ${lasting.join('; ')}`,
    );
  }

  async function round(share: number): Promise<void> {
    const copies = await find();
    if (signal.aborted) return;
    events.heard(copies.all.map(({ name }) => name));
    const caches = cacheNames();
    for (const cache of caches) {
      if (isForbidden(`audit of ${cache}`)) continue;
      try {
        const plan = { share: { of: settings.shares, at: share }, isWholeLog: false };
        const audit = await auditor.audit(cache, copies, plan);
        events.audited(audit, share);
        report(audit);
        logger.debug(
          { cache, share, outcome: outcomeOf([audit]), ms: Math.round(audit.elapsedMs) },
          `${cache}: audited`,
        );
      } catch (error) {
        if (signal.aborted) return;
        events.failed(cache);
        refuse(`audit of ${cache}`, error, `${cache}: cannot be audited: ${messageOf(error)}`);
      }
    }
    events.rounded(caches);
  }

  async function auditForEver(): Promise<void> {
    const first = Math.floor(random.fraction() * settings.shares);
    for (let count = 0; !signal.aborted; count += 1) {
      await round((first + count) % settings.shares);
      await pause(clock, settings.intervalMs, signal);
    }
  }

  async function beatOnce(count: number): Promise<void> {
    const copies = await find();
    const worst = new Map<string, number>();
    for (const cache of cacheNames()) {
      if (signal.aborted) return;
      if (isForbidden(`canary of ${cache}`)) continue;
      try {
        const host = await registry.open(cache);
        const partition = count % host.partitions.length;
        const { stalenessMs } = await beat({ host, clock, waitMs: canaryWaitMs, signal }, copies, partition);
        for (const [copy, ms] of stalenessMs) worst.set(copy, Math.max(worst.get(copy) ?? 0, ms));
        tell(`canary of ${cache}`, undefined);
      } catch (error) {
        if (signal.aborted) return;
        refuse(`canary of ${cache}`, error, `${cache}: the canary cannot be written: ${messageOf(error)}`);
      }
    }
    for (const [copy, ms] of worst) events.stale(copy, ms);
  }

  async function beatForEver(everyMs: number): Promise<void> {
    for (let count = 0; !signal.aborted; count += 1) {
      await beatOnce(count);
      await pause(clock, everyMs, signal);
    }
  }

  return {
    async start() {
      const { canaryMs } = settings;
      running ??= Promise.all([auditForEver(), canaryMs === null ? undefined : beatForEver(canaryMs)]);
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
