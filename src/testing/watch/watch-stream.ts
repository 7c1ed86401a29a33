/** What one watch told, in the order in which it told it, cut at resets: what was told before one is void. */
import type { Position } from '../../events/record.ts';
import { type History, partitionOf, type WatchObservation } from '../history/record.ts';

export type Opened = Extract<WatchObservation, { event: 'opened' }>;
export type Told = Extract<WatchObservation, { event: 'put' | 'delete' | 'clear' | 'tag' }>;

export interface WatchStream {
  readonly watch: string;
  readonly partition: number;
  readonly opened: Opened | undefined;
  /** All of it, in order. */
  readonly observations: readonly WatchObservation[];
}

/** A stretch without reset. It tells what is above `from`. */
export interface Stretch {
  readonly from: Position;
  readonly begin: WatchObservation | undefined;
  readonly observations: readonly WatchObservation[];
}

export const isTold = (observation: WatchObservation): observation is Told =>
  ['put', 'delete', 'clear', 'tag'].includes(observation.event);

export function watchStreamsOf(history: History): WatchStream[] {
  const streams = new Map<string, WatchObservation[]>();
  for (const record of history) {
    if (record.type !== 'watch') continue;
    const name = JSON.stringify([record.watch, partitionOf(record)]);
    const stream = streams.get(name);
    if (stream === undefined) streams.set(name, [record]);
    else stream.push(record);
  }
  return [...streams].map(([name, observations]) => {
    const [watch, partition] = JSON.parse(name) as [string, number];
    const opened = observations.find((observation): observation is Opened => observation.event === 'opened');
    return { watch, partition, opened, observations: [...observations].sort((one, other) => one.at - other.at) };
  });
}

export function stretchesOf({ observations }: WatchStream): Stretch[] {
  const stretches: { from: Position; begin: WatchObservation | undefined; observations: WatchObservation[] }[] = [];
  let current: (typeof stretches)[number] | undefined;
  for (const observation of observations) {
    if (observation.event === 'opened' || observation.event === 'reset') {
      current = { from: observation.position, begin: observation, observations: [] };
      stretches.push(current);
      continue;
    }
    // A watch whose opening nobody noted says nothing of what was before its first event.
    if (current === undefined) {
      current = { from: observation.position - 1, begin: undefined, observations: [] };
      stretches.push(current);
    }
    current.observations.push(observation);
  }
  return stretches;
}

/** Up to where the stretch says that it told everything. */
export const coveredBy = ({ from, observations }: Stretch): Position =>
  observations.reduce((highest, { position }) => Math.max(highest, position), from);

/** The filter that the watch was opened with. What concerns many keys passes every filter. */
export function passes(opened: Opened | undefined, key: string | undefined): boolean {
  return key === undefined || opened?.prefix === undefined || key.startsWith(opened.prefix);
}
