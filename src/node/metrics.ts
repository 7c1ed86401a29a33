/**
 * The node's metrics in Prometheus text. Counts are kept where things happen; they are copied here only when somebody asks.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CacheHost } from '../cluster/cache-host.ts';
import type { Session } from '../cluster/session.ts';

export interface MetricsOptions {
  readonly session: Session;
  readonly node: string;
  readonly hosts: () => Iterable<CacheHost>;
  readonly isReady: () => boolean;
  readonly memberCount: () => number;
  readonly epoch: () => number;
  readonly unreadablePulses: () => number;
  readonly unreadableRequests: () => number;
}

export interface Metrics {
  text(): Promise<string>;
  stop(): void;
}

type CacheReading = (host: CacheHost) => number | Readonly<Record<string, number>>;

const sum = (
  host: CacheHost,
  read: (view: CacheHost['views'] extends ReadonlyMap<number, infer View> ? View : never) => number,
): number => [...host.views.values()].reduce((total, view) => total + read(view), 0);

const largest = (
  host: CacheHost,
  read: (view: CacheHost['views'] extends ReadonlyMap<number, infer View> ? View : never) => number,
): number => [...host.views.values()].reduce((most, view) => Math.max(most, read(view)), 0);

/** Per cache: name, help, type, and how it is read; a record gives one line per reason. */
const cacheMetrics: readonly (readonly [name: string, help: string, type: 'counter' | 'gauge', read: CacheReading])[] =
  [
    ['hits_total', 'Reads answered from memory', 'counter', (host) => sum(host, (view) => view.store.counters.hits)],
    [
      'misses_total',
      'Reads that memory could not answer',
      'counter',
      (host) => sum(host, (view) => view.store.counters.misses),
    ],
    ['puts_total', 'Puts applied from the log', 'counter', (host) => sum(host, (view) => view.counters.puts)],
    ['deletes_total', 'Deletes applied from the log', 'counter', (host) => sum(host, (view) => view.counters.deletes)],
    ['clears_total', 'Clears applied from the log', 'counter', (host) => sum(host, (view) => view.counters.clears)],
    [
      'tag_invalidations_total',
      'Tag invalidations applied from the log',
      'counter',
      (host) => sum(host, (view) => view.counters.tagInvalidations),
    ],
    [
      'evictions_total',
      'Entries that left memory because of a limit or because the log no longer has them',
      'counter',
      (host) => ({
        entries: sum(host, (view) => view.store.counters.evictedByEntries),
        bytes: sum(host, (view) => view.store.counters.evictedByBytes),
        floor: sum(host, (view) => view.store.counters.floored),
      }),
    ],
    [
      'expirations_total',
      'Entries removed because they had expired',
      'counter',
      (host) => sum(host, (view) => view.store.counters.expirations),
    ],
    [
      'invalidated_entries_total',
      'Entries removed by a clear or a tag',
      'counter',
      (host) => sum(host, (view) => view.store.counters.invalidations),
    ],
    [
      'log_loads_total',
      'Misses that were found in the log',
      'counter',
      (host) => sum(host, (view) => view.counters.logLoads),
    ],
    [
      'skipped_events_total',
      'Messages on the bucket that could not be used',
      'counter',
      (host) => ({
        foreign: sum(host, (view) => view.counters.foreign),
        unreadable: sum(host, (view) => view.counters.unreadable),
      }),
    ],
    [
      'rebuilds_total',
      'Times a copy was dropped and replayed',
      'counter',
      (host) => sum(host, (view) => view.follower.counters.rebuilds),
    ],
    ['entries', 'Entries in memory', 'gauge', (host) => sum(host, (view) => view.store.size)],
    [
      'bytes',
      'Bytes of keys, values and their overhead in memory',
      'gauge',
      (host) => sum(host, (view) => view.store.bytes),
    ],
    [
      'lag_events',
      'Messages in the log that are not applied yet',
      'gauge',
      (host) => sum(host, (view) => view.follower.lagEvents),
    ],
    [
      'lag_seconds',
      'Time since the oldest copy was proven complete',
      'gauge',
      (host) => largest(host, (view) => view.follower.lagMs()) / 1000,
    ],
    [
      'replay_seconds',
      'Duration of the longest last replay',
      'gauge',
      (host) => largest(host, (view) => view.follower.counters.replayMs) / 1000,
    ],
    ['partitions', 'Partitions that this node holds', 'gauge', (host) => host.views.size],
  ];

export function createMetrics(options: MetricsOptions): Metrics {
  const { session } = options;
  const registry = new Registry();
  registry.setDefaultLabels({ node: options.node, cluster: session.options.cluster });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];

  for (const [name, help, type, read] of cacheMetrics) {
    const labelNames = ['cache', 'reason'];
    const config = { name: `sluice_cache_${name}`, help, labelNames, registers };
    const collect = (set: (labels: Record<string, string>, value: number) => void): void => {
      for (const host of options.hosts()) {
        const value = read(host);
        if (typeof value === 'number') set({ cache: host.name }, value);
        else for (const [reason, count] of Object.entries(value)) set({ cache: host.name, reason }, count);
      }
    };
    if (type === 'gauge') {
      new Gauge({
        ...config,
        collect() {
          this.reset();
          collect((labels, value) => this.set(labels, value));
        },
      });
    } else {
      new Counter({
        ...config,
        collect() {
          this.reset();
          collect((labels, value) => this.inc(labels, value));
        },
      });
    }
  }

  const latency = new Histogram({
    name: 'sluice_publish_seconds',
    help: 'Time from a write to its acknowledgement by the log',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10],
    registers,
  });
  session.publisher.onAcknowledged = (latencyMs) => latency.observe(latencyMs / 1000);

  const nodeCounts: readonly (readonly [string, string, () => number])[] = [
    [
      'sluice_writes_acknowledged_total',
      'Writes that the log acknowledged',
      () => session.publisher.counters.acknowledged,
    ],
    ['sluice_writes_retried_total', 'Attempts that were repeated', () => session.publisher.counters.retried],
    [
      'sluice_writes_failed_total',
      'Writes that failed, known not to be in the log',
      () => session.publisher.counters.failed,
    ],
    ['sluice_writes_unknown_total', 'Writes whose outcome is unknown', () => session.publisher.counters.unknown],
    ['sluice_reconnects_total', 'Times the connection to NATS was found again', () => session.link.reconnects],
  ];
  for (const [name, help, read] of nodeCounts) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  const bucketCount = (read: (host: CacheHost) => number): number =>
    [...options.hosts()].reduce((total, host) => total + read(host), 0);
  const undecodable: Readonly<Record<string, () => number>> = {
    'bucket-foreign': () => bucketCount((host) => sum(host, (view) => view.counters.foreign)),
    'bucket-unreadable': () => bucketCount((host) => sum(host, (view) => view.counters.unreadable)),
    'control-unreadable': () => session.control.state.unreadable.count,
    'control-unknown': () => session.control.state.unknown.count,
    pulse: options.unreadablePulses,
    request: options.unreadableRequests,
  };
  new Counter({
    name: 'sluice_undecodable_total',
    help: 'Messages of others that could not be read, and were skipped or refused',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const [kind, read] of Object.entries(undecodable)) this.inc({ kind }, read());
    },
  });

  const nodeLevels: readonly (readonly [string, string, () => number])[] = [
    ['sluice_writes_in_flight', 'Writes that wait for acknowledgement', () => session.publisher.inFlight],
    ['sluice_connected', '1 while connected to NATS', () => Number(session.link.isConnected)],
    ['sluice_ready', '1 while the node is ready', () => Number(options.isReady())],
    ['sluice_members', 'Members that are alive', options.memberCount],
    ['sluice_epoch', 'Control-log position of the last change of membership', options.epoch],
    [
      'sluice_control_lag_seconds',
      'Time since the control copy was proven complete',
      () => session.control.follower.lagMs() / 1000,
    ],
    [
      'sluice_control_unreadable_events',
      'Control events that could not be read',
      () => session.control.state.unreadable.count,
    ],
  ];
  for (const [name, help, read] of nodeLevels) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }

  return {
    text: () => registry.metrics(),
    stop() {
      session.publisher.onAcknowledged = undefined;
      registry.clear();
    },
  };
}
