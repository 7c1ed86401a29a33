/** The same of a cache that holds as much as it may, so that each hit also keeps the order of use. */
import type { CreateSide } from '../side.ts';
import type { HitSetup } from './load.ts';
import { createHits } from './sluice.ts';

export const createSide: CreateSide<HitSetup> = (setup) => createHits(setup, 'products-full', setup.keys);
