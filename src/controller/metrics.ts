/** The controller's metrics in Prometheus text: what its audits found, per cache and copy. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { outcomeOf } from '../cluster/audit/report.ts';
import type { AuditEvents } from './audit-rounds.ts';

export interface ControllerMetrics extends AuditEvents {
  text(): Promise<string>;
  /** Divergent entries that are known now. */
  readonly divergent: number;
}

export interface ControllerMetricsOptions {
  readonly cluster: string;
  readonly isConnected: () => boolean;
}

export function createControllerMetrics({ cluster, isConnected }: ControllerMetricsOptions): ControllerMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ cluster });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const byCopy = { labelNames: ['cache', 'node'], registers };

  /** Cache → copy → share → entries that differed when the share was last looked at. */
  const found = new Map<string, Map<string, Map<number, number>>>();
  const staleness = new Map<string, number>();

  const sum = (shares: ReadonlyMap<number, number>): number =>
    [...shares.values()].reduce((total, one) => total + one, 0);

  new Gauge({
    name: 'sluice_audit_divergent_entries',
    help: 'Entries of a copy that differed from the log when their share of the keys was last audited',
    ...byCopy,
    collect() {
      this.reset();
      for (const [cache, copies] of found) for (const [node, shares] of copies) this.set({ cache, node }, sum(shares));
    },
  });
  const compared = new Counter({
    name: 'sluice_audit_compared_total',
    help: 'Entries of a copy that were compared with the log',
    ...byCopy,
  });
  const unchecked = new Gauge({
    name: 'sluice_audit_unchecked',
    help: 'Copies of partitions that the last audit of the cache could not look at',
    labelNames: ['cache'],
    registers,
  });
  const rounds = new Counter({
    name: 'sluice_audit_audits_total',
    help: 'Audits of a cache by outcome: agrees, diverges, unchecked or failed',
    labelNames: ['cache', 'outcome'],
    registers,
  });
  const requests = new Counter({
    name: 'sluice_audit_requests_total',
    help: 'Requests of audits to copies',
    ...byCopy,
  });
  const reads = new Counter({
    name: 'sluice_audit_log_reads_total',
    help: 'Messages that audits read from the log',
    labelNames: ['cache'],
    registers,
  });
  new Gauge({
    name: 'sluice_staleness_seconds',
    help: 'Time from the acknowledgement of the last canary to the answer of the copy that it has it',
    labelNames: ['node'],
    registers,
    collect() {
      this.reset();
      for (const [node, ms] of staleness) this.set({ node }, ms / 1000);
    },
  });
  new Gauge({
    name: 'sluice_connected',
    help: '1 while connected to NATS',
    registers,
    collect() {
      this.set(Number(isConnected()));
    },
  });

  return {
    text: () => registry.metrics(),
    get divergent() {
      return [...found.values()].reduce(
        (total, copies) => total + [...copies.values()].reduce((all, shares) => all + sum(shares), 0),
        0,
      );
    },
    audited(audit, share) {
      const { cache } = audit;
      const copies = found.get(cache) ?? new Map<string, Map<number, number>>();
      found.set(cache, copies);
      for (const { copy: node, divergent, requests: asked, compared: keys } of audit.copies) {
        const shares = copies.get(node) ?? new Map<number, number>();
        copies.set(node, shares);
        if (divergent > 0) shares.set(share, divergent);
        else shares.delete(share);
        compared.inc({ cache, node }, keys);
        requests.inc({ cache, node }, asked);
      }
      reads.inc({ cache }, audit.log.gets + audit.log.records);
      unchecked.set({ cache }, audit.unchecked.length);
      rounds.inc({ cache, outcome: outcomeOf([audit]) });
    },
    failed(cache) {
      rounds.inc({ cache, outcome: 'failed' });
    },
    rounded(caches) {
      for (const cache of [...found.keys()]) {
        if (caches.includes(cache)) continue;
        found.delete(cache);
        unchecked.remove({ cache });
      }
    },
    stale(copy, stalenessMs) {
      staleness.set(copy, stalenessMs);
    },
    heard(copies) {
      for (const copy of [...staleness.keys()]) if (!copies.includes(copy)) staleness.delete(copy);
      for (const ofCache of found.values())
        for (const copy of [...ofCache.keys()]) if (!copies.includes(copy)) ofCache.delete(copy);
    },
  };
}
