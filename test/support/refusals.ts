/** What a call is refused with. */
import assert from 'node:assert/strict';
import { type ErrorCode, isSluiceError, type SluiceError } from '../../src/errors.ts';

/** Resolves with the error of that code that the call rejects with; fails when it does anything else. */
export async function refusalOf(code: ErrorCode, call: Promise<unknown>): Promise<SluiceError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  assert.ok('error' in outcome, `expected ${code}, got a result`);
  const { error } = outcome;
  if (isSluiceError(error, code)) return error;
  throw new assert.AssertionError({ message: `expected ${code}`, actual: error, expected: code });
}
