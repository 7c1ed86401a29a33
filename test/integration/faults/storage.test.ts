/** Logs that are full or made anew, disks that are full or broken, a clock that jumps; under load. */
import { describe } from 'node:test';
import { testFaults } from './kept.ts';

describe('three nodes and two clients on one server, whose storage fails,', () => {
  testFaults({
    seed: 2,
    replicas: 1,
    faults: ['stream-recreated', 'stream-full', 'disk-full', 'sync-failing', 'clock-jumped'],
  });
});
