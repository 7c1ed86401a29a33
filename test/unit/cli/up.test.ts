/** The pure parts of `sluice up`, and its log files. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createNodeLogger, formatPretty } from '../../../src/cli/service/node-logger.ts';
import { describeCopies } from '../../../src/cli/up/example.ts';
import { logFileBytesMax, openLogFile } from '../../../src/cli/up/log-file.ts';
import { readNodeLine } from '../../../src/cli/up/node-output.ts';
import { isPortBusy, planPorts, portBaseMax, portInUse } from '../../../src/cli/up/ports.ts';

describe('ports', () => {
  it('are fixed, or count from a base', () => {
    assert.deepEqual(planPorts(undefined, 3), { nats: 4222, http: [7401, 7402, 7403], controller: 49_001 });
    assert.deepEqual(planPorts(9000, 2), { nats: 9000, http: [9001, 9002], controller: 9010 });
  });

  it('fit below the end whatever the base and the number of nodes, and are all different', () => {
    const { nats, http, controller } = planPorts(portBaseMax, 9);
    const all = [nats, ...http, controller];
    assert.equal(Math.max(...all), 65_535);
    assert.equal(new Set(all).size, all.length);
  });

  it('are busy while something listens on them', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.equal(await isPortBusy(port), true);
    await once(server.close(), 'close');
    assert.equal(await isPortBusy(port), false);
  });

  it('that are busy are named, with the way out', () => {
    assert.match(portInUse(4222, 'NATS').message, /^port 4222 on 127\.0\.0\.1, for NATS, is in use .*--port-base N$/);
  });
});

describe('the output of a node', () => {
  /** What the logger really writes, so that both sides change together. */
  function written(log: (logger: ReturnType<typeof createNodeLogger>) => void): string {
    let text = '';
    log(createNodeLogger({ level: 'info', format: 'json' }, { write: (line) => (text += line) }));
    return text.trimEnd();
  }

  it('says that it is ready, and what that took', () => {
    const line = written((logger) => logger.info({ caches: 2, events: 4004, replayMs: 120.4 }, 'ready: 2 caches …'));
    assert.deepEqual(readNodeLine(line), { isReady: true, text: 'ready: 2 caches, 4,004 events replayed in 120 ms' });
  });

  it('is shown where it matters', () => {
    const shown = (log: Parameters<typeof written>[0]): string | undefined => readNodeLine(written(log)).text;
    assert.equal(
      shown((logger) => logger.warn('connection lost')),
      'connection lost',
    );
    assert.equal(
      shown((logger) => logger.fatal({ err: new Error('x') }, 'the end')),
      'the end',
    );
    assert.equal(
      shown((logger) => logger.info('joined as node-1')),
      undefined,
    );
    assert.equal(
      shown((logger) => logger.info('connected to NATS again at x')),
      'connected to NATS again at x',
    );
  });

  it('that is no log line is shown too, without what a terminal obeys', () => {
    assert.equal(readNodeLine('cache-node: in-use: port').text, 'cache-node: in-use: port');
    assert.equal(readNodeLine('\x1b[2Jx').text, '"\\u001b[2Jx"');
    assert.equal(readNodeLine('{not json').text, '{not json');
    assert.equal(readNodeLine('').text, undefined);
    assert.equal(readNodeLine('x'.repeat(9_999)).text?.length, 500);
  });

  it('is text for people on request, with facts and stacks', () => {
    const line =
      '{"level":"warn","time":"2026-07-31T10:11:12.123Z","pid":1,"log":"KV_demo","n":3,"why":"a b","err":{"stack":"Error: x\\n    at y"},"msg":"oops"}';
    assert.equal(formatPretty(line), '10:11:12.123 WARN  oops  log=KV_demo  n=3  why="a b"\n  Error: x\n      at y\n');
    assert.equal(formatPretty('no json'), 'no json');
  });
});

describe('copies of a key', () => {
  const nodes = [{ name: 'node-1' }, { name: 'node-2' }];
  const copy = { revision: '17', checksum: 'abcdef0123456789', bytes: 1536 };

  it('agree when revision and checksum are the same', () => {
    const text = 'a/b: 1.5 KiB, revision 17, sha256 abcdef012345: the same on node-1, node-2';
    assert.equal(describeCopies('a/b', nodes, [copy, copy]), text);
  });

  it('that differ or are missing are told apart', () => {
    for (const other of [{ ...copy, revision: '18' }, { ...copy, checksum: 'ff' }, { problem: 'status 404' }]) {
      assert.match(describeCopies('a/b', nodes, [copy, other]), /^a\/b: NOT the same: node-1: .*; node-2: /);
    }
    assert.match(describeCopies('a', nodes, [{ problem: 'x' }, { problem: 'x' }]), /NOT the same/);
  });
});

describe('log files', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-log-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('grow across starts, and are put aside when they have become large', async () => {
    const path = join(folder, 'node.log');
    for (const line of ['one', 'two']) {
      const file = openLogFile(path, assert.fail);
      file.write(line);
      await file.close();
    }
    assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
    writeFileSync(path, Buffer.alloc(logFileBytesMax + 1));
    const file = openLogFile(path, assert.fail);
    file.write('three');
    await file.close();
    assert.equal(readFileSync(path, 'utf8'), 'three\n');
    assert.equal(statSync(`${path}.1`).size, logFileBytesMax + 1);
  });

  it('that cannot be written are told of once, and nothing else happens', async () => {
    let problems = 0;
    const file = openLogFile(join(folder, 'missing', 'node.log'), () => {
      problems += 1;
    });
    file.write('one');
    await file.close();
    file.write('two');
    await file.close();
    assert.equal(problems, 1);
    assert.equal(existsSync(join(folder, 'missing')), false);
  });
});
