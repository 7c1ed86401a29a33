/**
 * Looks at every copy of every process, again and again: each key against the truth, never backwards, and ready only with
 * all that the log had when the copy was begun.
 */

import { partitionOf } from '../../../src/placement/partition.ts';
import type { PartitionView } from '../../../src/replay/partition-view.ts';
import { keyNames, type Setting, streamOf } from '../setting.ts';
import type { SimulatedProcess } from '../world/processes.ts';
import { type Event, ends, isIn } from './history.ts';
import { findFault, type Sight, type Truth } from './values.ts';

export interface CopiesOptions {
  readonly truth: Truth;
  readonly setting: Setting;
  readonly nowMs: () => number;
  readonly head: (stream: string) => number;
  /** What can be believed of a proof of that moment: a leader that was deposed may have told of an earlier one. */
  readonly trustedMs: (stream: string, provenAtMs: number) => number;
  readonly fault: (what: string) => void;
}

export interface CopyChecks {
  audit(processes: Iterable<SimulatedProcess>): void;
  sightOf(process: SimulatedProcess, view: PartitionView, key: string): Sight;
}

/** What was seen in one copy. */
interface Seen {
  /** By key: the newest position at which something was seen, or known to be gone. */
  readonly newest: Map<string, number>;
  /** What the log had when it was begun. */
  headAtStart: number;
  startedMs: number;
  wasReady: boolean;
}

const ownLossMs = 3_500;

export function createCopyChecks(options: CopiesOptions): CopyChecks {
  const { truth, setting, nowMs, fault } = options;
  const { history } = truth;
  const seen = new WeakMap<PartitionView, Seen>();
  const keysOf = Array.from({ length: setting.partitions }, (_, partition) =>
    keyNames(setting).filter((key) => partitionOf(key, setting.partitions) === partition),
  );
  /**
   * By process and stream: heads at the last look, a copy that was not there then was begun later. While a process starts it has
   * copies that nobody can look at, so then they are those of before.
   */
  const heads = new WeakMap<SimulatedProcess, ReadonlyMap<string, { readonly head: number; readonly atMs: number }>>();
  const streams = Array.from({ length: setting.partitions }, (_, partition) => streamOf(setting, partition));
  const current = new Map<string, { readonly version: number; readonly put: Event | undefined }>();

  function seenOf(process: SimulatedProcess, view: PartitionView): Seen {
    const known = seen.get(view);
    if (known !== undefined) return known;
    const { head = 0, atMs = 0 } = heads.get(process)?.get(view.log.name) ?? {};
    const fresh: Seen = { newest: new Map(), headAtStart: head, startedMs: atMs, wasReady: false };
    seen.set(view, fresh);
    view.listen((change) => {
      if (change.type !== 'rebuilt') return;
      fresh.newest.clear();
      if (change.position > 0) return;
      fresh.wasReady = false;
      fresh.headAtStart = options.head(view.log.name);
      fresh.startedMs = nowMs();
    });
    return fresh;
  }

  /** The put that stands in the log now; most looks see just that. */
  function standing(stream: string, key: string): Event | undefined {
    const version = history.events(stream).length + 1_000 * history.resets(stream).length;
    const name = `${stream} ${key}`;
    const known = current.get(name);
    if (known?.version === version) return known.put;
    const touching = history.touching(stream, key).filter((event) => isIn(event, nowMs()));
    const newest = touching.findLast((event) => event.key === key);
    const put = newest?.kind === 'put' && !touching.some((event) => ends(event, newest)) ? newest : undefined;
    current.set(name, { version, put });
    return put;
  }

  function sightOf({ clock }: SimulatedProcess, view: PartitionView, key: string): Sight {
    const stream = view.log.name;
    const entry = view.peek(key);
    const notBeforeMs = options.trustedMs(stream, nowMs() - view.follower.lagMs());
    return {
      stream,
      key,
      atMs: nowMs(),
      value: entry === undefined ? undefined : Buffer.from(entry.value).toString('utf8'),
      revision: entry === undefined || entry.isLocal ? undefined : entry.revision,
      position: view.follower.wholeAt,
      notBeforeMs,
      historyOfMs: notBeforeMs,
      wallMs: clock.now(),
      wallMaxMs: clock.latest,
    };
  }

  /** A rollback took a write of this very process, that it had seen ahead of its copy; it looks for it within a second or two. */
  function hasJustLostOwn(name: string, stream: string, key: string): boolean {
    const sinceMs = nowMs() - ownLossMs;
    return history
      .touching(stream, key)
      .some(({ origin, voidAtMs }) => origin === name && voidAtMs > sinceMs && voidAtMs <= nowMs());
  }

  /** A copy that is begun anew says so; but what a process had seen ahead of its copy was never part of that. */
  const wasOwnAndLost = (name: string, stream: string, key: string, revision: number): boolean =>
    history
      .touching(stream, key)
      .some(({ origin, position, voidAtMs }) => origin === name && position === revision && voidAtMs <= nowMs());

  function look(process: SimulatedProcess, view: PartitionView, key: string, { newest }: Seen): void {
    const sight = sightOf(process, view, key);
    const { value, revision, stream } = sight;
    if (value === undefined && !view.isComplete) return;
    const put = standing(stream, key);
    const isCurrent =
      put !== undefined &&
      value !== undefined &&
      put.value === value &&
      put.position === revision &&
      put.expiresAtMs > sight.wallMs &&
      !truth.loads.has(value);
    const isAbsent = put === undefined && value === undefined;
    const what = isCurrent || isAbsent ? undefined : findFault(truth, sight);
    const shown = `${process.name}: ${stream} ${key} = ${value} (revision ${revision}, applied ${sight.position}, lag ${(sight.atMs - sight.notBeforeMs).toFixed(1)} ms)`;
    if (what !== undefined && !hasJustLostOwn(process.name, stream, key)) fault(`${shown}: ${what}`);
    if (revision === undefined) return;
    const before = newest.get(key) ?? 0;
    if (revision < before && !wasOwnAndLost(process.name, stream, key, before))
      fault(`${shown}: went back from ${before}`);
    newest.set(key, revision);
  }

  function auditView(process: SimulatedProcess, view: PartitionView): void {
    const of = seenOf(process, view);
    const { follower, log } = view;
    if (!follower.isReady) return;
    if (!of.wasReady) {
      of.wasReady = true;
      const isComparable =
        !history.wasResetSince(log.name, of.startedMs) && options.trustedMs(log.name, nowMs()) >= of.startedMs;
      if (isComparable && follower.applied < of.headAtStart)
        fault(
          `${process.name}: ${log.name} is ready at ${follower.applied}, the log had ${of.headAtStart} when it began`,
        );
    }
    const partition = process.running?.host()?.partitions.findIndex((slot) => slot.view === view) ?? 0;
    for (const key of keysOf[partition] ?? []) look(process, view, key, of);
  }

  return {
    sightOf,
    audit(processes) {
      for (const process of processes) {
        if (process.status === 'starting' || process.clock.isPaused) continue;
        if (process.status === 'running')
          for (const view of process.running?.host()?.views.values() ?? []) auditView(process, view);
        heads.set(process, new Map(streams.map((stream) => [stream, { head: options.head(stream), atMs: nowMs() }])));
      }
    },
  };
}
