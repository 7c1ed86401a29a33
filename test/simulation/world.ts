/** A whole world: one time, one network, one server, the processes, the truth about the logs, and everything that watches. */

import { type CopyChecks, createCopyChecks } from './checks/copies.ts';
import { createHistory, type Event, type History } from './checks/history.ts';
import { createLedger, type Ledger } from './checks/ledger.ts';
import { createMemberChecks, type MemberChecks } from './checks/members.ts';
import type { LoadedValue, Truth } from './checks/values.ts';
import { createWatching, type Watching } from './checks/watching.ts';
import { randomFor } from './generate.ts';
import { createJetStream, type JetStream, type StreamHost } from './jetstream/jetstream.ts';
import type { Stored } from './jetstream/stream.ts';
import type { Script } from './script.ts';
import { controlStream, personalityOf, streamOf } from './setting.ts';
import { createBroker } from './world/broker.ts';
import { createNetwork, type Network } from './world/network.ts';
import { createProcesses, type Processes } from './world/processes.ts';
import { createTrace, type Trace } from './world/trace.ts';
import { createVirtualTime, type VirtualTime } from './world/virtual-time.ts';

export interface Fault {
  readonly atMs: number;
  readonly what: string;
}

export interface World {
  readonly script: Script;
  readonly time: VirtualTime;
  readonly network: Network;
  readonly jetStream: JetStream;
  readonly processes: Processes;
  readonly history: History;
  readonly truth: Truth;
  readonly loads: Map<string, LoadedValue>;
  readonly ledger: Ledger;
  readonly copies: CopyChecks;
  readonly watching: Watching;
  readonly members: MemberChecks;
  readonly trace: Trace;
  /** The first thing that was wrong; the run ends with it. */
  readonly fault: Fault | undefined;
  report(what: string): void;
  /** The stream of a partition; -1: the control log. */
  stream(partition: number): StreamHost | undefined;
  /** What can be believed of a proof of that moment: of what a deposed leader said, and of a history that was given up in silence. */
  trustedMs(stream: string, atMs: number): number;
  /** A leader told of the past since then. */
  wasLiedTo(stream: string, sinceMs: number): boolean;
  isInLog(event: Event): boolean;
  depose(partition: number, forMs: number): void;
}

const never = Number.NEGATIVE_INFINITY;
/** After so long of silence at most, a follower asks again who its log is. */
const noticeMs = 3_500;

export function createWorld(script: Script, keepsTrace: boolean): World {
  const { seed, setting } = script;
  const time = createVirtualTime();
  const trace = createTrace(() => time.nowMs, keepsTrace);
  const nowMs = (): number => time.nowMs;
  const network = createNetwork(time, randomFor(seed, 'network'));
  const broker = createBroker();
  const history = createHistory(nowMs, (line) => trace.add(line));
  const loads = new Map<string, LoadedValue>();
  const truth: Truth = { history, loads };
  /** By stream: when leaders told of the past. */
  const deposed = new Map<string, { readonly fromMs: number; readonly untilMs: number }[]>();
  let fault: Fault | undefined;

  function report(what: string): void {
    trace.add(`FAULT ${what}`);
    fault ??= { atMs: time.nowMs, what };
  }

  const jetStream = createJetStream({
    time,
    random: randomFor(seed, 'jetstream'),
    broker,
    personality: personalityOf(setting),
    witness: {
      stored(stream, message) {
        history.stored(stream, message);
        if (stream === controlStream) members.stored(message);
      },
      removed: (stream, message, why) => history.removed(stream, message, why),
      reset: (stream, last, why) => history.reset(stream, last, why),
    },
  });
  const processes = createProcesses({
    setting,
    time,
    network,
    broker,
    randomFor: (name) => randomFor(seed, name),
    trace: (line) => trace.add(line),
  });
  const wasLogTroubled = (sinceMs: number): boolean => {
    const faults = jetStream.streams.get(controlStream)?.faults;
    return faults !== undefined && Math.max(faults.leaderlessUntilMs, faults.faultyUntilMs) > sinceMs;
  };
  const members = createMemberChecks({
    wasLogTroubled,
    history,
    network,
    processes: processes.all,
    nowMs,
    fault: report,
  });
  const head = (stream: string): number => jetStream.streams.get(stream)?.state.last ?? 0;

  function trustedMs(stream: string, atMs: number): number {
    const lie = (deposed.get(stream) ?? []).find(({ fromMs, untilMs }) => atMs >= fromMs && atMs <= untilMs);
    const untoldMs = jetStream.streams.get(stream)?.untoldResetMs ?? never;
    const isUntold = atMs >= untoldMs && atMs <= untoldMs + noticeMs;
    return lie?.fromMs ?? (isUntold ? untoldMs - 1 : atMs);
  }

  function wasLiedTo(stream: string, sinceMs: number): boolean {
    return (deposed.get(stream) ?? []).some(({ untilMs }) => untilMs >= sinceMs);
  }

  return {
    script,
    time,
    network,
    jetStream,
    processes,
    history,
    truth,
    loads,
    trace,
    members,
    report,
    trustedMs,
    wasLiedTo,
    ledger: createLedger({ history, nowMs, fault: report }),
    copies: createCopyChecks({ truth, setting, nowMs, head, trustedMs, fault: report }),
    watching: createWatching({ history, setting, nowMs, fault: report }),
    get fault() {
      return fault;
    },
    stream: (partition) => jetStream.streams.get(partition < 0 ? controlStream : streamOf(setting, partition)),
    isInLog: (event) => {
      const message = jetStream.streams.get(event.stream)?.state.at(event.position);
      return message !== undefined && message.subject === event.subject;
    },
    depose(partition, forMs) {
      const host = jetStream.streams.get(partition < 0 ? controlStream : streamOf(setting, partition));
      if (host === undefined) return;
      const { state } = host;
      const { created, first, last, size, lastAtMs } = state;
      const newest = new Map([...state.messages()].map((message) => [message.subject, message]));
      const untilMs = time.nowMs + forMs;
      const then = [...state.messages()].sort((a, b) => a.position - b.position);
      const next = (from: number): Stored | undefined => then.find(({ position }) => position >= from);
      host.deposed = {
        untilMs,
        view: { created, first, last, size, lastAtMs, newest: (subject) => newest.get(subject), next },
      };
      const lies = deposed.get(state.config.name) ?? [];
      // Answers that were given at the end are still on their way.
      deposed.set(state.config.name, [...lies, { fromMs: time.nowMs, untilMs: untilMs + 2_000 }]);
    },
  };
}
