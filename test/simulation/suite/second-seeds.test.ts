/** Seeds 501 to 1,000; each file is a process, so that several run at a time. */
import { testSeeds } from './run-seeds.ts';

testSeeds(501, 1000);
