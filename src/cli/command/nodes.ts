/** members, evict-node, rebuild: who is in the cluster, and the two operations on a node. */
import { Option } from 'commander';
import { pause } from '../../base/clock.ts';
import { decodePeerAnswer, encodePeerBody } from '../../cluster/peer-protocol.ts';
import type { Session } from '../../cluster/session.ts';
import { validateCacheName } from '../../config/cache-settings.ts';
import { isSluiceError, SluiceError } from '../../errors.ts';
import { encodeControlEvent } from '../../events/control.ts';
import { decodePulse, isRefused, mergeReady, type Pulse } from '../../membership/pulse.ts';
import { createMessenger } from '../../nats/messenger.ts';
import { decideEvict, type Member } from '../../state/members.ts';
import { formatTable } from '../terminal/table.ts';
import { formatSpan, isoTime } from '../terminal/text.ts';
import { connectionNotes, connectionOptions, originOf, withSession } from './connection.ts';
import type { Call, CommandSpec } from './context.ts';
import { durationOption, textOption } from './options.ts';

/** Two pulses of the default four per second, and a little. */
const listenDefaultMs = 600;
const rebuildAnswerMs = 5_000;

export const membersCommand: CommandSpec = {
  usage: 'members',
  summary: 'show the nodes of the cluster: what the log says, and what their pulses say',
  options: [
    new Option('--listen <duration>', `how long to listen for pulses [${listenDefaultMs}ms]`),
    ...connectionOptions(),
  ],
  notes: `State silent: the log says that the node lives, and no pulse of it was heard. ${connectionNotes}`,
  async run(call) {
    const listenMs = durationOption(call.given, 'listen') ?? listenDefaultMs;
    return withSession(call, async (session) => {
      const pulses = await hearPulses(call, session, listenMs);
      const { members, epoch } = session.control.state.members;
      const shown = [...members.values()]
        .sort((a, b) => (a.node < b.node ? -1 : 1))
        .map((member) => describeMember(member, pulses.get(member.node)));
      const { terminal } = call;
      if (terminal.isJson) {
        terminal.printJson({ epoch, members: shown });
        return 'ok';
      }
      const rows = shown.map((member) => [
        member.node,
        member.leftReason === undefined ? member.state : `left (${member.leftReason}, by ${member.leftBy})`,
        member.http ?? '-',
        String(member.pid ?? '-'),
        String(member.epoch ?? '-'),
        member.lagMs === undefined ? '-' : formatSpan(member.lagMs),
        member.incarnation,
        member.since ?? '-',
        Object.entries(member.serves)
          .map(([cache, ranges]) => `${cache}:${ranges}`)
          .join(' '),
      ]);
      const head = ['node', 'state', 'http', 'pid', 'epoch', 'lag', 'incarnation', 'since', 'serves'];
      for (const line of formatTable(head, rows)) terminal.print(line);
      terminal.note(`epoch ${epoch}`);
      return 'ok';
    });
  },
};

async function hearPulses(call: Call, session: Session, listenMs: number): Promise<ReadonlyMap<string, Pulse>> {
  const pulses = new Map<string, Pulse>();
  const messenger = createMessenger(session.link, session.options.cluster, call.terminal.note);
  const stop = messenger.onPulse((body) => {
    const pulse = decodePulse(body);
    // What the pulses of one incarnation leave out is in those before.
    if (!isRefused(pulse)) pulses.set(pulse.node, mergeReady(pulses.get(pulse.node), pulse));
  });
  await pause(call.clock, listenMs, call.signal);
  stop();
  return pulses;
}

function describeMember(member: Member, heard: Pulse | undefined) {
  const pulse = heard?.incarnation === member.incarnation ? heard : undefined;
  const alive = pulse === undefined ? 'silent' : pulse.state;
  return {
    node: member.node,
    state: member.status === 'left' ? 'left' : alive,
    incarnation: member.incarnation,
    http: member.http,
    region: member.region,
    pid: member.pid,
    version: member.version,
    joinedAt: member.joinedAt,
    since: isoTime(member.atMs),
    leftReason: member.leftReason,
    leftBy: member.leftBy,
    epoch: pulse?.epoch,
    lagMs: pulse?.lagMs,
    serves: pulse?.ready ?? {},
  };
}

export const evictCommand: CommandSpec = {
  usage: 'evict-node <node>',
  summary: 'publish that a node has left; a live one joins again as a new incarnation',
  options: connectionOptions(),
  notes: `Exit 1 when the node had left already, 68 when no member has that id. ${connectionNotes}`,
  async run(call) {
    const [node = ''] = call.words;
    return withSession(call, async (session) => {
      const [event] = decideEvict(session.control.state.members, node, originOf(call.given));
      const position = event === undefined ? undefined : await appendOnce(session, event);
      const { terminal } = call;
      const evicted = position !== undefined;
      if (terminal.isJson) terminal.printJson({ node, evicted, incarnation: event?.incarnation, position });
      else if (evicted) terminal.print(`${node}: evicted at position ${position}, incarnation ${event?.incarnation}`);
      else terminal.note(`sluice: ${node} had left already`);
      return evicted ? 'ok' : 'negative';
    });
  },
};

/** The position, or undefined when that incarnation had left meanwhile. */
async function appendOnce(
  session: Session,
  event: Parameters<typeof encodeControlEvent>[1],
): Promise<number | undefined> {
  try {
    const write = encodeControlEvent(session.options.cluster, event);
    return (await session.control.log.append(write, { expected: 0 })).position;
  } catch (error) {
    if (isSluiceError(error, 'position-conflict')) return undefined;
    throw error;
  }
}

export const rebuildCommand: CommandSpec = {
  usage: 'rebuild <node>',
  summary: 'make a node drop and replay one cache, or all that it holds',
  options: [new Option('--cache <name>', 'only this cache'), ...connectionOptions()],
  notes: `Exit 68 when no member has that id, 69 when the node does not answer. ${connectionNotes}`,
  async run(call) {
    const [node = ''] = call.words;
    const cache = textOption(call.given, 'cache');
    if (cache !== undefined) validateCacheName(cache);
    return withSession(call, async (session) => {
      if (!session.control.state.members.members.has(node)) {
        throw new SluiceError('node-unknown', `node ${JSON.stringify(node)}: no member has that id`, {
          details: { node },
        });
      }
      const messenger = createMessenger(session.link, session.options.cluster, call.terminal.note);
      const request = encodePeerBody(cache === undefined ? {} : { cache });
      const answer = await messenger.request(node, 'rebuild', request, rebuildAnswerMs);
      const rebuilt = decodePeerAnswer('rebuild', answer).fields.rebuilt.sort();
      if (call.terminal.isJson) call.terminal.printJson({ node, rebuilt });
      else
        call.terminal.print(
          `${node}: replaying ${rebuilt.length === 0 ? 'nothing: it holds no cache' : rebuilt.join(', ')}`,
        );
      return 'ok';
    });
  },
};
