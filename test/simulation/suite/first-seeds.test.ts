/** Seeds 1 to 500; each file is a process, so that several run at a time. */
import { testSeeds } from './run-seeds.ts';

testSeeds(1, 500);
