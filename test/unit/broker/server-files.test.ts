/** What is written for a nats-server and what is read from it, as text. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { buildServerConfig } from '../../../src/broker/server/server-config.ts';
import {
  buildStartFailure,
  findPortConflict,
  measureLog,
  pruneOldLogs,
  readLastLines,
} from '../../../src/broker/server/server-log.ts';
import { parseGreeting, readClientPort } from '../../../src/broker/server/server-ready.ts';

describe('the configuration of a server', () => {
  const base = { host: '127.0.0.1', port: 0, storeFolder: '/data/a "b"', logFile: '/data/log' };

  it('lets the system choose the port, and quotes what it is given', () => {
    assert.equal(
      buildServerConfig(base),
      [
        '# Written anew at every start; changes made here are lost.',
        'listen: "127.0.0.1:-1"',
        'log_file: "/data/log"',
        'logfile_size_limit: 16777216',
        'jetstream {',
        '  store_dir: "/data/a \\"b\\""',
        '}',
        '',
      ].join('\n'),
    );
  });

  it('names a server of a cluster, because JetStream refuses one without a name', () => {
    const cluster = { name: 'c', port: 7001, routes: ['nats://127.0.0.1:7001', 'nats://127.0.0.1:7002'] };
    const text = buildServerConfig({ ...base, host: '::1', port: 4222, cluster });
    assert.match(text, /^listen: "\[::1\]:4222"$/m);
    assert.match(text, /^server_name: "c-7001"$/m);
    assert.match(text, /^ {2}routes: \["nats:\/\/127\.0\.0\.1:7001", "nats:\/\/127\.0\.0\.1:7002"\]$/m);
    assert.match(buildServerConfig({ ...base, cluster, serverName: 's' }), /^server_name: "s"$/m);
  });

  it('takes further lines as they are, at the top and for JetStream', () => {
    const text = buildServerConfig({
      ...base,
      maxPayloadBytes: 99,
      extraConfig: 'debug: true',
      jetStreamConfig: 'sync_interval: always',
    });
    assert.match(text, /^max_payload: 99$/m);
    assert.match(text, /^jetstream \{\n.*\nsync_interval: always\n\}\ndebug: true\n$/m);
  });
});

describe('the log of a server', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
    path = join(folder, 'nats-server.log');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('gives the last lines of this life, without pid and time', () => {
    writeFileSync(path, 'an earlier life\n');
    const start = measureLog(path);
    const lines = Array.from({ length: 30 }, (_, index) => `[77] 2026/11/21 12:00:00.123456 [INF] line ${index}`);
    writeFileSync(path, `${lines.join('\n')}\n`, { flag: 'a' });
    const last = readLastLines(path, start);
    assert.equal(last.length, 12);
    assert.equal(last[11], '[INF] line 29');
    assert.deepEqual(readLastLines(path, measureLog(path)), []);
  });

  it('is read from its beginning when the server began it again', () => {
    writeFileSync(path, 'new\n');
    assert.deepEqual(readLastLines(path, 1_000_000), ['new']);
  });

  it('may be missing', () => {
    assert.equal(measureLog(join(folder, 'absent')), 0);
    assert.deepEqual(readLastLines(join(folder, 'absent'), 0), []);
  });

  it('leaves at most three full files behind', () => {
    for (let hour = 10; hour < 16; hour += 1) writeFileSync(`${path}.2026.11.21.${hour}.00.00.1`, '');
    writeFileSync(path, '');
    pruneOldLogs(path);
    assert.deepEqual(readdirSync(folder), [
      'nats-server.log',
      'nats-server.log.2026.11.21.13.00.00.1',
      'nats-server.log.2026.11.21.14.00.00.1',
      'nats-server.log.2026.11.21.15.00.00.1',
    ]);
  });

  it('shows which port was taken', () => {
    const line =
      '[FTL] Error listening on port: 127.0.0.1:4222, "listen tcp 127.0.0.1:4222: bind: address already in use"';
    assert.deepEqual(findPortConflict(['[INF] Starting', line]), { host: '127.0.0.1', port: 4222 });
    assert.deepEqual(findPortConflict(['listen tcp [::1]:7000: bind: address already in use']), {
      host: '::1',
      port: 7000,
    });
    assert.equal(findPortConflict(['[FTL] permission denied']), undefined);
  });

  it('makes the error of a failed start', () => {
    const exit = { code: 1, signal: null, isExpected: false };
    assert.equal(buildStartFailure(exit, ['[FTL] no'], '/log').message.endsWith('its last lines:\n  [FTL] no'), true);
    assert.match(buildStartFailure({ ...exit, signal: 'SIGILL' }, [], '/log').message, /signal SIGILL.*said nothing/);
  });
});

describe('a starting server', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-ports-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('is asked for its port in its own ports file only, and only when that is whole', () => {
    const text = JSON.stringify({ nats: ['nats://127.0.0.1:35497'], monitoring: ['http://127.0.0.1:1'] });
    assert.equal(readClientPort(folder, 7), undefined);
    writeFileSync(join(folder, 'nats-server_77.ports'), text);
    assert.equal(readClientPort(folder, 7), undefined);
    for (const half of [text.slice(0, 10), '', 'null', '{"nats":[]}', '{"nats":["nonsense"]}']) {
      writeFileSync(join(folder, 'nats-server_7.ports'), half);
      assert.equal(readClientPort(folder, 7), undefined, half);
    }
    writeFileSync(join(folder, 'nats-server_7.ports'), text);
    assert.equal(readClientPort(folder, 7), 35_497);
  });

  it('is known by its greeting', () => {
    assert.deepEqual(parseGreeting('INFO {"version":"2.14.2","server_name":"s"} '), {
      version: '2.14.2',
      serverName: 's',
    });
    for (const line of ['', '+OK', 'INFO', 'INFO {', 'INFO null', 'INFO {"version":2}', 'HTTP/1.1 400 Bad Request'])
      assert.equal(parseGreeting(line), undefined, line);
  });
});
