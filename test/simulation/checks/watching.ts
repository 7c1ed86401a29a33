/** What watchers were told: in the order of the log, each event at most once, the truth, and nothing left out. */
import type { Told } from '../processes/process.ts';
import { type Setting, streamOf } from '../setting.ts';
import type { SimulatedProcess } from '../world/processes.ts';
import { type Event, ends, type History, isIn } from './history.ts';

export interface Watching {
  /** Watches of processes that live. */
  readonly active: number;
  /** Begins when the process is asked to watch; `listening` is to be called when it does. */
  begin(process: SimulatedProcess): { listening(): void; tell(event: Told): void };
  /** `isInLog`: the log still has the event. */
  finish(isInLog: (event: Event) => boolean): void;
}

interface Watch {
  readonly process: SimulatedProcess;
  readonly life: number;
  listeningMs: number;
  /** By partition. */
  readonly last: Map<number, number>;
  readonly told: Map<number, Set<number>>;
  readonly resets: Map<number, { readonly position: number; readonly atMs: number }>;
}

export interface WatchingOptions {
  readonly history: History;
  readonly setting: Setting;
  readonly nowMs: () => number;
  readonly fault: (what: string) => void;
}

export function createWatching({ history, setting, nowMs, fault }: WatchingOptions): Watching {
  const watches: Watch[] = [];

  function check(watch: Watch, told: Told): void {
    const { partition, position, type } = told;
    const stream = streamOf(setting, partition);
    const shown = `${watch.process.name}: watch of ${stream}: ${type} ${told.key ?? told.tag ?? ''} at ${position}`;
    if (type === 'reset') {
      watch.last.set(partition, position);
      watch.told.set(partition, new Set());
      watch.resets.set(partition, { position, atMs: nowMs() });
      return;
    }
    const last = watch.last.get(partition) ?? 0;
    if (position <= last) fault(`${shown}: after ${last}`);
    watch.last.set(partition, position);
    const seen = watch.told.get(partition) ?? new Set();
    watch.told.set(partition, seen.add(position));
    // Several histories may have stored something there.
    const events = history.events(stream).filter((one) => one.position === position && matches(one, told));
    const isExplained = events.some((one) => type !== 'delete' || one.kind !== 'put' || mayBeVoid(one));
    if (events.length === 0) fault(`${shown}: the log never stored that`);
    else if (!isExplained) fault(`${shown}: the put was not void`);
  }

  function matches(event: Event, { type, key, tag, value }: Told): boolean {
    if (type === 'put')
      return event.kind === 'put' && event.key === key && (value === undefined || event.value === value);
    if (type === 'delete') return event.key === key;
    return event.kind === type && event.tag === tag;
  }

  const mayBeVoid = (put: Event): boolean =>
    put.expiresAtMs !== Number.POSITIVE_INFINITY ||
    history.touching(put.stream, put.key ?? '').some((event) => ends(event, put));

  function finishOne(watch: Watch, partition: number, isInLog: (event: Event) => boolean): void {
    const stream = streamOf(setting, partition);
    const reset = watch.resets.get(partition);
    const fromMs = Math.max(watch.listeningMs, reset?.atMs ?? 0);
    const seen = watch.told.get(partition) ?? new Set();
    const first = Math.min(...seen);
    for (const event of history.events(stream)) {
      if (
        event.kind === 'other' ||
        !isIn(event, nowMs()) ||
        !isInLog(event) ||
        event.position <= (reset?.position ?? 0)
      )
        continue;
      const isDue = event.atMs > fromMs || event.position > first;
      if (isDue && !seen.has(event.position))
        fault(
          `${watch.process.name}: watch of ${stream} was never told of the ${event.kind} of ${event.key ?? event.tag ?? ''} at ${event.position}`,
        );
    }
  }

  const isActive = ({ process, life }: Watch): boolean => process.status === 'running' && process.life === life;

  return {
    get active() {
      return watches.filter(isActive).length;
    },
    begin(process) {
      const watch: Watch = {
        process,
        life: process.life,
        listeningMs: Number.POSITIVE_INFINITY,
        last: new Map(),
        told: new Map(),
        resets: new Map(),
      };
      watches.push(watch);
      return {
        listening() {
          watch.listeningMs = nowMs();
        },
        tell: (event) => check(watch, event),
      };
    },
    finish(isInLog) {
      for (const watch of watches) {
        const isOn = isActive(watch) && Number.isFinite(watch.listeningMs);
        for (let partition = 0; isOn && partition < setting.partitions; partition += 1)
          finishOne(watch, partition, isInLog);
      }
    },
  };
}
