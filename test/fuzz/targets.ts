/** All targets, in the order in which they are run. */
import type { FuzzTarget } from './target.ts';
import { doorTargets } from './targets/door.ts';
import { eventTargets } from './targets/events.ts';
import { inputTargets } from './targets/input.ts';
import { wireTargets } from './targets/wire.ts';

export const fuzzTargets: readonly FuzzTarget[] = [...eventTargets, ...wireTargets, ...inputTargets, ...doorTargets];
