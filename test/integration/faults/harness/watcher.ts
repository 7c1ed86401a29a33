/**
 * A reader of a cache's change stream over HTTP. When its connection ends it goes on at the next node from the last id that it saw,
 * and it records each stretch as a watch of its own that resumes the one before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeProcess } from '../../../support/node-process.ts';
import type { FaultCache } from './caches.ts';
import { type Histories, shownValue } from './histories.ts';

export interface Watcher {
  /** Ends the connection: it goes on elsewhere. */
  hop(): void;
  readonly told: number;
  stop(): Promise<void>;
}

/**
 * While nobody delivers, the newest message of a key replaces the others, and no watch can tell them any more. Faults stop the
 * delivery at any time; so what was replaced may be missing anywhere, and what is newest may not.
 */
const anywhere = Number.MAX_SAFE_INTEGER;

interface Told {
  readonly key?: string;
  readonly tag?: string;
  readonly value?: string;
  readonly position: number;
  readonly partition?: number;
}

export function startWatcher(histories: Histories, cache: FaultCache, nodes: readonly NodeProcess[]): Watcher {
  const recorder = histories.of(cache.name);
  let isStopped = false;
  let turns = 0;
  let watches = 0;
  let told = 0;
  let lastId = '';
  let connection = new AbortController();

  const positionsOf = (id: string): number[] =>
    cache.partitions === 1 ? [Number(id)] : id.split('.').map((part) => Number.parseInt(part, 36));

  async function watchOnce(node: NodeProcess): Promise<void> {
    connection = new AbortController();
    const response = await fetch(`${node.url}/v1/caches/${cache.name}/watch?values=text`, {
      headers: { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) },
      signal: connection.signal,
    });
    if (response.status !== 200 || response.body === null) {
      await response.arrayBuffer();
      return;
    }
    const before = watches === 0 ? undefined : `w${watches}`;
    watches += 1;
    const watch = { type: 'watch' as const, process: node.id, incarnation: String(node.pid), watch: `w${watches}` };
    let isOpen = false;
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        takeBlock(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }

    function takeBlock(block: string): void {
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const id = fields.get('id');
      const event = fields.get('event');
      if (id !== undefined && !isOpen) {
        isOpen = true;
        for (const [partition, position] of positionsOf(id).entries())
          recorder.observe({ ...watch, partition, event: 'opened', position, head: anywhere, resumes: before });
      } else if (event !== undefined && event !== 'dropped') {
        const data = JSON.parse(fields.get('data') ?? '') as Told;
        const { partition = 0, position, key = '', tag = '' } = data;
        const value = data.value === undefined ? undefined : shownValue(data.value);
        const at = { ...watch, partition, position };
        if (event === 'put') recorder.observe({ ...at, event, key, value });
        else if (event === 'delete') recorder.observe({ ...at, event, key });
        else if (event === 'tag') recorder.observe({ ...at, event, tag });
        else if (event === 'clear' || event === 'reset') recorder.observe({ ...at, event });
        else throw new Error(`unknown event ${event}`);
        told += 1;
      }
      if (id !== undefined) lastId = id;
    }
  }

  async function run(): Promise<void> {
    while (!isStopped) {
      turns += 1;
      const node = nodes[turns % nodes.length];
      if (node === undefined) return;
      await watchOnce(node).catch((error: unknown) => {
        if (error instanceof SyntaxError) throw error;
      });
      await delay(50);
    }
  }

  const running = run();
  return {
    hop: () => connection.abort(),
    get told() {
      return told;
    },
    async stop() {
      isStopped = true;
      connection.abort();
      await running;
    },
  };
}
