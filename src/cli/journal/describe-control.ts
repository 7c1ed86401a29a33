/** An event of the control log as a line of the journal: who did what. */
import { type ControlEvent, decodeControlRecord } from '../../events/control.ts';
import type { LogRecord } from '../../events/record.ts';
import { showKey } from '../terminal/text.ts';
import type { JournalLine } from './journal-line.ts';

export function describeControl(cluster: string, record: LogRecord): JournalLine {
  const { event } = decodeControlRecord(cluster, record);
  const { type, ...facts } = event;
  return {
    position: record.position,
    atMs: record.atMs,
    by: whoDid(event),
    type,
    what: whatHappened(event),
    facts,
  };
}

/** The party that the event names as its author; undefined when it names none. */
function whoDid(event: ControlEvent): string | undefined {
  switch (event.type) {
    case 'member.joined':
    case 'outcome.reported':
      return event.node;
    case 'member.left':
    case 'cache.declared':
    case 'cache.dropped':
      return event.by;
    case 'lease.held':
      return event.holder;
    default:
      return undefined;
  }
}

function whatHappened(event: ControlEvent): string {
  switch (event.type) {
    case 'member.joined': {
      const { node, incarnation, http, version, pid } = event;
      return words(node, `incarnation ${incarnation}`, http && `at ${http}`, `version ${version}`, pid && `pid ${pid}`);
    }
    case 'member.left':
      return words(event.node, `incarnation ${event.incarnation}`, `reason ${event.reason}`);
    case 'cache.declared':
      return words(event.cache, ...Object.entries(event.settings).map(([name, value]) => `${name}=${value ?? 'none'}`));
    case 'cache.dropped':
      return event.cache;
    case 'lease.held':
      return words(event.role, `epoch ${event.epoch}`, `for ${event.durationMs} ms`);
    case 'command.issued':
      return words(event.verb, JSON.stringify(event.body));
    case 'outcome.reported':
      return words(`of ${event.command}`, event.ok ? 'ok' : 'failed', event.code, event.message);
    case 'control.unreadable':
      return words(event.subject, event.reason);
    case 'control.unknown':
      return event.subject;
  }
}

/** What came from the log may hold anything. */
const words = (...parts: readonly (string | number | undefined)[]): string =>
  parts
    .filter((part) => part !== undefined && part !== '')
    .map((part) => showKey(String(part)))
    .join('  ');
