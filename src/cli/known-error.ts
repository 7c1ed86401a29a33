/** Errors as the programs tell them apart: ours, a server's refusal that nobody below has put into words, and defects. */
import { isSluiceError, messageOf, SluiceError } from '../errors.ts';
import { JetStreamError } from '../nats/stream-api.ts';

/** The status by which the API says that it cannot answer now. */
const unavailableStatus = 503;

/** What was thrown, with a code. What has none and is no server's answer is `internal`: a defect. */
export function toKnownError(error: unknown): SluiceError {
  if (isSluiceError(error)) return error;
  if (error instanceof JetStreamError) {
    const code = error.code === unavailableStatus ? 'log-unavailable' : 'unsupported';
    return new SluiceError(code, error.message, { cause: error });
  }
  return new SluiceError('internal', messageOf(error), { cause: error });
}
