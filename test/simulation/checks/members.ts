/** Membership: each incarnation joins once and ends once, nobody is put out who could be heard, and all nodes agree in the end. */
import { aliveMembers } from '../../../src/state/members.ts';
import type { Stored } from '../jetstream/stream.ts';
import { controlStream, timing } from '../setting.ts';
import type { Network } from '../world/network.ts';
import type { SimulatedProcess } from '../world/processes.ts';
import type { History } from './history.ts';

export interface MemberChecks {
  /** To be told of each message of the control log as it is stored. */
  stored(message: Stored): void;
  /** undefined: all running nodes agree that exactly they are members. */
  disagreement(): string | undefined;
}

export interface MembersOptions {
  readonly history: History;
  readonly network: Network;
  readonly processes: ReadonlyMap<string, SimulatedProcess>;
  /** The control log did not take writes, or did not say so, at some time since. */
  readonly wasLogTroubled: (sinceMs: number) => boolean;
  readonly nowMs: () => number;
  readonly fault: (what: string) => void;
}

/** From the last pulse that could be lost to the event that says so: ticks and ranks. */
const graceMs = timing.evictAfterMs + 2_500;
/** The same when the event may have been under way for long: a write is repeated for 10 s. */
const graceOfLateMs = timing.evictAfterMs + 12_000;

export function createMemberChecks({
  history,
  network,
  processes,
  wasLogTroubled,
  nowMs,
  fault,
}: MembersOptions): MemberChecks {
  return {
    stored({ subject, data, position }) {
      const [, kind, node = '', incarnation = '', what] = subject.split('.');
      if (kind !== 'member') return;
      const same = history
        .events(controlStream)
        .filter((event) => event.subject === subject && event.voidAtMs === Number.POSITIVE_INFINITY);
      if (same.length > 1)
        fault(`${node} ${incarnation} ${what} twice, at ${same.map((event) => event.position).join(' and ')}`);
      if (what !== 'left' || !Buffer.from(data).toString('utf8').includes('"timeout"')) return;
      const process = processes.get(node);
      const isCurrent = process?.running?.membership?.incarnation === incarnation;
      if (process === undefined || process.status !== 'running' || !isCurrent || process.clock.isPaused) return;
      const untroubledMs = nowMs() - Math.max(process.sinceMs, process.pausedMs, network.troubledUntilMs(node));
      const by = /"by":"([^"]+)"/.exec(Buffer.from(data).toString('utf8'))?.[1] ?? '';
      const isLate = nowMs() - network.troubledUntilMs(by) < graceOfLateMs || wasLogTroubled(nowMs() - graceOfLateMs);
      if (untroubledMs > (isLate ? graceOfLateMs : graceMs))
        fault(
          `${node} was put out at ${position} by ${Buffer.from(data).toString('utf8')}, though nothing had troubled it for ${untroubledMs.toFixed(0)} ms`,
        );
    },
    disagreement() {
      const nodes = [...processes.values()].filter(({ kind, status }) => kind === 'node' && status === 'running');
      const expected = nodes
        .map(({ name, running }) => `${name}.${running?.membership?.incarnation}`)
        .sort()
        .join(' ');
      const epochs = new Set<number>();
      for (const { name, running } of processes.values()) {
        if (running === undefined) continue;
        const { members } = running.session.control.state;
        epochs.add(members.epoch);
        const known = aliveMembers(members)
          .map(({ node, incarnation }) => `${node}.${incarnation}`)
          .sort()
          .join(' ');
        if (known !== expected) return `${name} knows the members ${known}; ${expected} are running`;
      }
      return epochs.size > 1 ? `epochs differ: ${[...epochs].join(', ')}` : undefined;
    },
  };
}
