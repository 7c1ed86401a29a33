/** What a run came to: figures, promises kept or broken, as JSON and as text for people. */
import { availableParallelism } from 'node:os';
import type { Counts } from './harness/histories.ts';
import type { CacheFinding, Round, Verdict } from './harness/stage.ts';

export const convergenceMaxMs = 3_000;
export const rerouteMaxMs = 1_000;

export interface ReportInput {
  readonly seed: number;
  readonly natsVersion: string;
  readonly replicas: number;
  readonly nodes: number;
  readonly clients: number;
  readonly minutes: number;
  readonly rounds: readonly Round[];
  readonly counts: Counts;
  readonly verdict: Verdict;
  /** Faults that could not be done, and why. */
  readonly missing: ReadonlyMap<string, string>;
}

export interface Report {
  readonly seed: number;
  readonly natsVersion: string;
  readonly replicas: number;
  readonly nodes: number;
  readonly clients: number;
  readonly minutes: number;
  readonly cores: number;
  readonly loadMax: number;
  readonly rounds: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly missing: Readonly<Record<string, string>>;
  readonly operations: number;
  readonly acknowledgedWrites: number;
  readonly answeredReads: number;
  readonly failed: number;
  readonly unknownOutcomes: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly watched: number;
  readonly records: number;
  readonly longestWriteOutageMs: number;
  readonly longestReadOutageMs: number;
  readonly lostAcknowledgedWrites: number;
  readonly staleReads: number;
  readonly otherFindings: number;
  readonly undecided: number;
  readonly convergenceMs: { readonly max: number; readonly median: number };
  readonly writesAfterHealMs: { readonly max: number; readonly median: number };
  readonly readersAfterHealMs: { readonly max: number; readonly median: number };
  readonly rerouteMs: { readonly max: number; readonly median: number; readonly count: number };
  /** Where copies did not come to agree with a replicated log that drops: nothing is promised of that, see docs/evidence.md. */
  readonly notJudged: readonly string[];
  /** Sentences; empty: every promise was kept. */
  readonly broken: readonly string[];
}

const lossChecks = ['no-lost-write', 'convergence', 'log-order', 'one-winner'];
const staleChecks = [
  'register',
  'bounded-staleness',
  'monotonic-reads',
  'read-your-writes',
  'position-reads',
  'no-resurrection',
];

export function buildReport(input: ReportInput): Report {
  const { rounds, counts, verdict, seed, natsVersion, replicas, nodes, clients, minutes } = input;
  const isOf =
    (names: readonly string[]) =>
    (finding: CacheFinding): boolean =>
      finding.verdict === 'broken' && names.includes(finding.check);
  const reroutes = rounds.flatMap(({ rerouteMs }) => rerouteMs);
  const names = rounds.flatMap((round) => round.faults);
  const slow = rounds.filter(({ convergenceMs }) => convergenceMs > convergenceMaxMs);
  const lost = verdict.findings.filter(isOf(lossChecks));
  const stale = verdict.findings.filter(isOf(staleChecks));
  const undecided = verdict.findings.filter((finding) => finding.verdict === 'undecided');
  const differences = rounds.flatMap(({ round, what, differences }) =>
    differences.map((difference) => `round ${round} (${what.join('; ')}): ${difference}`),
  );
  return {
    seed,
    natsVersion,
    replicas,
    nodes,
    clients,
    minutes,
    cores: availableParallelism(),
    loadMax: Math.max(0, ...rounds.map(({ load }) => load)),
    rounds: rounds.length,
    faults: Object.fromEntries(
      [...new Set(names)].sort().map((name) => [name, names.filter((one) => one === name).length]),
    ),
    missing: Object.fromEntries(input.missing),
    operations: counts.operations,
    acknowledgedWrites: counts.acknowledgedWrites,
    answeredReads: counts.answeredReads,
    failed: counts.failed,
    unknownOutcomes: counts.unknown,
    errors: Object.fromEntries([...counts.errors].sort()),
    watched: verdict.told,
    records: verdict.records,
    longestWriteOutageMs: Math.round(counts.longestWriteOutageMs),
    longestReadOutageMs: Math.round(counts.longestReadOutageMs),
    lostAcknowledgedWrites: lost.length,
    staleReads: stale.length,
    otherFindings: verdict.findings.length - lost.length - stale.length - undecided.length,
    undecided: undecided.length,
    convergenceMs: spread(rounds.map(({ convergenceMs }) => convergenceMs)),
    writesAfterHealMs: spread(rounds.map(({ writesAfterMs }) => writesAfterMs)),
    readersAfterHealMs: spread(rounds.map(({ readersAfterMs }) => readersAfterMs)),
    rerouteMs: { ...spread(reroutes), count: reroutes.length },
    notJudged: replicas === 1 ? [] : differences,
    broken: [
      ...verdict.findings.map(
        ({ cache, check, verdict: judged, message }) => `${cache}: ${check} ${judged}: ${message}`,
      ),
      ...slow.map(
        ({ round, what, convergenceMs, last }) =>
          `round ${round} (${what.join('; ')}): converged after ${Math.round(convergenceMs)} ms, ${last} last; allowed are ${convergenceMaxMs} ms`,
      ),
      ...(replicas === 1 ? differences : []),
      // With another fault beside it, what is measured is that one as well.
      ...rounds.flatMap(({ round, what, rerouteMs }) =>
        rerouteMs
          .filter((tookMs) => what.length === 1 && tookMs > rerouteMaxMs)
          .map(
            (tookMs) =>
              `round ${round} (${what.join('; ')}): others answered after ${Math.round(tookMs)} ms; allowed are ${rerouteMaxMs} ms`,
          ),
      ),
    ],
  };
}

function spread(values: readonly number[]): { readonly max: number; readonly median: number } {
  const ordered = [...values].sort((one, other) => one - other);
  return {
    max: Math.round(ordered.at(-1) ?? 0),
    median: Math.round(ordered[Math.floor(ordered.length / 2)] ?? 0),
  };
}

export function formatReport(report: Report): string {
  const list = (facts: Readonly<Record<string, number | string>>): string =>
    Object.entries(facts)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ') || 'none';
  const { convergenceMs, writesAfterHealMs, readersAfterHealMs, rerouteMs } = report;
  return [
    `seed ${report.seed}, nats-server ${report.natsVersion}, R${report.replicas}, ${report.nodes} nodes, ${report.clients} clients, ${report.minutes.toFixed(1)} minutes, ${report.rounds} rounds`,
    `machine                 ${report.cores} cores, load average at most ${report.loadMax.toFixed(1)}`,
    `operations              ${report.operations} (${report.acknowledgedWrites} writes acknowledged, ${report.answeredReads} reads answered, ${report.failed} failed; ${report.watched} changes watched)`,
    `faults                  ${list(report.faults)}`,
    `faults left out         ${list(report.missing)}`,
    `errors                  ${list(report.errors)}`,
    `unknown outcomes        ${report.unknownOutcomes}`,
    `longest outage          ${report.longestWriteOutageMs} ms without an acknowledged write, ${report.longestReadOutageMs} ms without an answered read`,
    `lost acknowledged       ${report.lostAcknowledgedWrites}`,
    `stale reads             ${report.staleReads}`,
    `other findings          ${report.otherFindings}, undecided ${report.undecided}`,
    `convergence after heal  at most ${convergenceMs.max} ms, median ${convergenceMs.median} ms (writes taken again after at most ${writesAfterHealMs.max} ms, median ${writesAfterHealMs.median} ms; consumers made after at most ${readersAfterHealMs.max} ms)`,
    `re-route after a death  at most ${rerouteMs.max} ms, median ${rerouteMs.median} ms, of ${rerouteMs.count}`,
    ...report.notJudged.map((line) => `not judged              ${line}`),
    report.broken.length === 0
      ? 'every promise was kept'
      : `BROKEN:\n${report.broken.map((line) => `  ${line}`).join('\n')}`,
  ].join('\n');
}
