/** What processes do: each operation through the door that a user has, and what came of it against the truth. */
import { isSluiceError } from '../../src/errors.ts';
import { partitionOf } from '../../src/placement/partition.ts';
import type { WriteRecord } from './checks/ledger.ts';
import { findFault } from './checks/values.ts';
import type { Answer, Demand, Place, WriteFields } from './processes/process.ts';
import type { Operation } from './script.ts';
import { streamOf } from './setting.ts';
import type { SimulatedProcess } from './world/processes.ts';
import type { World } from './world.ts';

/** What an answer must be as new as. */
interface Since {
  readonly notBeforeMs: number;
  readonly historyOfMs: number;
  readonly position: number;
}

export interface Operations {
  /** Begins an operation of a running process. */
  perform(process: SimulatedProcess, operation: Operation): void;
  /** Under way, of processes that live. */
  readonly pending: number;
}

const codeOf = (error: unknown): string => (isSluiceError(error) ? error.code : `? ${String(error)}`);
/** What a writer may be told; anything else is a defect. */
const expectedCodes = new Set([
  'aborted',
  'cache-unknown',
  'cas-unsupported',
  'closed',
  'log-unavailable',
  'not-ready',
  'outcome-unknown',
  'position-conflict',
  'stale',
]);

export function createOperations(world: World): Operations {
  const { time, script, trace, history, ledger, loads, processes } = world;
  const { setting } = script;
  /** By key: the newest write that was acknowledged to anybody. */
  const written = new Map<string, { readonly place: Place; readonly atMs: number }>();
  const pending = new Set<{ readonly process: SimulatedProcess; readonly life: number }>();
  let serial = 0;

  const streamFor = (key: string): string => streamOf(setting, partitionOf(key, setting.partitions));

  function write(
    process: SimulatedProcess,
    kind: WriteRecord['kind'],
    key: string,
    fields: WriteFields,
    value?: string,
  ): void {
    const { door } = process.running ?? {};
    if (door === undefined) return;
    const record = ledger.begin({
      kind,
      by: process.name,
      stream: streamFor(key),
      key,
      value,
      ifRevision: fields.ifRevision,
      ifAbsent: fields.ifAbsent,
      startedMs: time.nowMs,
    });
    const shown = `${process.name} ${kind} ${key} ${value ?? ''}`;
    trace.add(`${shown} ...`);
    follow(
      process,
      kind === 'put' ? door.put(key, value ?? '', fields) : door.delete(key, fields),
      (place) => {
        trace.add(`${shown} at ${place.position}`);
        ledger.end(record, { position: place.position });
        written.set(key, { place, atMs: time.nowMs });
      },
      (code) => {
        trace.add(`${shown} ${code}`);
        ledger.end(record, { error: code });
      },
    );
  }

  /** Results of a process that has died meanwhile reach nobody. */
  function follow<Result>(
    process: SimulatedProcess,
    work: Promise<Result>,
    onResult: (result: Result) => void,
    onError: (code: string) => void,
  ): void {
    const { life, clock } = process;
    const mark = { process, life };
    pending.add(mark);
    const settle = (call: () => void): void => {
      pending.delete(mark);
      if (clock.isAlive) call();
    };
    work.then(
      (result) => settle(() => onResult(result)),
      (error: unknown) =>
        settle(() => {
          const code = codeOf(error);
          if (!expectedCodes.has(code) && !code.includes('not in memory'))
            world.report(`${process.name}: an operation failed with ${code}`);
          onError(code);
        }),
    );
  }

  /** `since`: what the answer must be as new as. */
  function read(process: SimulatedProcess, key: string, demand: Demand, since: Since): void {
    const { door } = process.running ?? {};
    if (door === undefined) return;
    const stream = streamFor(key);
    const startedMs = time.nowMs;
    follow(
      process,
      door.read(key, demand),
      (answer) => judge(process, stream, key, demand, answer, { ...since, startedMs }),
      (code) => trace.add(`${process.name} ${demand.kind} ${key} ${code}`),
    );
  }

  function isSomeCopyOutdated(stream: string): boolean {
    const views = [...processes.all.values()].flatMap(({ running }) => [...(running?.host()?.views.values() ?? [])]);
    return views.some(
      ({ log, follower }) =>
        log.name === stream && history.wasResetSince(stream, world.trustedMs(stream, time.nowMs - follower.lagMs())),
    );
  }

  function judge(
    process: SimulatedProcess,
    stream: string,
    key: string,
    demand: Demand,
    { value, revision, position }: Answer,
    { notBeforeMs, historyOfMs, position: since, startedMs }: Since & { readonly startedMs: number },
  ): void {
    trace.add(`${process.name} ${demand.kind} ${key} = ${value} revision ${revision} position ${position}`);
    const clocks = [...processes.all.values()].map(({ clock }) => clock.now());
    if (demand.kind === 'position' && position !== undefined && position < demand.at.position)
      world.report(`${process.name}: asked for ${key} at ${demand.at.position}, answered at ${position}`);
    // Who asks a leader that was deposed may be told of the past; JetStream has no linearizable read.
    if (demand.kind !== 'local' && world.wasLiedTo(stream, Math.min(notBeforeMs, startedMs))) return;
    // A position means nothing to a copy that does not know yet that its history was given up.
    if (demand.kind !== 'local' && isSomeCopyOutdated(stream)) return;
    const what = findFault(world.truth, {
      stream,
      key,
      atMs: time.nowMs,
      value,
      revision,
      position: Math.max(position ?? 0, since),
      notBeforeMs,
      historyOfMs,
      wallMs: Math.min(...clocks),
      wallMaxMs: Math.max(...clocks),
    });
    if (what !== undefined)
      world.report(
        `${process.name}: ${demand.kind} read of ${key} gave ${value} (revision ${revision}, position ${position}): ${what}`,
      );
  }

  const head = (key: string): number => world.jetStream.streams.get(streamFor(key))?.state.last ?? 0;
  const never = Number.NEGATIVE_INFINITY;

  function readWritten(process: SimulatedProcess, key: string): void {
    const last = written.get(key);
    if (last === undefined) return;
    const { place, atMs } = last;
    const stored = history.at(streamFor(key), place.position, atMs);
    read(
      process,
      key,
      { kind: 'position', at: place },
      {
        notBeforeMs: stored?.atMs ?? never,
        historyOfMs: atMs,
        position: place.position,
      },
    );
  }

  function load(process: SimulatedProcess, operation: Operation & { do: 'load' }): void {
    const { door } = process.running ?? {};
    if (door?.load === undefined) return;
    const { key, takesMs, tags, ttlMs } = operation;
    const { clock } = process;
    serial += 1;
    const value = `loaded-${serial}`;
    const loader = async (): Promise<string> => {
      loads.set(value, { key, calledAtMs: time.nowMs });
      trace.add(`${process.name} loads ${key} as ${value}`);
      await new Promise<void>((resolve) => clock.timer(takesMs, resolve));
      return value;
    };
    follow(
      process,
      door.load(key, loader, { tags, ttlMs }),
      (result) => trace.add(`${process.name} load ${key} = ${result}`),
      (code) => trace.add(`${process.name} load ${key} ${code}`),
    );
  }

  function watch(process: SimulatedProcess): void {
    const { door } = process.running ?? {};
    if (door === undefined) return;
    const { listening, tell } = world.watching.begin(process);
    follow(process, door.watch(tell), listening, (code) => trace.add(`${process.name} watch ${code}`));
  }

  /** Compares with what the process sees now. */
  function compare(process: SimulatedProcess, key: string, kind: WriteRecord['kind'], fields: WriteFields): void {
    const view = process.running?.host()?.views.get(partitionOf(key, setting.partitions));
    const seen = view?.peek(key);
    if (seen === undefined || seen.isLocal) return;
    serial += 1;
    write(process, kind, key, { ...fields, ifRevision: seen.revision }, kind === 'put' ? `value-${serial}` : undefined);
  }

  function perform(process: SimulatedProcess, operation: Operation): void {
    const { door } = process.running ?? {};
    if (door === undefined) return;
    serial += 1;
    const value = `value-${serial}`;
    switch (operation.do) {
      case 'put':
        return write(process, 'put', operation.key, { ttlMs: operation.ttlMs, tags: operation.tags }, value);
      case 'create':
        return write(process, 'put', operation.key, { ifAbsent: true, tags: operation.tags }, value);
      case 'replace':
        return compare(process, operation.key, 'put', { tags: operation.tags });
      case 'delete':
        return write(process, 'delete', operation.key, {});
      case 'delete-seen':
        return compare(process, operation.key, 'delete', {});
      case 'clear':
        return follow(
          process,
          door.clear(),
          () => trace.add(`${process.name} cleared`),
          (code) => trace.add(`${process.name} clear ${code}`),
        );
      case 'invalidate':
        return follow(
          process,
          door.invalidate(operation.tag),
          () => trace.add(`${process.name} invalidated ${operation.tag}`),
          (code) => trace.add(`${process.name} invalidate ${code}`),
        );
      case 'get':
        return read(process, operation.key, { kind: 'local' }, { notBeforeMs: never, historyOfMs: never, position: 0 });
      case 'get-latest':
        return read(
          process,
          operation.key,
          { kind: 'latest' },
          { notBeforeMs: time.nowMs, historyOfMs: time.nowMs, position: head(operation.key) },
        );
      case 'get-fresh': {
        const notBeforeMs = time.nowMs - operation.maxMs;
        return read(
          process,
          operation.key,
          { kind: 'fresh', maxMs: operation.maxMs },
          { notBeforeMs, historyOfMs: notBeforeMs, position: 0 },
        );
      }
      case 'get-written':
        return readWritten(process, operation.key);
      case 'load':
        return load(process, operation);
      case 'watch':
        return watch(process);
    }
  }

  return {
    perform,
    get pending() {
      return [...pending].filter(({ process, life }) => process.life === life && process.status !== 'dead').length;
    },
  };
}
