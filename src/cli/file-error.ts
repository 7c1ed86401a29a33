/** A file of the command line that cannot be read or written: `not-found` where there is none, else a failure of its own. */
import { messageOf, SluiceError } from '../errors.ts';

/** Anything but a missing file: no permission, a full disk, a broken device. */
export class FileError extends SluiceError {}

/** `field` is the option or word that names the file. */
export function fileError(field: string, error: unknown): SluiceError {
  const isMissing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
  const options = { cause: error, details: { field } };
  const message = `${field}: ${messageOf(error)}`;
  return isMissing ? new SluiceError('not-found', message, options) : new FileError('bad-request', message, options);
}
