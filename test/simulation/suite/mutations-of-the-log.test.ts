/** Errors in how a log is written and followed. */
import { mutations } from '../mutations.ts';
import { testMutations } from './find-mutations.ts';

testMutations(mutations.filter(({ file }) => /^(log|nats)\//.test(file)));
