/** Replicated logs under load, while a server dies, or a server or a node is cut off. */
import { describe } from 'node:test';
import { testFaults } from './kept.ts';

describe('three nodes and two clients on three servers', () => {
  testFaults({ seed: 3, replicas: 3, faults: ['leader-killed', 'server-partitioned', 'node-partitioned'] });
});
