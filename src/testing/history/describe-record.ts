/** A record in words, short enough for a message of a finding. */
import type { HistoryRecord, Operation, ReadOperation } from './record.ts';

const textMax = 40;

export function quote(text: string): string {
  return JSON.stringify(text.length > textMax ? `${text.slice(0, textMax)}…` : text);
}

const at = (position: number | undefined): string => (position === undefined ? '' : ` at ${position}`);

export function describeRead({ value, revision }: Pick<ReadOperation, 'value' | 'revision'>): string {
  return value === null || value === undefined ? 'absent' : `${quote(value)}${at(revision)}`;
}

function describeDeed(operation: Operation): string {
  switch (operation.type) {
    case 'put': {
      const condition =
        operation.ifRevision !== undefined
          ? ` if revision ${operation.ifRevision}`
          : operation.ifAbsent
            ? ' if absent'
            : '';
      return `put ${quote(operation.key)} = ${quote(operation.value)}${condition}`;
    }
    case 'delete':
      return `delete ${quote(operation.key)}${operation.ifRevision === undefined ? '' : ` if revision ${operation.ifRevision}`}`;
    case 'clear':
      return 'clear';
    case 'invalidate':
      return `invalidate tag ${quote(operation.tag)}`;
    case 'read':
      return `read ${operation.consistency} ${quote(operation.key)}`;
  }
}

function describeOperation(operation: Operation): string {
  const end = operation.end === Number.POSITIVE_INFINITY ? '…' : String(operation.end);
  let result = '';
  if (operation.type === 'read') {
    if (operation.outcome === 'ok') result = `: ${describeRead(operation)}`;
  } else if (operation.outcome === 'ok') result = at(operation.revision);
  const outcome = operation.outcome === 'ok' ? '' : ` (${operation.outcome})`;
  return `${describeDeed(operation)}${result}${outcome} by ${operation.process} [${operation.start}, ${end}]`;
}

export function describeRecord(record: HistoryRecord): string {
  switch (record.type) {
    case 'log':
      return `log ${record.event}${'key' in record ? ` ${quote(record.key)}` : ''} at ${record.position}`;
    case 'state':
      return `state of ${record.process} at position ${record.position}`;
    case 'reset':
      return `reset of ${record.process} at time ${record.at}`;
    case 'watch':
      return `watch ${record.watch}: ${record.event}${'key' in record ? ` ${quote(record.key)}` : ''} at ${record.position}`;
    case 'member':
      return `${record.process} saw ${record.node} (${record.nodeIncarnation}) ${record.event} at ${record.position}`;
    default:
      return describeOperation(record);
  }
}
