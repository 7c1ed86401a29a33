/** Settings from their sources: precedence, all problems at once, suggestions, and secrets that stay secret. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadSettings, type SettingSources } from '../../../src/config/load.ts';
import { badConfigExitCode } from '../../../src/config/problems.ts';
import { settingEntries } from '../../../src/config/schema.ts';
import { isSluiceError } from '../../../src/errors.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

let fileCount = 0;
function file(text: string): string {
  fileCount += 1;
  const name = join(folder, `settings-${fileCount}.json`);
  writeFileSync(name, text);
  return name;
}

/** Sources without the environment of the test. */
const load = (sources: SettingSources) => loadSettings({ env: {}, ...sources });

/** The lines of the refusal. */
function problemsOf(sources: SettingSources): readonly string[] {
  try {
    load(sources);
  } catch (error) {
    assert.ok(isSluiceError(error, 'bad-config'), String(error));
    const { problems } = error.details as { readonly problems: readonly string[] };
    for (const line of problems) assert.ok(error.message.includes(line), line);
    return problems;
  }
  return assert.fail('the settings were accepted');
}

describe('the order of the sources', () => {
  it('is default, file, environment, flags, for each setting by itself', () => {
    const settings = load({
      file: file('{ "http": { "host": "h1", "port": 1001, "connectionsMax": 7 } }'),
      env: { SLUICE_HTTP_PORT: '1002', SLUICE_HTTP_CONNECTIONS_MAX: '8' },
      flags: { 'http-connections-max': '9' },
    });
    assert.equal(settings.http.headerBytesMax, 16_384);
    assert.equal(settings.http.host, 'h1');
    assert.equal(settings.http.port, 1002);
    assert.equal(settings.http.connectionsMax, 9);
  });

  it('takes the file from the sources, else from --config, else from SLUICE_CONFIG', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((id) => file(`{ "node": { "id": "${id}" } }`));
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const env = { SLUICE_CONFIG: c };
    assert.equal(load({ file: a, flags: { config: b }, env }).node.id, 'a');
    assert.equal(load({ flags: { config: b }, env }).node.id, 'b');
    assert.equal(load({ env }).node.id, 'c');
    assert.equal(load({ env: { SLUICE_CONFIG: '' } }).node.id, null);
  });

  it('reads the environment of the process when none is given', () => {
    Object.assign(process.env, { SLUICE_NODE_ID: 'from-the-process' });
    try {
      assert.equal(loadSettings({}).node.id, 'from-the-process');
    } finally {
      Reflect.deleteProperty(process.env, 'SLUICE_NODE_ID');
    }
  });

  it('takes flags in kebab-case and in camel case, repeated ones as a list, and leaves out undefined ones', () => {
    const settings = load({
      flags: { httpPort: '1', '--http-host': 'h', 'nats-servers': ['a:1', 'b:2'], nodeId: undefined },
    });
    assert.equal(settings.http.port, 1);
    assert.equal(settings.http.host, 'h');
    assert.deepEqual(settings.nats.servers, ['a:1', 'b:2']);
  });

  it('lets a stronger source take a value back to none', () => {
    const name = file('{ "cacheDefaults": { "ttl": "5m", "logBytesMax": "2GiB" }, "node": { "id": "a" } }');
    const settings = load({
      file: name,
      env: { SLUICE_CACHE_DEFAULTS_TTL: 'none', SLUICE_CACHE_DEFAULTS_LOG_BYTES_MAX: '-1' },
      flags: { nodeId: 'none' },
    });
    assert.equal(settings.cacheDefaults.ttlMs, null);
    assert.equal(settings.cacheDefaults.logBytesMax, null);
    assert.equal(settings.node.id, null);
  });

  it('gives every setting the same value from the file, the environment and a flag', () => {
    for (const { path, env, flag, setting, programs } of settingEntries) {
      const text = setting.written === null ? 'none' : String(setting.written);
      const raw = JSON.stringify(setting.written);
      const nested = path.split('.').reduceRight((inner, name) => `{ ${JSON.stringify(name)}: ${inner} }`, raw);
      const expected = load({});
      assert.deepEqual(load({ file: file(nested) }), expected, path);
      assert.deepEqual(load({ env: { [env]: text } }), expected, env);
      for (const program of programs) assert.deepEqual(load({ flags: { [flag]: text }, program }), expected, flag);
    }
  });
});

describe('the result', () => {
  it('has units in its names and is frozen to the last level', () => {
    const settings = load({ env: { SLUICE_READ_EXPIRY_TOLERANCE: '250ms', SLUICE_LOG_BYTES_IN_FLIGHT_MAX: '8MiB' } });
    assert.equal(settings.read.expiryToleranceMs, 250);
    assert.equal(settings.log.bytesInFlightMax, 8 * 2 ** 20);
    assert.equal(settings.membership.evictAfterMs, 3000);
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      assert.ok(Object.isFrozen(value));
      Object.values(value).forEach(walk);
    };
    walk(settings);
  });

  it('is not shared between two calls', () => {
    assert.notEqual(load({}).nats, load({}).nats);
  });
});

describe('problems', () => {
  it('are reported all at once, from every source and from relations, each as field: value: rule', () => {
    const problems = problemsOf({
      file: file('{ "http": { "port": "7401" }, "membership": { "pulse": "400ms", "evictAfter": "0.9s" } }'),
      env: { SLUICE_LOG_BATCH: '99', SLUICE_CLUSTER: 'Big One' },
      flags: { 'read-on-miss': 'origin' },
    });
    assert.deepEqual(problems, [
      'http.port: "7401": must be an integer from 0 to 65,535',
      'log.batch (SLUICE_LOG_BATCH): 99: must be an integer from 100 to 10,000',
      'cluster (SLUICE_CLUSTER): "Big One": must be 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit',
      'read.onMiss (--read-on-miss): "origin": must be one of log, none',
      'membership.evictAfter: 900ms: must be more than membership.suspectAfter (membership.suspectAfter is 1s)',
    ]);
  });

  it('include a wrong value that a stronger source overrides', () => {
    const problems = problemsOf({ env: { SLUICE_HTTP_PORT: 'x' }, flags: { 'http-port': '1' } });
    assert.deepEqual(problems, ['http.port (SLUICE_HTTP_PORT): "x": must be an integer from 0 to 65,535']);
  });

  it('name an unknown setting and the one that was probably meant', () => {
    const problems = problemsOf({
      file: file('{ "htp": {}, "http": { "prot": 1 }, "port": 1, "http.port": 1, "zzz": 1, "toString": 1 }'),
      env: { SLUICE_NATS_SERVER: 'a:1', SLUICE_HTP_PORT: '80', SLUICE_QUITE_DIFFERENT: '1' },
      flags: { 'htp-port': '1', port: '1' },
    });
    assert.deepEqual(problems, [
      '--htp-port: (hidden): is not a setting; did you mean --http-port?',
      '--port: (hidden): is not a setting; did you mean --http-port?',
      'SLUICE_NATS_SERVER: (hidden): is not a setting; did you mean SLUICE_NATS_SERVERS?',
      'SLUICE_HTP_PORT: (hidden): is not a setting; did you mean SLUICE_HTTP_PORT?',
      'SLUICE_QUITE_DIFFERENT: (hidden): is not a setting',
      'htp: (hidden): is not a setting; did you mean http?',
      'http.prot: (hidden): is not a setting; did you mean http.port?',
      'port: (hidden): is not a setting; did you mean http.port?',
      'http.port: (hidden): is not a setting; sections are written as objects in objects',
      'zzz: (hidden): is not a setting',
      'toString: (hidden): is not a setting',
    ]);
  });

  it('do not arise from variables of other parts, of Kubernetes, of other programs, or from empty ones', () => {
    const settings = load({
      env: {
        SLUICE_NATS_DOWNLOAD_BASE: 'http://127.0.0.1:1',
        SLUICE_TEST_ANYTHING: '1',
        SLUICE_SERVICE_HOST: '10.0.0.1',
        SLUICE_SERVICE_PORT: '7401',
        SLUICE_SERVICE_PORT_HTTP: '7401',
        SLUICE_PORT: 'tcp://10.0.0.1:7401',
        SLUICE_CACHE_PORT: 'tcp://10.0.0.1:7401',
        SLUICE_PORT_7401_TCP: 'tcp://10.0.0.1:7401',
        SLUICE_PORT_7401_TCP_ADDR: '10.0.0.1',
        SLUICE_HTTP_PORT: '',
        PATH: '/bin',
        MY_SLUICE_HTTP_PORT: '1',
      },
    });
    assert.deepEqual(settings, load({}));
  });

  it('refuse a flag of a section that the program does not use', () => {
    assert.equal(load({ program: 'sluice', flags: { cluster: 'other' } }).cluster, 'other');
    assert.deepEqual(problemsOf({ program: 'sluice', flags: { 'http-port': '1' } }), [
      '--http-port: (hidden): is not a setting',
    ]);
  });

  it('say what is wrong with the file itself, and still report the others', () => {
    const missing = join(folder, 'missing.json');
    const [first, second] = problemsOf({ file: missing, env: { SLUICE_HTTP_PORT: '-1' } });
    assert.ok(first?.startsWith(`config: ${JSON.stringify(missing)}: must be a readable file: ENOENT`));
    assert.equal(second, 'http.port (SLUICE_HTTP_PORT): -1: must be an integer from 0 to 65,535');
    assert.match(problemsOf({ file: folder })[0] ?? '', /must be a readable file: EISDIR/);
    assert.match(problemsOf({ file: file('{\n  "http": {,}\n}') })[0] ?? '', /JSON with comments: line 2, column 12/);
    assert.match(problemsOf({ file: file('[]') })[0] ?? '', /^config: \(hidden\): must be an object with settings$/);
    assert.match(problemsOf({ file: file('{ "http": 7 }') })[0] ?? '', /^http: \(hidden\): must be an object/);
    assert.match(problemsOf({ file: file(' '.repeat(1_048_577)) })[0] ?? '', /must be a file of at most 1MiB$/);
  });

  it('arise from addresses without a usable port, and from servers with a scheme that is not spoken', () => {
    const accepted = ['10.0.0.1:7401', 'cache-1.internal:65535', '[::1]:80'];
    for (const address of accepted) assert.equal(load({ flags: { nodeAdvertise: address } }).node.advertise, address);
    for (const address of ['host', 'host:0', 'host:65536', ':1', 'http://host:1', 'a b:1', '::1:80']) {
      assert.equal(problemsOf({ flags: { nodeAdvertise: address } }).length, 1, address);
    }
    assert.equal(load({ env: { SLUICE_NATS_SERVERS: 'a, nats://b:4222,tls://[::1]:1' } }).nats.servers.length, 3);
    for (const servers of [' ', 'http://a:1', 'a:70000', 'a,a', 'a,,b', 'nats://']) {
      assert.equal(problemsOf({ env: { SLUICE_NATS_SERVERS: servers } }).length, 1, servers);
    }
  });

  it('shorten a long value', () => {
    const [line = ''] = problemsOf({ env: { SLUICE_LOGGING_LEVEL: 'x'.repeat(1000) } });
    assert.ok(line.length < 250, line);
  });

  it('never show a secret, wherever it was put', () => {
    const word = 'hunter2';
    const problems = problemsOf({
      file: file(`{
        "nats": { "password": { "value": "${word}" }, "tokn": "${word}", "servers": ["nats://me:${word}@host:1"] },
        "natspassword": "${word}", "token": "${word}", "logging": "${word}",
      }`),
      env: {
        SLUICE_NATS_TOKEN: `${word}\0`,
        SLUICE_NATS_PASWORD: word,
        SLUICE_NATS_SERVERS: `me:${word}@host`,
      },
      flags: { 'nats-tokken': word, 'nats-password': `${word}${'x'.repeat(5000)}` },
    });
    assert.equal(problems.length, 11);
    assert.deepEqual(
      problems.filter((line) => line.includes(word)),
      [],
    );
    const relation = problemsOf({ env: { SLUICE_NATS_PASSWORD: word } });
    assert.deepEqual(relation, [
      'nats.password: (hidden): must be given together with nats.user, or neither (nats.user is none)',
    ]);
  });

  it('go with exit code 78', () => {
    assert.equal(badConfigExitCode, 78);
  });
});
