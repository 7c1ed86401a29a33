/**
 * up: a whole cluster in the foreground. nats-server, three nodes, a controller, two caches and an example; Ctrl-C ends it in order. This
 * is what `npm start` runs.
 */
import { basename, relative, resolve } from 'node:path';
import { Option } from 'commander';
import { type FolderLock, lockFolder } from '../../broker/server/folder-lock.ts';
import { openLogRegistry } from '../../cluster/log-registry.ts';
import { parseCacheSettings } from '../../config/cache-settings.ts';
import type { Settings } from '../../config/schema.ts';
import { isSluiceError } from '../../errors.ts';
import { loadCommandSettings, openSession } from '../command/connection.ts';
import type { Call, CommandSpec } from '../command/context.ts';
import { countOption, hasOption, jsonOption, refuseOption, textOption } from '../command/options.ts';
import { formatSpan } from '../terminal/text.ts';
import { defaultExampleFolder, showExample } from './example.ts';
import { nodesMax, type PortPlan, planPorts, portBaseMax, upHost } from './ports.ts';
import { type RunningServers, type Say, startServers } from './servers.ts';

const dataDefault = '.sluice';
const nodesDefault = 3;
const demoCache = 'demo';
const filesCache = 'files';
/** What a laptop can spare; the server sets this much disk aside for each. */
const exampleSettings = { logBytesMax: '256MiB', bytesMax: '128MiB' };
const lockStopMs = 5_000;

export const upCommand: CommandSpec = {
  usage: 'up',
  summary: 'run a whole cluster here: nats-server, three nodes, a working example; Ctrl-C stops it',
  endsItself: true,
  outlivesReader: true,
  options: [
    new Option('--data <folder>', `everything that is kept between runs [${dataDefault}]`),
    new Option('--port-base <port>', 'NATS on this port, node 1 on the next one, and so on [4222, and 7401 …]'),
    new Option('--nodes <count>', `how many nodes [${nodesDefault}]`),
    new Option('--no-example', 'do not load the example'),
    new Option('--example-folder <folder>', 'what the example loads [the installed packages]'),
    new Option('--cluster <name>', 'name of the deployment [sluice] (SLUICE_CLUSTER)'),
    new Option('--config <file>', 'settings as JSON with comments, for the nodes too (SLUICE_CONFIG)'),
    jsonOption(),
  ],
  notes: `Fixed addresses on ${upHost}: NATS 4222, nodes 7401, 7402, 7403, the controller 49001. With --port-base N:
N, N+1, N+2, N+3; N+10. nats-server is looked for in NATS_SERVER_BIN, the PATH, /usr/sbin and the user's cache, else
downloaded or built. Whole logs are in <data>/logs. Exit 0 after Ctrl-C, 73 for a busy port or data folder.`,
  async run(call) {
    const startedMs = call.clock.monotonic();
    const base = countOption(call.given, 'portBase', 1);
    if (base !== undefined && base > portBaseMax)
      refuseOption('portBase', String(base), `must be at most ${portBaseMax}`);
    const nodeCount = countOption(call.given, 'nodes', 1) ?? nodesDefault;
    if (nodeCount > nodesMax) refuseOption('nodes', String(nodeCount), `must be at most ${nodesMax}`);
    const ports = planPorts(base, nodeCount);
    const settings = loadCommandSettings(call, natsFlags(ports));
    const dataFolder = resolve(textOption(call.given, 'data') ?? dataDefault);
    const { clock, random, signal } = call;
    const say = createSay(call);
    let lock: FolderLock | undefined;
    try {
      lock = await lockFolder(dataFolder, { clock, random, childMark: 'cache-node', stopLimitMs: lockStopMs });
      const nodeFlags = nodeFlagsOf(call, settings, ports);
      const controllerFlags = controllerFlagsOf(call, settings, ports);
      const servers = await startServers(call, {
        dataFolder,
        mayHaveLeftover: lock.isTakenOver,
        ports,
        nodeFlags,
        controllerFlags,
        say,
      });
      try {
        const exampleKey = await prepareCaches(call, settings, servers, say);
        if (!signal.aborted) {
          announce(call, servers, ports, exampleKey);
          say('sluice', `up in ${formatSpan(clock.monotonic() - startedMs)}; Ctrl-C stops everything`, { state: 'up' });
          await untilAborted(signal);
        }
      } finally {
        say('sluice', 'stopping', { state: 'stopping' });
        await servers.stop();
      }
    } catch (error) {
      // Whoever gives up the start by Ctrl-C gets what was asked for.
      if (!signal.aborted || !(isSluiceError(error, 'aborted') || isSluiceError(error, 'closed'))) throw error;
    } finally {
      lock?.release();
    }
    say('sluice', 'stopped', { state: 'stopped' });
    return 'ok';
  },
};

function createSay({ terminal }: Call): Say {
  return (source, text, facts = {}) => {
    if (terminal.isJson) terminal.printJson({ source, text, ...facts });
    else for (const line of text.split('\n')) terminal.print(`${source.padEnd(11)} | ${line}`);
  };
}

/** The embedded server knows no users and no certificates, whatever the settings say of another one. */
function natsFlags({ nats }: PortPlan): Readonly<Record<string, string>> {
  const none = ['user', 'password', 'token', 'credentials-file', 'tls-ca-file', 'tls-cert-file', 'tls-key-file'];
  return {
    'nats-servers': `nats://${upHost}:${nats}`,
    'log-replicas': '1',
    ...Object.fromEntries(none.map((name) => [`nats-${name}`, 'none'])),
  };
}

/** Flags that nodes and controller share. */
function commonFlags({ given }: Call, settings: Settings, ports: PortPlan): Readonly<Record<string, string>> {
  const config = textOption(given, 'config');
  // What is shown of them is read from their log, which must therefore not be quieter.
  const level = ['trace', 'debug'].includes(settings.logging.level) ? settings.logging.level : 'info';
  return {
    ...natsFlags(ports),
    cluster: settings.cluster,
    'logging-level': level,
    ...(config === undefined ? {} : { config: resolve(config) }),
  };
}

const toWords = (flags: Readonly<Record<string, string>>): string[] =>
  Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);

function nodeFlagsOf(call: Call, settings: Settings, ports: PortPlan): string[] {
  // One address for three nodes would be wrong for two of them.
  return toWords({ ...commonFlags(call, settings, ports), 'node-advertise': 'none' });
}

/** Who tries something out should see what they wrote in the journal, and no canary every ten seconds. */
function controllerFlagsOf(call: Call, settings: Settings, ports: PortPlan): string[] {
  return toWords({ ...commonFlags(call, settings, ports), 'audit-canary': 'none' });
}

/** Declares what is missing and shows the example; resolves with a key of it. */
async function prepareCaches(
  call: Call,
  settings: Settings,
  servers: RunningServers,
  say: Say,
): Promise<string | undefined> {
  const session = await openSession(call, settings, 'sluice-up', false);
  const registry = openLogRegistry(session, settings);
  try {
    for (const name of [demoCache, filesCache]) {
      // A bucket that somebody made by another tool is a cache already, and theirs.
      if (session.control.state.caches.caches.has(name) || (await session.findLog(name)) !== undefined) continue;
      await registry.declare(name, parseCacheSettings(exampleSettings, settings.cacheDefaults));
      say(name, 'declared');
    }
    if (!hasOption(call.given, 'example') || call.signal.aborted) return undefined;
    const folder = resolve(textOption(call.given, 'exampleFolder') ?? defaultExampleFolder());
    const host = await registry.open(filesCache);
    return await showExample(call, { folder, host, nodes: servers.nodes, say });
  } finally {
    await registry.stop();
    await session.stop();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((done) => signal.addEventListener('abort', () => done(), { once: true }));
}

function announce({ terminal }: Call, servers: RunningServers, ports: PortPlan, exampleKey: string | undefined): void {
  const { natsUrl, nodes, controller } = servers;
  const shown = ({ name, url, pid }: RunningServers['controller']) => ({ name, url, pid });
  if (terminal.isJson) {
    terminal.printJson({ nats: natsUrl, nodes: nodes.map(shown), controller: shown(controller) });
    return;
  }
  const lines = [
    '',
    `  NATS         ${natsUrl}`,
    ...[...nodes, controller].map(({ name, url, pid }) => `  ${name.padEnd(12)} ${url}   pid ${pid}`),
    '',
    '  Try:',
    ...linesToTry(servers, ports, exampleKey).map((line) => `    ${line}`),
    '',
  ];
  for (const line of lines) terminal.print(line);
}

function linesToTry({ nodes }: RunningServers, ports: PortPlan, exampleKey: string | undefined): string[] {
  const urls = nodes.map(({ url }) => url);
  const last = nodes.at(-1);
  const isUsual = ports.nats === 4222;
  const nats = isUsual ? 'nats' : `nats -s nats://${upHost}:${ports.nats}`;
  const sluice = `${ownCommand()} log${isUsual ? '' : ` --nats nats://${upHost}:${ports.nats}`} --cache ${demoCache} --follow`;
  const second = urls[1] ?? urls[0];
  return [
    `${nats} kv put ${demoCache} greeting hello`,
    `curl ${urls[0]}/v1/caches/${demoCache}/keys/greeting`,
    exampleKey === undefined
      ? `curl -X PUT --data-binary hi ${second}/v1/caches/${demoCache}/keys/other`
      : `curl -i ${second}/v1/caches/${filesCache}/keys/${exampleKey.split('/').map(encodeURIComponent).join('/')}`,
    sluice,
    `kill -9 ${last?.pid}; curl ${urls[0]}/v1/members    # ${last?.name} comes back with everything`,
  ];
}

/** How this program was called, to be typed again. */
function ownCommand(): string {
  const script = process.argv[1] ?? '';
  return basename(script) === 'sluice.js' ? `node ${relative(process.cwd(), script)}` : 'sluice';
}
