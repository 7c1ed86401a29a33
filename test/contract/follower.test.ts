/** The contract of the follower, over the log in memory and on real servers. */
import { startMemorySource, startNatsSource } from '../support/log-harness.ts';
import { describeFollowerContract } from './follower-contract.ts';

describeFollowerContract('in memory', startMemorySource);
describeFollowerContract('on one server', () => startNatsSource(1));
