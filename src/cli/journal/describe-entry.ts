/** An event of a cache's log as a line of the journal: who did what to which key. */
import { type BucketContext, type BucketEvent, decodeBucketRecord } from '../../events/entry.ts';
import { headerNames, headerText, readField } from '../../events/header.ts';
import type { LogRecord } from '../../events/record.ts';
import { isoTime, jsonValue, plural, previewValue, showKey } from '../terminal/text.ts';
import type { JournalLine } from './journal-line.ts';

export interface EntryStyle {
  readonly context: BucketContext;
  /** Named in each line when there are several. */
  readonly bucket: string | undefined;
  readonly hasValues: boolean;
}

export function describeEntry({ context, bucket, hasValues }: EntryStyle, record: LogRecord): JournalLine {
  const event = decodeBucketRecord(context, record);
  const { position, atMs } = record;
  return {
    position,
    atMs,
    // Only Sluice writes this header; whoever used another KV client is not known.
    by: record.header === undefined ? undefined : readField(headerText(record.header), headerNames.origin),
    type: event.type,
    what: whatHappened(event, record, hasValues),
    facts: { ...(bucket === undefined ? {} : { bucket }), ...factsOf(event, record, hasValues) },
  };
}

function whatHappened(event: BucketEvent, record: LogRecord, hasValues: boolean): string {
  switch (event.type) {
    case 'entry.put': {
      const { key, value, contentType, tags, expiresAtMs, basis } = event;
      return [
        showKey(key),
        plural(value.length, 'byte'),
        hasValues ? previewValue(value) : '',
        contentType === undefined ? '' : showKey(contentType),
        tags === undefined ? '' : `tags ${tags.map(showKey).join(',')}`,
        Number.isFinite(expiresAtMs) ? `expires ${isoTime(expiresAtMs)}` : '',
        basis === undefined ? '' : `loaded as of ${basis}`,
      ]
        .filter((part) => part !== '')
        .join('  ');
    }
    case 'entry.deleted':
      return showKey(event.key);
    case 'entry.unreadable':
      return `${showKey(event.key)}  ${showKey(event.reason)}`;
    case 'cache.cleared':
      return 'all entries';
    case 'tag.invalidated':
      return `tag ${showKey(event.tag)}`;
    case 'foreign':
      return `${showKey(record.subject)}  ${event.reason}`;
  }
}

function factsOf(event: BucketEvent, record: LogRecord, hasValues: boolean): Readonly<Record<string, unknown>> {
  if (event.type === 'foreign') return { subject: record.subject, reason: event.reason };
  if (event.type !== 'entry.put') {
    const { type: _, ...facts } = event;
    return facts;
  }
  const { key, value, contentType, tags, expiresAtMs, basis } = event;
  return {
    key,
    bytes: value.length,
    contentType,
    tags,
    expires: isoTime(expiresAtMs),
    basis,
    ...(hasValues ? jsonValue(value) : {}),
  };
}
