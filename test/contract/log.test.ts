/** The contract of the log, against every implementation and on real servers. */
import { startMemorySource, startNatsSource } from '../support/log-harness.ts';
import { describeLogContract } from './log-contract.ts';

describeLogContract('in memory', startMemorySource);
describeLogContract('on one server', () => startNatsSource(1));
describeLogContract('on three servers with three replicas', () => startNatsSource(3));
