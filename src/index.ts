/** Sluice, in process: the public list of names. */
export { type ErrorCode, SluiceError } from './errors.ts';
