/**
 * Reads something large over HTTP, piece by piece, with a limit on everything: until the answer, between two pieces,
 * over all, and in bytes. It stores nothing.
 */
import type { Clock } from '../../base/clock.ts';
import { isSluiceError, messageOf, SluiceError } from '../../errors.ts';

/** Limits of one download. The first two make a machine without a network move on soon. */
export interface DownloadLimits {
  /** Until the answer begins, redirects included. */
  readonly answerMs: number;
  /** Between two pieces of the body. */
  readonly silenceMs: number;
  readonly wholeMs: number;
  readonly bytesMax: number;
}

export type Consume = (piece: Buffer, wholeBytes: number | undefined) => void | Promise<void>;

// An archive is to arrive as it lies there; some servers would declare its compression as one of the transfer.
const identityHeaders = { 'accept-encoding': 'identity' };

/** Reads the body of a GET piece by piece. Throws `broker-unavailable` with the URL and the reason, or `aborted`. */
export async function fetchBody(
  url: string,
  limits: DownloadLimits,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal | undefined },
  consume: Consume,
): Promise<void> {
  const watch = createWatch(clock, signal);
  const stopWhole = watch.limit(limits.wholeMs, 'not complete');
  try {
    const stopAnswer = watch.limit(limits.answerMs, 'no answer');
    const response = await fetch(url, { signal: watch.signal, headers: identityHeaders });
    stopAnswer();
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    const wholeBytes = parseLength(response.headers.get('content-length'));
    let bytes = 0;
    let stopSilence = watch.limit(limits.silenceMs, 'no more bytes');
    for await (const piece of response.body) {
      stopSilence();
      bytes += piece.length;
      if (bytes > limits.bytesMax) throw new Error(`larger than ${limits.bytesMax} bytes`);
      await consume(Buffer.from(piece), wholeBytes);
      stopSilence = watch.limit(limits.silenceMs, 'no more bytes');
    }
    stopSilence();
  } catch (error) {
    if (signal?.aborted) throw new SluiceError('aborted', `the download of ${url} was given up`, { cause: error });
    if (isSluiceError(error)) throw error;
    const reason = watch.reason ?? reasonOf(error);
    throw new SluiceError('broker-unavailable', `${url}: ${reason}`, { cause: error });
  } finally {
    stopWhole();
    watch.close();
  }
}

interface Watch {
  readonly signal: AbortSignal;
  /** Which limit was the first to be reached. */
  readonly reason: string | undefined;
  /** Aborts after that time unless the returned function is called first. */
  limit(limitMs: number, what: string): () => void;
  close(): void;
}

function createWatch(clock: Clock, outer: AbortSignal | undefined): Watch {
  const controller = new AbortController();
  let reason: string | undefined;
  const onAbort = (): void => controller.abort();
  if (outer?.aborted) controller.abort();
  outer?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    get reason() {
      return reason;
    },
    limit(limitMs, what) {
      const timer = clock.timer(limitMs, () => {
        reason ??= `${what} within ${limitMs / 1_000} s`;
        controller.abort();
      });
      return () => timer.cancel();
    },
    close() {
      outer?.removeEventListener('abort', onAbort);
      // Frees the connection of an answer that was not read to its end.
      controller.abort();
    },
  };
}

function parseLength(header: string | null): number | undefined {
  const length = Number(header ?? Number.NaN);
  return Number.isSafeInteger(length) ? length : undefined;
}

/** fetch() says only "fetch failed"; the reason is in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)} (${messageOf(cause)})`;
}
