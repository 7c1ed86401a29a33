/** Seeds 1,001 to 1,500; each file is a process, so that several run at a time. */
import { testSeeds } from './run-seeds.ts';

testSeeds(1001, 1500);
