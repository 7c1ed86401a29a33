/** Seeds 1,501 to 2,000; each file is a process, so that several run at a time. */
import { testSeeds } from './run-seeds.ts';

testSeeds(1501, 2000);
