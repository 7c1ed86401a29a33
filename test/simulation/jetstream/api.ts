/**
 * The JetStream API as JSON: the calls that Sluice makes. A stream without a leader does not answer, or tells of the past and names
 * no leader; one whose leader was deposed and does not know it tells of the past.
 */
import { partitionOf } from '../../../src/placement/partition.ts';
import type { WireMessage } from '../world/message.ts';
import type { ConsumerRequest, PullRequest } from './consumer.ts';
import { covers, type JetStream, type StreamHost, type StreamView } from './jetstream.ts';
import type { StreamConfig } from './stream.ts';

/** An object is sent back as JSON; 'nobody' is "no responders"; 'silence' is no answer at all. */
export type ApiAnswer = object | 'nobody' | 'silence';

const failure = (code: number, errCode: number, description: string): object => ({
  error: { code, err_code: errCode, description },
});
const streamNotFound = failure(404, 10059, 'stream not found');
const consumerNotFound = failure(404, 10014, 'consumer not found');

export function answerApi(jetStream: JetStream, message: WireMessage): ApiAnswer {
  const [verb = '', action = '', stream = '', consumer = '', extra = ''] = message.subject
    .slice('$JS.API.'.length)
    .split('.');
  const text = Buffer.from(message.data).toString('utf8');
  const body: unknown = text === '' ? {} : JSON.parse(text);
  if (verb === 'CONSUMER' && action === 'MSG')
    return pull(jetStream, consumer, extra, message.reply, body as PullRequest);
  if (verb === 'STREAM' && action === 'MSG') return answerStream(jetStream, 'MSG.GET', consumer, body, message.reply);
  if (verb === 'CONSUMER') return answerConsumer(jetStream, action, stream, consumer, body);
  return answerStream(jetStream, action, stream, body, message.reply);
}

function pull(
  jetStream: JetStream,
  stream: string,
  name: string,
  reply: string | undefined,
  request: PullRequest,
): ApiAnswer {
  const consumer = jetStream.streams.get(stream)?.consumers.get(name);
  if (consumer === undefined) return 'nobody';
  if (reply !== undefined) consumer.pull(reply, request);
  return 'silence';
}

function answerConsumer(jetStream: JetStream, action: string, stream: string, name: string, body: unknown): ApiAnswer {
  const host = jetStream.streams.get(stream);
  if (host === undefined) return streamNotFound;
  if (isLeaderless(jetStream, host)) return 'silence';
  if (action === 'DELETE')
    return host.removeConsumer(name, '409 Consumer Deleted') ? { success: true } : consumerNotFound;
  if (host.consumers.has(name)) return failure(400, 10148, 'consumer already exists');
  const consumer = host.addConsumer(name, (body as { config: ConsumerRequest }).config);
  return { name, num_pending: consumer.pending, delivered: { consumer_seq: 0, stream_seq: consumer.next - 1 } };
}

const isLeaderless = (jetStream: JetStream, host: StreamHost): boolean =>
  jetStream.options.time.nowMs < host.faults.leaderlessUntilMs;

function answerStream(
  jetStream: JetStream,
  action: string,
  name: string,
  body: unknown,
  reply: string | undefined,
): ApiAnswer {
  const host = jetStream.streams.get(name);
  if (action === 'CREATE') {
    const config = body as StreamConfig;
    if (host !== undefined) return failure(400, 10058, 'stream name already in use with a different configuration');
    return info(jetStream.create(config));
  }
  if (host === undefined) return streamNotFound;
  if (isLeaderless(jetStream, host)) return action === 'INFO' ? infoWithoutLeader(jetStream, host) : 'silence';
  switch (action) {
    case 'INFO':
      return info(host, viewOf(jetStream, host, reply));
    case 'MSG.GET':
      return message(
        viewOf(jetStream, host, reply),
        body as { last_by_subj: string } | { seq: number; next_by_subj: '>' },
      );
    case 'PURGE':
      return purge(host, body as { filter?: string; seq?: number });
    case 'UPDATE':
      host.state.config = body as StreamConfig;
      return info(host);
    case 'DELETE':
      for (const consumer of [...host.consumers.keys()]) host.removeConsumer(consumer, '409 Consumer Deleted');
      return jetStream.delete(name) ? { success: true } : streamNotFound;
    default:
      return failure(400, 10003, 'bad request');
  }
}

/** While there are two leaders, it is the one on the asker's side of the cut who answers. */
function viewOf(jetStream: JetStream, { state, deposed }: StreamHost, reply = ''): StreamView {
  if (deposed === undefined || jetStream.options.time.nowMs >= deposed.untilMs) return state;
  const asker = reply.slice(0, reply.lastIndexOf('.'));
  return partitionOf(`${asker} ${deposed.untilMs}`, 2) === 0 ? deposed.view : state;
}

function info({ state }: Pick<StreamHost, 'state'>, view: Omit<StreamView, 'newest' | 'next'> = state): object {
  const { created, first, last, size, lastAtMs } = view;
  const lastTime = lastAtMs === undefined ? {} : { last_ts: new Date(lastAtMs).toISOString() };
  return {
    config: state.config,
    created,
    state: { messages: size, bytes: 0, first_seq: first, last_seq: last, ...lastTime },
  };
}

/** A replica that has stepped down and knows of no leader answers from what it has, which may be less than others have, and says so. */
function infoWithoutLeader(jetStream: JetStream, { state }: StreamHost): ApiAnswer {
  const { random } = jetStream.options;
  if (state.config.num_replicas === 1 || random.fraction() < 0.5) return 'silence';
  const last = Math.max(0, state.last - random.below(4));
  const { created, first, size } = state;
  const lastAtMs = state.at(last)?.atMs;
  const past = { created, first: Math.min(first, last + 1), last, size: Math.min(size, last), lastAtMs };
  return { ...info({ state }, past), cluster: { name: 'simulated', leader: '', replicas: [] } };
}

function message(view: StreamView, which: { last_by_subj: string } | { seq: number; next_by_subj: '>' }): object {
  const found = 'seq' in which ? view.next(which.seq, Number.POSITIVE_INFINITY) : view.newest(which.last_by_subj);
  if (found === undefined) return failure(404, 10037, 'no message found');
  const { position, subject, header, data, atMs } = found;
  return {
    message: {
      subject,
      seq: position,
      time: new Date(atMs).toISOString(),
      ...(header === undefined ? {} : { hdrs: Buffer.from(header).toString('base64') }),
      ...(data.length === 0 ? {} : { data: Buffer.from(data).toString('base64') }),
    },
  };
}

function purge({ state }: StreamHost, { filter, seq }: { filter?: string; seq?: number }): object {
  const purged = state.remove(
    (message) =>
      (filter === undefined || covers(filter, message.subject)) && (seq === undefined || message.position < seq),
    'purged',
  );
  return { purged };
}
