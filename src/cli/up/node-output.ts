/** The lines that a node or the controller writes to its log, read back: which of them a person wants to see at once. */
import { formatCount, formatSpan, plural, showKey } from '../terminal/text.ts';

const shownCharactersMax = 500;
/** The good news after a warning. */
const reconnected = 'connected to NATS again';
const shownLevels: readonly unknown[] = ['warn', 'error', 'fatal'];

export interface NodeLine {
  /** The node holds everything that is declared. */
  readonly isReady: boolean;
  /** What to show; undefined: nothing. */
  readonly text: string | undefined;
}

/** Anything that is not a line of our log is shown as it is. */
export function readNodeLine(line: string): NodeLine {
  const fields = parseObject(line);
  if (fields === undefined) return { isReady: false, text: line === '' ? undefined : clip(line) };
  const { level, msg, caches, events, replayMs } = fields;
  if (typeof caches === 'number' && typeof events === 'number' && typeof replayMs === 'number') {
    const text = `ready: ${plural(caches, 'cache')}, ${formatCount(events)} events replayed in ${formatSpan(replayMs)}`;
    return { isReady: true, text };
  }
  const isShown = shownLevels.includes(level) || String(msg).startsWith(reconnected);
  return { isReady: false, text: isShown ? clip(String(msg)) : undefined };
}

/** The same for the controller, which is at work as soon as it listens. */
export function readControllerLine(line: string): NodeLine {
  const fields = parseObject(line);
  if (fields !== undefined && typeof fields['controller'] === 'string' && typeof fields['address'] === 'string')
    return { isReady: true, text: 'audits the nodes' };
  return readNodeLine(line);
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** One line, and nothing that a terminal obeys. */
const clip = (text: string): string => showKey(text.slice(0, shownCharactersMax).trim().replace(/\s+/g, ' '));
