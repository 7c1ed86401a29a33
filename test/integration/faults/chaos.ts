/**
 * `npm run chaos -- --minutes M --seed S`: faults by chance that repeats from the seed, for as long as one likes, and a report. Ends
 * with 1 when a promise was broken. Ctrl-C ends everything that was started, and with 130.
 */
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { systemClock } from '../../../src/base/clock.ts';
import { provisionNatsServer } from '../../../src/broker/provision.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { createSeededRandom, formatHistory } from '../../../src/testing/index.ts';
import { parseScriptOptions, refuseOption } from '../../support/script-options.ts';
import { faultCaches } from './harness/caches.ts';
import { openStage, type Round, type Stage } from './harness/stage.ts';
import { faultCalled, faults } from './inject/catalogue.ts';
import type { Fault } from './inject/fault.ts';
import { buildReport, formatReport } from './report.ts';

const usage = `npm run chaos -- [OPTION …]

  --minutes M      at least so long (default 10)
  --seed S         what the callers do and the order of faults (default: by chance, and shown)
  --replicas 1|3   one nats-server, or three with three replicas (default 1)
  --nodes N        cache-node processes, 3 to 5 (default 3)
  --clients N      processes with the library, 1 to 5 (default 2)
  --nats VERSION   of nats-server (default: the preferred one)
  --binary PATH    of nats-server
  --faults A,B     only these; ${[...faults.keys()].join(', ')}
  --folder PATH    for report, histories and logs (default: a temporary one, on failure)`;

const values = parseScriptOptions(usage, {
  minutes: { type: 'string', default: '10' },
  seed: { type: 'string' },
  replicas: { type: 'string', default: '1' },
  nodes: { type: 'string', default: '3' },
  clients: { type: 'string', default: '2' },
  nats: { type: 'string' },
  binary: { type: 'string' },
  faults: { type: 'string' },
  folder: { type: 'string' },
});

function numberOf(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (value >= least && value <= most) return value;
  return refuseOption(`--${name} ${text}: must be from ${least} to ${most}`, usage);
}

const minutes = numberOf('minutes', values.minutes, 0.1, 10_000);
const seed = numberOf('seed', values.seed ?? String(Math.floor(Math.random() * 1e6)), 0, 2 ** 31);
if (!['1', '3'].includes(values.replicas)) refuseOption(`--replicas ${values.replicas}: must be 1 or 3`, usage);
const replicas = values.replicas === '3' ? 3 : 1;
const nodes = numberOf('nodes', values.nodes, 3, 5);
const clients = numberOf('clients', values.clients, 1, 5);
const binary = values.binary ?? (await provision(values.nats));

async function provision(version: string | undefined): Promise<string> {
  try {
    const found = await provisionNatsServer({
      env: process.env,
      clock: systemClock,
      log: (line) => console.log(line),
      ...(version === undefined ? {} : { version, exactVersion: true }),
    });
    return found.path;
  } catch (error) {
    if (isSluiceError(error, 'bad-config') || isSluiceError(error, 'broker-unavailable'))
      return refuseOption(error.message, usage);
    throw error;
  }
}

const interrupted = new Promise<'interrupted'>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve('interrupted'));
});

const random = createSeededRandom(seed);
const startedAt = performance.now();
const minutesSoFar = (): number => (performance.now() - startedAt) / 60_000;
console.log(`seed ${seed}: ${minutes} minutes with R${replicas}, ${nodes} nodes, ${clients} clients, ${binary}`);
const stage = await openStage({ seed, replicas, nodes, clients, binary });
const rounds: Round[] = [];
const missing = new Map<string, string>();
const usable: Fault[] = [];
for (const fault of values.faults === undefined ? faults.values() : values.faults.split(',').map(faultCalled)) {
  const why = stage.missing(fault);
  if (why === undefined) usable.push(fault);
  else missing.set(fault.name, why);
}
for (const [name, why] of missing) console.log(`left out: ${name}: ${why}`);

/** Each fault once, in an order by chance, then anew; now and then one of another layer with it. */
function* schedule(): Iterable<readonly Fault[]> {
  for (;;) {
    const left = [...usable];
    while (left.length > 0) {
      const [first] = left.splice(random.below(left.length), 1);
      if (first === undefined) return;
      const others = left.filter(
        ({ layer }) => ![first.layer, 'everything'].includes(layer) && first.layer !== 'everything',
      );
      const isAlone = random.below(4) > 0 || others.length === 0;
      const second = isAlone ? [] : left.splice(left.indexOf(random.pick(others)), 1);
      yield [first, ...second];
    }
  }
}

async function playAll(): Promise<'done'> {
  for (const chosen of schedule()) {
    const holdMs = 1_000 + random.below(5_000);
    console.log(`${minutesSoFar().toFixed(1)} min, ${chosen.map(({ name }) => name).join(' and ')} for ${holdMs} ms`);
    const round = await stage.play(chosen, holdMs);
    rounds.push(round);
    const reroute = round.rerouteMs.map((tookMs) => `, re-routed in ${Math.round(tookMs)} ms`).join('');
    console.log(
      `    round ${round.round}: ${round.what.join('; ')}: writes after ${Math.round(round.writesAfterMs)} ms, converged in ${Math.round(round.convergenceMs)} ms${reroute}`,
    );
    if (minutesSoFar() >= minutes) break;
  }
  return 'done';
}

const ended = await Promise.race([
  interrupted,
  playAll().catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))),
]);
if (ended instanceof Error) console.log(`broke off: ${ended.stack ?? ended.message}`);
try {
  process.exitCode = ended === 'interrupted' ? 130 : await conclude(ended);
} catch (error) {
  // What cannot even be judged, because the log cannot be read, is kept all the same.
  keep(stage, JSON.stringify({ rounds, failure: String(error) }));
  process.exitCode = 1;
  throw error;
} finally {
  await stage.stop();
  // What still waits for something, after Ctrl-C or a failure, waits for what is gone.
  if (ended !== 'done') setTimeout(() => process.exit(), 1_000).unref();
}

async function conclude(outcome: 'done' | Error): Promise<number> {
  const verdict = await stage.judge();
  const report = buildReport({
    seed,
    natsVersion: stage.world.servers.version,
    replicas,
    nodes,
    clients,
    minutes: minutesSoFar(),
    rounds,
    counts: stage.histories.counts,
    verdict,
    missing,
  });
  console.log(formatReport(report));
  const isBroken = outcome !== 'done' || report.broken.length > 0;
  if (isBroken || values.folder !== undefined)
    keep(stage, JSON.stringify({ ...report, roundList: rounds }, undefined, 2));
  return isBroken ? 1 : 0;
}

/** What a failure is understood from. */
function keep({ history, world }: Stage, report: string): void {
  const folder = values.folder === undefined ? mkdtempSync(join(tmpdir(), 'sluice-chaos-')) : resolve(values.folder);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'report.json'), `${report}\n`);
  for (const { name } of faultCaches) writeFileSync(join(folder, `${name}.jsonl`), formatHistory(history(name)));
  for (const { node } of world.nodes) writeFileSync(join(folder, `${node.id}.log`), node.output);
  for (const { client } of world.clients) writeFileSync(join(folder, `${client.id}.log`), client.notices.join('\n'));
  for (const { name, server } of world.servers.all)
    copyFileSync(join(server.storeFolder, 'nats-server.log'), join(folder, `${name}.log`));
  console.log(`histories and report: ${folder}`);
}
