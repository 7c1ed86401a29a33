/**
 * The one schema of settings. Everything that is said about a setting is said here: the configuration page, the help
 * text, the commented default file, the names of environment variables and flags, and the types all come from it.
 * Relations between settings are in `validate.ts`. Must not read anything: `load.ts` does.
 */
import {
  bytes,
  choice,
  duration,
  type Form,
  hidden,
  integer,
  isSetting,
  orNone,
  orWord,
  type Setting,
  type SettingsOf,
  type SettingTree,
  setting,
  text,
  textList,
} from './setting.ts';

/** A node id or a region is one token of a subject. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const name = text(namePattern, '1 to 64 letters, digits, - or _, beginning with a letter or digit');
const path: Form<string, ''> = { ...text(/^[^\0]{1,4096}$/, 'a path'), type: 'path' };
const host = text(/^[A-Za-z0-9_.:-]{1,255}$/, 'a host name or an IP address');
const hostPattern = '([A-Za-z0-9_.-]{1,255}|\\[[0-9A-Fa-f:.]{2,64}\\])';
const portPattern = '([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d\\d|655[0-2]\\d|6553[0-5])';
const address = text(new RegExp(`^${hostPattern}:${portPattern}$`), 'host:port (an IPv6 address in brackets)');
const server = text(
  new RegExp(`^((nats|tls)://)?${hostPattern}(:${portPattern})?$`),
  'host:port, nats://host:port or tls://host:port, without user and password (nats.user and nats.password are for those)',
);
const subject: Form<string, ''> = {
  ...text(/^[A-Za-z0-9_$-]{1,64}(\.[A-Za-z0-9_$-]{1,64}){0,7}$/, 'a NATS subject without wildcards'),
  type: 'subject',
};
const credential: Form<string | null, ''> = hidden(orNone(text(/^[^\0]{1,4096}$/, 'a text of up to 4,096 characters')));

/** The settings of one cache; a declaration may give each of them, and this section gives those that it leaves out. */
export const cacheTree = {
  partitions: setting(
    integer(1, 1024),
    1,
    'Slices of the keys, each with its own stream; more for more keys or more writes. Cannot change later.',
  ),
  replicas: setting(
    orWord('all', integer(1, 16)),
    'all',
    'Nodes that keep a copy of each partition; all: every node keeps everything.',
  ),
  logReplicas: setting(
    integer(1, 5),
    1,
    'Servers of the NATS cluster that store each stream of the cache; 3 survives the loss of one server.',
  ),
  entriesMax: setting(
    integer(1, 16_000_000),
    1_000_000,
    'Entries that a node keeps in memory; the least recently used leave first. The log still has them.',
  ),
  bytesMax: setting(
    bytes('64KiB', '1TiB'),
    '256MiB',
    'Memory of keys, values and their overhead on a node; the least recently used leave first.',
  ),
  ttl: setting(
    orNone(duration('1ms', '3650d')),
    null,
    'Life of an entry whose writer gives none; none: until it is deleted or dropped from the log.',
  ),
  valueBytesMax: setting(
    bytes('1B', '64MiB'),
    '1MiB',
    'Largest value; a larger one is refused. The NATS server must allow messages of that size (max_payload).',
  ),
  logBytesMax: setting(
    orNone(bytes('64KiB', '16TiB'), -1),
    '1GiB',
    'Bytes that the log of the cache may take on a server, shared equally by its partitions; none: no limit.',
  ),
  whenFull: setting(
    choice('drop-oldest', 'refuse'),
    'drop-oldest',
    'What a full log does with a write: drop its oldest entries, or refuse the write.',
  ),
};

const tree = {
  cluster: setting(
    text(/^[a-z0-9][a-z0-9-]{0,31}$/, '1 to 32 of a-z, 0-9 and -, beginning with a letter or digit'),
    'sluice',
    'Name of the deployment: the prefix of all its subjects and the name of its control stream.',
  ),
  node: {
    id: setting(
      orNone(name),
      null,
      'Name of this node, unique in the cluster; none: a random one, made once and kept in the data folder.',
    ),
    region: setting(orNone(name), null, 'Where the node is; clients prefer nodes of their own region.'),
    dataFolder: setting(
      path,
      '.sluice/node',
      'Folder of what the node keeps between runs; one per node. Relative to the working directory.',
    ),
    advertise: setting(
      orNone(address),
      null,
      'Address under which other nodes and clients reach the HTTP door; none: http.host and the port in use.',
    ),
  },
  http: {
    host: setting(host, '127.0.0.1', 'Address to listen on; 0.0.0.0 or :: for every network.'),
    port: setting(integer(0, 65_535), 7401, 'Port to listen on; 0 lets the system choose one.'),
    headerBytesMax: setting(bytes('1KiB', '1MiB'), '16KiB', 'Largest head of a request; a larger one is answered 431.'),
    bodyBytesMax: setting(
      bytes('1KiB', '128MiB'),
      '1088KiB',
      'Largest body of a request; a larger one is answered 413. A little above the largest value.',
    ),
    connectionsMax: setting(integer(1, 1_000_000), 10_000, 'Open connections; further ones are closed at once.'),
    requestTimeout: setting(duration('100ms', '1h'), '30s', 'Time for a request to arrive completely.'),
    headersTimeout: setting(duration('100ms', '1h'), '10s', 'Time for the head of a request to arrive.'),
    keepAliveTimeout: setting(
      duration('0', '1h'),
      '65s',
      'Time that an idle connection stays open; longer than that of a load balancer in front.',
    ),
    stallTimeout: setting(
      duration('100ms', '1h'),
      '30s',
      'Time that a client may take nothing of an answer that waits for it; then its connection is closed. Counted as at least http.headersTimeout.',
    ),
    pipelinedMax: setting(
      integer(1, 100_000),
      100,
      'Requests that may wait on one connection for the answers to those before them; a connection with more is closed.',
    ),
    drainTimeout: setting(
      duration('0', '10m'),
      '10s',
      'Time that requests under way get to end after SIGTERM; then their connections are closed.',
    ),
  },
  nats: {
    servers: setting(
      hidden(textList(server, 64), (raw) => JSON.stringify(raw)?.includes('@') ?? false),
      ['nats://127.0.0.1:4222'],
      'Servers of the NATS cluster to connect to.',
    ),
    user: setting(orNone(text(/^[^\0]{1,4096}$/, 'a text')), null, 'User name, together with nats.password.'),
    password: setting(
      credential,
      null,
      'Password of nats.user. Better given as an environment variable than in a file.',
    ),
    token: setting(credential, null, 'Token, instead of a user and password.'),
    credentialsFile: setting(orNone(path), null, 'File with a JWT and its key (.creds), instead of the above.'),
    tls: {
      caFile: setting(orNone(path), null, 'Certificates of the authorities to trust, PEM; none: those of the system.'),
      certFile: setting(orNone(path), null, 'Certificate that this process shows to the server, PEM.'),
      keyFile: setting(orNone(path), null, 'Private key of nats.tls.certFile, PEM.'),
    },
    apiPrefix: setting(
      subject,
      '$JS.API',
      'What the subjects of the JetStream API begin with; another where JetStream is in an account of its own (docs/security.md).',
    ),
    inboxPrefix: setting(
      subject,
      '_INBOX',
      'What the subjects of answers begin with; permissions of the server may allow only one.',
    ),
    connectWait: setting(duration('0', '24h'), '60s', 'Time to wait for a NATS server at start before giving up.'),
    pingInterval: setting(
      duration('100ms', '10m'),
      '10s',
      'Time between pings on a quiet connection; two unanswered ones mean that it is dead.',
    ),
  },
  log: {
    replicas: setting(integer(1, 5), 1, 'Servers of the NATS cluster that store the control stream; odd is best.'),
    storage: setting(
      choice('file', 'memory'),
      'file',
      'Where the servers keep the streams; memory does not survive a restart of all of them.',
    ),
    writeDeadline: setting(
      duration('100ms', '25s'),
      '10s',
      'Time for a write with all its retries; long enough to ride over the election of a stream leader (4 to 8 s).',
    ),
    writesInFlightMax: setting(
      integer(1, 65_536),
      4096,
      'Writes that may wait for acknowledgement; further ones queue.',
    ),
    bytesInFlightMax: setting(bytes('64KiB', '4GiB'), '64MiB', 'Bytes of writes that may wait for acknowledgement.'),
    heartbeat: setting(duration('100ms', '1s'), '500ms', 'Time between heartbeats that a follower asks of the server.'),
    silence: setting(
      duration('200ms', '30s'),
      '1250ms',
      'Time without any message or heartbeat after which a follower makes a new consumer.',
    ),
    batch: setting(integer(100, 10_000), 10_000, 'Messages that a follower asks for at once.'),
    floorCheck: setting(
      duration('1s', '1h'),
      '30s',
      'Time between looks at the first position of a stream, to drop entries that the log no longer has.',
    ),
    tombstoneHorizon: setting(
      duration('1m', '3650d'),
      '24h',
      'Time that delete markers are kept; a node that was away for longer rebuilds from scratch.',
    ),
  },
  membership: {
    pulse: setting(duration('50ms', '10s'), '250ms', 'Time between signs of life of a node.'),
    suspectAfter: setting(
      duration('100ms', '1m'),
      '1s',
      'Time without a sign of life after which readers avoid a node.',
    ),
    evictAfter: setting(
      duration('200ms', '1h'),
      '3s',
      'Time without a sign of life after which a node is declared to have left.',
    ),
  },
  read: {
    waitMax: setting(
      duration('0', '5m'),
      '5s',
      'Longest wait of a read for the position or freshness that it demands; then it is answered stale.',
    ),
    onMiss: setting(
      choice('log', 'none'),
      'log',
      'Where a read looks for a key that the node does not have in memory: in the log, or nowhere.',
    ),
    expiryTolerance: setting(
      duration('0', '10m'),
      '0ms',
      'Time that an entry is still served after its expiry, for clocks that differ.',
    ),
  },
  cacheDefaults: cacheTree,
  watch: {
    buffered: setting(
      integer(1, 1_000_000),
      1000,
      'Events that may wait for one reader of a change stream; a slower reader is dropped.',
    ),
    bytesMax: setting(
      bytes('1MiB', '64GiB'),
      '256MiB',
      'Bytes of events that may wait for all readers of change streams together; beyond, readers that have not taken the event before are dropped.',
    ),
  },
  limits: {
    caches: setting(integer(1, 1024), 256, 'Caches that may be declared in the cluster.'),
  },
  controller: {
    host: setting(host, '127.0.0.1', 'Address on which the controller listens; 0.0.0.0 or :: for every network.'),
    port: setting(integer(0, 65_535), 49_001, 'Port on which the controller listens; 0 lets the system choose one.'),
  },
  audit: {
    interval: setting(
      duration('1s', '30d'),
      '1m',
      'Time from the end of one audit of all caches to the beginning of the next.',
    ),
    shares: setting(
      integer(1, 1_000_000),
      100,
      'Equal shares of the keys, one of which is compared in each audit, in turn; 1: all keys each time.',
    ),
    keysPerSecond: setting(
      integer(1, 10_000_000),
      1_000,
      'Keys a second that an audit reads of each copy, and of the log.',
    ),
    canary: setting(
      orNone(duration('1s', '1d')),
      '10s',
      'Time between two canaries, by which staleness is measured; none: nothing is written.',
    ),
  },
  logging: {
    level: setting(
      choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
      'info',
      'Least severe lines that are written.',
    ),
    format: setting(choice('json', 'pretty'), 'json', 'One JSON object per line, or text for people.'),
  },
};

export const settingTree: SettingTree = tree;

/** All settings, deep-frozen, with units in the names: durations are `…Ms`, sizes are bytes. */
export type Settings = SettingsOf<typeof tree>;

/** The settings of one cache. null: none. */
export interface CacheSettings {
  readonly partitions: number;
  readonly replicas: 'all' | number;
  readonly logReplicas: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly ttlMs: number | null;
  readonly valueBytesMax: number;
  readonly logBytesMax: number | null;
  readonly whenFull: 'drop-oldest' | 'refuse';
}

export type Program = 'cache-node' | 'cache-controller' | 'sluice';

/** Sections that programs besides `cache-node` use. They read the same file, and leave the other sections alone. */
const sharedSections: Readonly<Record<string, readonly Program[]>> = {
  cluster: ['cache-controller', 'sluice'],
  nats: ['cache-controller', 'sluice'],
  log: ['cache-controller', 'sluice'],
  membership: ['cache-controller'],
  cacheDefaults: ['sluice'],
  logging: ['cache-controller', 'sluice'],
};

/** Sections that are none of `cache-node`'s. */
const ownSections: Readonly<Record<string, readonly Program[]>> = {
  controller: ['cache-controller'],
  audit: ['cache-controller'],
};

/** One setting with all its names. */
export interface SettingEntry {
  /** In the file: `http.port`. */
  readonly path: string;
  /** In the environment: `SLUICE_HTTP_PORT`. */
  readonly env: string;
  /** On the command line: `--http-port`. */
  readonly flag: string;
  readonly programs: readonly Program[];
  readonly setting: Setting<unknown>;
}

/** Variables that begin like settings but belong to other parts; a name that ends with _ stands for all that follow it. */
export const otherVariables: Readonly<Record<string, string>> = {
  SLUICE_CONFIG: 'the file with settings',
  SLUICE_SUPERVISED: 'whether a supervisor started this process and ends it by closing its input',
  SLUICE_NATS_DOWNLOAD_BASE: 'where nats-server is downloaded from when it is not installed',
  SLUICE_TEST_: 'the tests',
};

export const settingEntries: readonly SettingEntry[] = listEntries(tree, []);

function listEntries(branch: SettingTree, parents: readonly string[]): SettingEntry[] {
  return Object.entries(branch).flatMap(([key, node]) => {
    const names = [...parents, key];
    return isSetting(node) ? [buildEntry(names, node)] : listEntries(node, names);
  });
}

function buildEntry(names: readonly string[], node: Setting<unknown>): SettingEntry {
  const [section = ''] = names;
  const words = names.flatMap((part) => part.replace(/[A-Z]/g, (letter) => ` ${letter}`).split(' '));
  return {
    path: names.join('.'),
    env: `SLUICE_${words.join('_').toUpperCase()}`,
    flag: `--${words.join('-').toLowerCase()}`,
    programs: ownSections[section] ?? ['cache-node', ...(sharedSections[section] ?? [])],
    setting: node,
  };
}
