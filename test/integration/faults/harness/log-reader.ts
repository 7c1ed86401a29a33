/**
 * What the log itself holds, read from the servers by a way of its own: without the code under test, and around all proxies.
 */
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { StateEntry } from '../../../../src/testing/index.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { type ReadableWatch, watchReadable } from './readable-spans.ts';
import type { Servers } from './servers.ts';

export interface StoredEvent {
  readonly event: 'put' | 'delete' | 'clear' | 'tag';
  readonly position: number;
  readonly key: string;
  readonly value: string;
  readonly tag: string;
  readonly tags: readonly string[];
}

export interface StoredLog {
  readonly head: number;
  readonly events: readonly StoredEvent[];
  /** What a copy of it holds. */
  readonly entries: readonly StateEntry[];
}

export interface StoredMessage {
  readonly subject: string;
  readonly seq: number;
  readonly text: string;
  readonly headers: ReadonlyMap<string, string>;
}

export interface LogReader {
  readLog(stream: string, bucket: string): Promise<StoredLog>;
  readMessages(stream: string): Promise<{ readonly head: number; readonly messages: readonly StoredMessage[] }>;
  /** Makes consumers on the stream, and removes them again, until it is stopped. */
  watchReadable(stream: string): ReadableWatch;
  /** One call of the JetStream API; undefined when there was no answer or it was an error. */
  call(api: string, body?: object): Promise<Record<string, unknown> | undefined>;
  close(): Promise<void>;
}

const waitMs = 60_000;

export async function openLogReader(servers: Servers): Promise<LogReader> {
  const nats: NatsConnection = await connect({
    servers: servers.all.map(({ server }) => server.url),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    pingInterval: 1_000,
    ignoreClusterUpdates: true,
  });

  async function ask(api: string, body?: object): Promise<Record<string, unknown> | undefined> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const answer = await nats.request(`$JS.API.${api}`, text, { timeout: 2_000 }).catch(() => undefined);
    return answer === undefined ? undefined : (JSON.parse(answer.string()) as Record<string, unknown>);
  }

  async function call(api: string, body?: object): Promise<Record<string, unknown> | undefined> {
    const answer = await ask(api, body);
    return answer?.['error'] === undefined ? answer : undefined;
  }

  const noMessage = 10037;

  async function messageFrom(stream: string, seq: number): Promise<StoredMessage | null> {
    const answer = await waitUntil(
      `message ${seq} of ${stream}`,
      async () => {
        const got = await ask(`STREAM.MSG.GET.${stream}`, { seq, next_by_subj: '>' });
        const code = (got?.['error'] as { err_code?: number } | undefined)?.err_code;
        return got?.['message'] !== undefined || code === noMessage ? got : undefined;
      },
      waitMs,
    );
    const message = answer['message'] as { subject: string; seq: number; hdrs?: string; data?: string } | undefined;
    if (message === undefined) return null;
    const lines = Buffer.from(message.hdrs ?? '', 'base64')
      .toString()
      .split('\r\n')
      .slice(1);
    return {
      subject: message.subject,
      seq: message.seq,
      text: Buffer.from(message.data ?? '', 'base64').toString(),
      headers: new Map(lines.filter((line) => line !== '').map((line) => splitHeader(line))),
    };
  }

  async function readMessages(stream: string): ReturnType<LogReader['readMessages']> {
    const messages: StoredMessage[] = [];
    for (let next = 1; ; ) {
      const message = await messageFrom(stream, next);
      if (message === null) break;
      messages.push(message);
      next = message.seq + 1;
    }
    const info = await waitUntil(`${stream} is there`, () => call(`STREAM.INFO.${stream}`), waitMs);
    return { head: (info['state'] as { last_seq: number }).last_seq, messages };
  }

  return {
    call,
    readMessages,
    watchReadable: (stream) =>
      watchReadable(stream, async () => {
        const info = await call(`STREAM.INFO.${stream}`);
        if (info === undefined || !hasLeader(info['cluster'] as ClusterInfo | undefined)) return false;
        const config = { deliver_policy: 'new', ack_policy: 'none', mem_storage: true, num_replicas: 1 };
        const made = await call(`CONSUMER.CREATE.${stream}`, {
          stream_name: stream,
          config: { ...config, inactive_threshold: 5e9 },
        });
        if (made === undefined) return false;
        await call(`CONSUMER.DELETE.${stream}.${String(made['name'])}`);
        return true;
      }),
    async readLog(stream, bucket) {
      const { head, messages } = await readMessages(stream);
      const events = messages.map((message) => eventOf(message, bucket));
      return { head, events, entries: foldEntries(events) };
    },
    close: () => nats.close(),
  };
}

interface ClusterInfo {
  readonly leader?: string;
  readonly replicas?: readonly { readonly offline?: boolean; readonly active: number }[];
}

/** The meta leader makes consumers also while a stream has no leader of its own; then nothing is delivered to them. */
function hasLeader(cluster: ClusterInfo | undefined): boolean {
  if (cluster === undefined) return true;
  const { leader, replicas = [] } = cluster;
  const heard = replicas.filter(({ offline, active }) => offline !== true && active < quietMaxNs).length;
  return leader !== undefined && leader !== '' && 2 * (heard + 1) > replicas.length + 1;
}

/** A leader of a group that it has not heard for so long may have been replaced. */
const quietMaxNs = 3e9;

function splitHeader(line: string): [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

/** The keys of the workload are their own tokens, as any KV client writes them. */
function eventOf({ subject, seq, text, headers }: StoredMessage, bucket: string): StoredEvent {
  const keys = `$KV.${bucket}.`;
  const tagged = `sluice.bucket.${bucket}.tag.`;
  const tags = headers.get('Sluice-Tags')?.split(',') ?? [];
  const plain = { position: seq, key: '', value: '', tag: '', tags };
  if (subject.startsWith(keys)) {
    const isGone = headers.get('KV-Operation') !== undefined || headers.get('Nats-Marker-Reason') !== undefined;
    const key = subject.slice(keys.length);
    return isGone ? { ...plain, event: 'delete', key } : { ...plain, event: 'put', key, value: text };
  }
  if (subject.startsWith(tagged)) return { ...plain, event: 'tag', tag: subject.slice(tagged.length) };
  if (subject === `sluice.bucket.${bucket}.clear`) return { ...plain, event: 'clear' };
  throw new Error(`${subject}: nobody writes there`);
}

function foldEntries(events: readonly StoredEvent[]): StateEntry[] {
  const entries = new Map<string, StoredEvent>();
  for (const event of events) {
    if (event.event === 'put') entries.set(event.key, event);
    else if (event.event === 'delete') entries.delete(event.key);
    else
      for (const [key, { tags }] of entries)
        if (event.event === 'clear' || tags.includes(event.tag)) entries.delete(key);
  }
  return [...entries.values()].map(({ key, value, position }) => ({ key, value, revision: position }));
}
