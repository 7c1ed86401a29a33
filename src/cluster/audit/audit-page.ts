/**
 * The copy's side of an audit: what it holds, as revisions and checksums, in bounded pages. It waits until the copy has applied
 * the position that the auditor names, and tells at which position the answer is true; it never asks another process.
 */
import { SluiceError } from '../../errors.ts';
import type { PartitionView } from '../../replay/partition-view.ts';
import { pageOf } from '../../service/key-page.ts';
import type { Entry } from '../../store/entry-store.ts';
import type { PeerAnswer, PeerRequest } from '../peer-protocol.ts';
import { entryChecksum, isInShare } from './entry-checksum.ts';

/** Well below the smallest usual limit of a message (1 MiB). */
const pageBytesMax = 512 * 1024;
/** Revision, checksum, expiry and the marks around them. */
const lineBytes = 60;

type AuditRequest = PeerRequest<'audit'>;
type AuditLine = PeerAnswer<'audit'>['entries'][number];

/** Rejects with `stale` when the copy is not there in time. */
export async function answerAudit(
  view: PartitionView,
  request: AuditRequest,
  waitMs: number,
): Promise<PeerAnswer<'audit'>> {
  const { follower } = view;
  await follower.reached(request.position, { waitMs });
  if (request.isFloorAsked === true) await follower.latest({ waitMs });
  // While messages are missing that others have replaced, a key may be older than the position says.
  if (!view.follower.isWhole) await follower.latest({ waitMs });
  if (!view.follower.isWhole || !follower.isReady)
    throw new SluiceError('stale', `${view.log.name}: the copy is behind, at ${follower.applied}`);
  const at = view.follower.wholeAt;
  const { isComplete } = view;
  if (request.keys !== undefined) return { at, isComplete, entries: namedLines(view, request.keys) };
  return { at, isComplete, ...pageLines(view, request) };
}

/** A value that is in this process alone is not in the log, and nothing to compare. */
const isComparable = (entry: Entry | undefined): entry is Entry => entry !== undefined && !entry.isLocal;

function namedLines(view: PartitionView, keys: readonly string[]): AuditLine[] {
  return keys.flatMap((key) => {
    const entry = view.peek(key);
    return isComparable(entry) ? [lineOf(entry)] : [];
  });
}

function pageLines(view: PartitionView, request: AuditRequest): Pick<PeerAnswer<'audit'>, 'entries' | 'next'> {
  const { after, limit } = request;
  const page = pageOf(listed(view, request), { after, limit }, true);
  const entries: AuditLine[] = [];
  let bytes = 0;
  for (const { key } of page.keys) {
    const entry = view.store.peek(key);
    if (!isComparable(entry)) continue;
    bytes += Buffer.byteLength(JSON.stringify(key)) + lineBytes;
    if (bytes > pageBytesMax && entries.length > 0) return { entries, next: entries.at(-1)?.[0] };
    entries.push(lineOf(entry));
  }
  return page.next === undefined ? { entries } : { entries, next: page.next };
}

function* listed(view: PartitionView, { share }: AuditRequest) {
  for (const entry of view.store.entries())
    if (!entry.isLocal && (share === undefined || isInShare(entry.key, share)))
      yield { key: entry.key, revision: entry.revision, bytes: 0 };
}

function lineOf(entry: Entry): AuditLine {
  const { key, revision, expiresAtMs } = entry;
  return [key, revision, entryChecksum(entry, revision), Number.isFinite(expiresAtMs) ? expiresAtMs : null];
}
