/**
 * From the options of a command to the cluster: settings, a session straight to NATS, and a cache without any copy in this
 * process. No node is needed for any of it.
 */
import { userInfo } from 'node:os';
import { Option } from 'commander';
import { supervisedVariable } from '../../broker/process/process-ties.ts';
import type { CacheHost } from '../../cluster/cache-host.ts';
import { openLogRegistry } from '../../cluster/log-registry.ts';
import { createSession, type Session } from '../../cluster/session.ts';
import { sessionOptions } from '../../cluster/session-options.ts';
import { validateCacheName } from '../../config/cache-settings.ts';
import { loadSettings } from '../../config/load.ts';
import { type Settings, settingEntries } from '../../config/schema.ts';
import { idPattern } from '../../events/subjects.ts';
import { loadCredentials } from '../../nats/credentials.ts';
import type { ExitName } from '../exit-code.ts';
import type { Call, CommandContext, GivenOptions } from './context.ts';
import { hasOption, jsonOption, refuseOption, textOption } from './options.ts';

/** Somebody waits at a keyboard; a node may wait longer. */
const connectWait = '5s';
const connectWaitVariable = 'SLUICE_NATS_CONNECT_WAIT';

/** Settings that are flags of every command; all others come from the file and the variables. */
const flagEntries = settingEntries.filter(
  ({ path, programs }) => programs.includes('sluice') && (path === 'cluster' || path.startsWith('nats.')),
);

/** The options of every command that talks to NATS. Only the usual ones are shown. */
export function connectionOptions(): Option[] {
  return [
    new Option('--nats <urls>', 'NATS servers, separated by commas [nats://127.0.0.1:4222] (SLUICE_NATS_SERVERS)'),
    new Option('--cluster <name>', 'name of the deployment [sluice] (SLUICE_CLUSTER)'),
    new Option('--config <file>', 'settings as JSON with comments (SLUICE_CONFIG)'),
    new Option('--as <name>', 'who you are, for the log [cli-<user>]'),
    new Option('--verbose', 'say what happens on the connection'),
    jsonOption(),
    ...flagEntries
      .filter(({ flag }) => flag !== '--cluster')
      .map(({ flag }) => new Option(`${flag} <value>`).hideHelp()),
  ];
}

export const connectionNotes = `User, password, token, credentials and TLS: each setting of the section NATS in docs/configuration.md is also a
flag (--nats-user) and a variable (SLUICE_NATS_USER). Exit codes: docs/cli.md.`;

/** `fixed` are flags that the command sets itself. Throws `bad-config` with all problems. */
export function loadCommandSettings(
  { env, given }: Pick<Call, 'env' | 'given'>,
  fixed: Readonly<Record<string, string>> = {},
): Settings {
  // Between parent and child, and no setting.
  const { [supervisedVariable]: _, ...variables } = env;
  const flags: Record<string, string | undefined> = {};
  for (const { flag } of flagEntries) {
    const name = flag.slice(2);
    flags[name] = textOption(given, camelCase(name));
  }
  flags['nats-servers'] ??= textOption(given, 'nats');
  if ((variables[connectWaitVariable] ?? '') === '') flags['nats-connect-wait'] ??= connectWait;
  flags['config'] = textOption(given, 'config');
  return loadSettings({ flags: { ...flags, ...fixed }, env: variables, program: 'sluice' });
}

const camelCase = (flag: string): string => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The name under which this command's writes stand in the log. */
export function originOf(given: GivenOptions): string {
  const named = textOption(given, 'as');
  if (named !== undefined && !idPattern.test(named)) {
    refuseOption('as', named, 'must be 1 to 64 letters, digits, - or _, beginning with a letter or digit');
  }
  return named ?? `cli-${userName()}`.slice(0, 64);
}

function userName(): string {
  try {
    return userInfo().username.replace(/[^A-Za-z0-9_-]/g, '-') || 'unknown';
  } catch {
    // A container may run as a number without a name.
    return 'unknown';
  }
}

/** Connects, runs `use` and closes. Rejects with `log-unavailable` when no server answers in time. */
export async function withSession(
  call: Call,
  use: (session: Session, settings: Settings) => Promise<ExitName>,
): Promise<ExitName> {
  const settings = loadCommandSettings(call);
  const session = await openSession(call, settings, originOf(call.given), hasOption(call.given, 'verbose'));
  try {
    return await use(session, settings);
  } finally {
    await session.stop();
  }
}

export function openSession(
  { terminal, clock, random }: Pick<CommandContext, 'terminal' | 'clock' | 'random'>,
  settings: Settings,
  origin: string,
  isVerbose: boolean,
): Promise<Session> {
  const tell = (level: string, message: string): void => terminal.note(`${level}: ${message}`);
  const logger = {
    debug: (_facts: unknown, message = '') => isVerbose && tell('debug', message),
    info: (_facts: unknown, message = '') => isVerbose && tell('info', message),
    warn: (_facts: unknown, message = '') => tell('warning', message),
  };
  return createSession({
    ...sessionOptions(settings, loadCredentials(settings.nats, clock.now()), origin, {
      clock,
      random,
      logger: logger as Parameters<typeof sessionOptions>[3]['logger'],
    }),
    expectsCluster: true,
  });
}

/** What a command does with one cache. */
export interface OpenedCache {
  readonly session: Session;
  readonly settings: Settings;
  readonly host: CacheHost;
}

/** Opens a cache by its name. Rejects with `bad-request` for a bad name, with `cache-unknown` for one that is not there. */
export async function withCache(
  call: Call,
  name: string,
  use: (opened: OpenedCache) => Promise<ExitName>,
): Promise<ExitName> {
  validateCacheName(name);
  return withSession(call, async (session, settings) => {
    const registry = openLogRegistry(session, settings);
    try {
      return await use({ session, settings, host: await registry.open(name) });
    } finally {
      await registry.stop();
    }
  });
}
