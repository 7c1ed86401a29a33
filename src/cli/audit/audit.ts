/** audit: compares what nodes and library processes hold with the log, and measures how stale they are. */
import { Option } from 'commander';
import { pause } from '../../base/clock.ts';
import { type Auditor, createAuditor } from '../../cluster/audit/auditor.ts';
import { beat, spreadOf } from '../../cluster/audit/canary.ts';
import { type Copies, findCopies } from '../../cluster/audit/copies.ts';
import type { KeyShare } from '../../cluster/audit/entry-checksum.ts';
import { type CacheAudit, type Outcome, outcomeOf } from '../../cluster/audit/report.ts';
import type { CacheRegistry } from '../../cluster/cache-registry.ts';
import { openLogRegistry } from '../../cluster/log-registry.ts';
import type { Session } from '../../cluster/session.ts';
import { validateCacheName } from '../../config/cache-settings.ts';
import { messageOf } from '../../errors.ts';
import { createMessenger, type Messenger } from '../../nats/messenger.ts';
import { connectionNotes, connectionOptions, withSession } from '../command/connection.ts';
import type { Call, CommandSpec } from '../command/context.ts';
import { countOption, durationOption, hasOption, refuseOption, textOption } from '../command/options.ts';
import type { ExitName } from '../exit-code.ts';
import { formatCount } from '../terminal/text.ts';
import { auditJson, auditLines, divergenceText, type StalenessByCopy } from './audit-text.ts';

const shareDefault = 100;
const shareMax = 1_000_000;
const beatMs = 250;
const watchMs = 30_000;
const waitMs = 5_000;

const exitOf: Readonly<Record<Outcome, ExitName>> = { agrees: 'ok', diverges: 'negative', unchecked: 'unavailable' };

export const auditCommand: CommandSpec = {
  usage: 'audit [cache...]',
  summary: 'compare the copies of nodes with the log, key by key, and measure how stale they are',
  endsItself: true,
  options: [
    new Option('--sample <share>', `a random share of the keys, such as 1/100 [1/${shareDefault}]`),
    new Option('--all', 'all keys, also those that no copy has; reads the whole log'),
    new Option('--canary <duration>', 'for so long, write a key and follow it into every copy'),
    new Option('--watch', 'go on until Ctrl-C, showing what changes'),
    new Option('--every <duration>', `with --watch: time between two audits [${watchMs / 1000}s]`),
    new Option('--rate <keys>', 'keys a second that are read of each copy and of the log [no limit]'),
    ...connectionOptions(),
  ],
  notes: `Without a cache: all that are declared. Exit 0 when all copies agree with the log, 1 when one does not, 69 when one could not be
looked at; what differs is named with both revisions, and \`sluice rebuild NODE\` repairs it. ${connectionNotes}`,
  async run(call) {
    const plan = parsePlan(call);
    for (const name of call.words) validateCacheName(name);
    return withSession(call, async (session, settings) => {
      const registry = openLogRegistry(session, settings);
      const { clock, random, signal } = call;
      const auditor = createAuditor({ registry, clock, random, keysPerSecond: plan.keysPerSecond, waitMs, signal });
      const messenger = createMessenger(session.link, session.options.cluster, call.terminal.note);
      const work: Work = { call, session, registry, messenger, auditor, plan };
      try {
        return plan.everyMs === undefined ? await auditOnce(work) : await watch(work, plan.everyMs);
      } catch (error) {
        if (!signal.aborted) throw error;
        return plan.everyMs === undefined ? 'interrupted' : 'ok';
      } finally {
        call.terminal.status(undefined);
        await registry.stop();
      }
    });
  },
};

interface Plan {
  readonly of: number;
  readonly isWholeLog: boolean;
  readonly canaryMs: number | undefined;
  readonly everyMs: number | undefined;
  readonly keysPerSecond: number;
}

interface Work {
  readonly call: Call;
  readonly session: Session;
  readonly registry: CacheRegistry;
  readonly messenger: Messenger;
  readonly auditor: Auditor;
  readonly plan: Plan;
}

/** Throws `bad-request`. */
export function parsePlan({ given }: Pick<Call, 'given'>): Plan {
  const isWholeLog = hasOption(given, 'all');
  const sample = textOption(given, 'sample');
  if (isWholeLog && sample !== undefined) refuseOption('sample', sample, 'only one of --all and --sample can be given');
  const every = textOption(given, 'every');
  const isWatching = hasOption(given, 'watch');
  if (every !== undefined && !isWatching) refuseOption('every', every, 'has a meaning only together with --watch');
  return {
    of: isWholeLog ? 1 : parseShare(sample),
    isWholeLog,
    canaryMs: durationOption(given, 'canary'),
    everyMs: isWatching ? (durationOption(given, 'every') ?? watchMs) : undefined,
    keysPerSecond: countOption(given, 'rate', 1) ?? Number.POSITIVE_INFINITY,
  };
}

function parseShare(text: string | undefined): number {
  if (text === undefined) return shareDefault;
  const of = Number(/^1\/([1-9]\d{0,6})$/.exec(text)?.[1] ?? Number.NaN);
  if (!(of <= shareMax)) return refuseOption('sample', text, `must be 1/N with N from 1 to ${shareMax}`);
  return of;
}

function cachesOf({ call, session }: Work): string[] {
  if (call.words.length > 0) return [...new Set(call.words)];
  return [...session.control.state.caches.caches.keys()].sort();
}

function find({ session, messenger, call }: Work): Promise<Copies> {
  const { clock, signal } = call;
  return findCopies({ session, messenger, clock, signal });
}

function auditCache(
  { call, auditor, plan }: Work,
  cache: string,
  copies: Copies,
  share: KeyShare,
): Promise<CacheAudit> {
  const onProgress = (keys: number): void => call.terminal.status(`auditing ${cache}: ${formatCount(keys)} keys read`);
  return auditor.audit(cache, copies, { share, isWholeLog: plan.isWholeLog, onProgress });
}

async function auditOnce(work: Work): Promise<ExitName> {
  const { call, plan } = work;
  const { terminal } = call;
  const caches = cachesOf(work);
  if (caches.length === 0) terminal.note('sluice: no cache is declared');
  const copies = await find(work);
  const audits: CacheAudit[] = [];
  for (const cache of caches) {
    const audit = await auditCache(work, cache, copies, { of: plan.of, at: randomShare(work) });
    const staleness: StalenessByCopy =
      plan.canaryMs === undefined ? new Map() : await follow(work, cache, copies, plan.canaryMs);
    terminal.status(undefined);
    audits.push(audit);
    if (terminal.isJson) terminal.printJson({ ...auditJson(audit, staleness), outcome: outcomeOf([audit]) });
    else for (const line of auditLines(audit, staleness)) terminal.print(line);
  }
  const outcome = outcomeOf(audits);
  if (!terminal.isJson) terminal.note(verdicts[outcome]);
  return exitOf[outcome];
}

const verdicts: Readonly<Record<Outcome, string>> = {
  agrees: 'all copies that hold these caches agree with the log',
  diverges: 'copies differ from the log; sluice rebuild NODE drops and replays what a node holds',
  unchecked: 'no difference was found, and not everything could be looked at',
};

const randomShare = ({ call, plan }: Work): number => Math.floor(call.random.fraction() * plan.of);

/** Follows the canary for a while, one partition after the other. */
async function follow(
  { call, registry }: Work,
  cache: string,
  copies: Copies,
  forMs: number,
): Promise<StalenessByCopy> {
  const { clock, signal, terminal } = call;
  const host = await registry.open(cache);
  const samples = new Map<string, number[]>();
  const untilMs = clock.monotonic() + forMs;
  for (let count = 0; clock.monotonic() < untilMs && !signal.aborted; count += 1) {
    try {
      const { stalenessMs } = await beat({ host, clock, waitMs, signal }, copies, count % host.partitions.length);
      for (const [name, ms] of stalenessMs) samples.set(name, [...(samples.get(name) ?? []), ms]);
    } catch (error) {
      if (!signal.aborted) terminal.note(`${cache}: the canary cannot be written: ${messageOf(error)}`);
      break;
    }
    terminal.status(`following the canary of ${cache}: ${count + 1} written`);
    await pause(clock, beatMs, signal);
  }
  return new Map([...samples].map(([name, all]) => [name, spreadOf(all)]));
}

/** Audits again and again, another share each time, and says what is new and what is gone. */
async function watch(work: Work, everyMs: number): Promise<ExitName> {
  const { call, plan } = work;
  const { terminal, clock, signal } = call;
  const known = new Map<string, string>();
  const first = randomShare(work);
  for (let round = 0; !signal.aborted; round += 1) {
    const copies = await find(work);
    const seen = new Set<string>();
    const at = (first + round) % plan.of;
    for (const cache of cachesOf(work)) {
      const audit = await auditCache(work, cache, copies, { of: plan.of, at });
      const staleness: StalenessByCopy =
        plan.canaryMs === undefined ? new Map() : await follow(work, cache, copies, plan.canaryMs);
      terminal.status(undefined);
      if (terminal.isJson) {
        terminal.printJson({ ...auditJson(audit, staleness), outcome: outcomeOf([audit]), round });
        continue;
      }
      if (round === 0) for (const line of auditLines(audit, staleness)) terminal.print(line);
      for (const text of problemsOf(audit)) {
        // Another share says nothing about what an earlier one had.
        seen.add(text.id);
        if (round > 0 && !known.has(text.id)) terminal.print(`+ ${text.says}`);
        known.set(text.id, text.says);
      }
    }
    for (const [id, says] of [...known]) {
      if (seen.has(id) || (plan.of > 1 && !id.startsWith('!'))) continue;
      terminal.print(`- ${says}`);
      known.delete(id);
    }
    await pause(clock, everyMs, signal);
  }
  return 'ok';
}

function problemsOf({ cache, copies, unchecked }: CacheAudit): { readonly id: string; readonly says: string }[] {
  return [
    ...copies.flatMap(({ divergences }) =>
      divergences.map((one) => ({
        id: JSON.stringify([cache, one.copy, one.partition, one.key, one.kind]),
        says: divergenceText(one),
      })),
    ),
    ...unchecked.map(({ copy, partition, reason }) => ({
      id: `!${JSON.stringify([cache, copy, partition])}`,
      says: `${copy}: ${cache}${partition === null ? '' : ` partition ${partition}`} was not checked: ${reason}`,
    })),
  ];
}
