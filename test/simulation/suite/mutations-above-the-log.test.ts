/** Errors in copies, caches, loads, watches and members. */
import { mutations } from '../mutations.ts';
import { testMutations } from './find-mutations.ts';

testMutations(mutations.filter(({ file }) => !/^(log|nats)\//.test(file)));
