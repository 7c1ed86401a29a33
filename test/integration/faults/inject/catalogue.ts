/** All faults, by name. */
import type { Fault } from './fault.ts';
import * as network from './network-faults.ts';
import * as processes from './process-faults.ts';
import * as storage from './storage-faults.ts';

const all: readonly Fault[] = [processes, network, storage].flatMap((faults) => Object.values(faults));

export const faults: ReadonlyMap<string, Fault> = new Map(all.map((fault) => [fault.name, fault]));

export function faultCalled(name: string): Fault {
  const fault = faults.get(name);
  if (fault === undefined) throw new Error(`${name}: no such fault; there are ${[...faults.keys()].join(', ')}`);
  return fault;
}
