/** Entries by the command line: written, read, listed, watched, cleared, loaded, straight to and from the log. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { createSluice, endPrograms, type Sluice } from './run-program.ts';

let server: TestServer;
let sluice: Sluice;
let folder: string;

before(async () => {
  server = await startNatsServer();
  sluice = createSluice(server.url);
  folder = mkdtempSync(join(tmpdir(), 'sluice-cli-'));
  for (const args of [['demo'], ['small', '--value-bytes-max', '1KiB'], ['parts', '--partitions', '3']])
    assert.equal((await sluice('cache', 'declare', ...args)).code, 0);
});

afterEach(endPrograms);
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Messages of a stream that stand on a subject. */
async function messagesOn(stream: string, subjects: string): Promise<string[]> {
  const info = (await requestJetStream(server.port, `STREAM.INFO.${stream}`, { subjects_filter: subjects })) as {
    state: { subjects?: Record<string, number> };
  };
  return Object.keys(info.state.subjects ?? {}).sort();
}

describe('put, get and delete', () => {
  it('carry a value from the argument to standard output, with nothing added', async () => {
    const put = await sluice('put', 'demo', 'greeting', 'hello wörld');
    assert.deepEqual([put.code, put.stderr], [0, '']);
    assert.match(put.stdout, /^greeting: revision \d+\n$/);
    assert.equal((await sluice('get', 'demo', 'greeting')).stdout, 'hello wörld');
  });

  it('carry bytes from standard input and from files, to files too', async () => {
    const value = randomBytes(300_000);
    const path = join(folder, 'value.bin');
    const copy = join(folder, 'copy.bin');
    writeFileSync(path, value);
    assert.equal((await sluice.with({ input: value }, 'put', 'demo', 'by-pipe')).code, 0);
    assert.equal((await sluice('put', 'demo', 'by-file', '--file', path)).code, 0);
    assert.ok((await sluice('get', 'demo', 'by-pipe')).bytes.equals(value));
    assert.equal((await sluice('get', 'demo', 'by-file', '--output', copy)).stdout, '');
    assert.ok(readFileSync(copy).equals(value));
  });

  it('know an empty value from none', async () => {
    assert.equal((await sluice('put', 'demo', 'empty', '')).code, 0);
    const empty = await sluice('get', 'demo', 'empty');
    assert.deepEqual([empty.code, empty.stdout], [0, '']);
    const none = await sluice('get', 'demo', 'none');
    assert.deepEqual([none.code, none.stdout, none.stderr], [1, '', 'sluice: demo has no none\n']);
    assert.deepEqual(JSON.parse((await sluice('get', 'demo', 'none', '--json')).stdout).found, false);
  });

  it('keep type, tags, expiry and author with the value', async () => {
    const beforeMs = Date.now();
    const put = ['--type', 'text/plain', '--tag', 'a,b', '--tag', 'c', '--ttl', '1h', '--as', 'me'];
    const { revision } = await sluice.json('put', 'demo', 'full', 'text', ...put);
    const { at, expires, ...entry } = await sluice.json('get', 'demo', 'full');
    assert.deepEqual(entry, {
      cache: 'demo',
      key: 'full',
      found: true,
      revision,
      type: 'text/plain',
      tags: ['a', 'b', 'c'],
      bytes: 4,
      encoding: 'text',
      value: 'text',
    });
    const lifeMs = Date.parse(String(expires)) - beforeMs;
    assert.ok(lifeMs >= 3_600_000 && lifeMs < 3_660_000, String(expires));
    assert.ok(Math.abs(Date.parse(String(at)) - beforeMs) < 60_000);
    const [line] = await sluice.lines('log', '--cache', 'demo', '--from', String(revision), '--limit', '1');
    assert.equal(line?.['by'], 'me');
  });

  it('compare and set: who loses gets 1 and the revision in the way', async () => {
    const { revision } = await sluice.json('put', 'demo', 'cas', '1', '--if-absent');
    const lost = await sluice('put', 'demo', 'cas', '2', '--if-absent');
    assert.deepEqual(
      [lost.code, lost.stderr],
      [1, `sluice: position-conflict: demo: "cas" has revision ${revision}\n`],
    );
    const won = await sluice.json('put', 'demo', 'cas', '2', '--if-revision', String(revision));
    assert.equal((await sluice('delete', 'demo', 'cas', '--if-revision', String(revision))).code, 1);
    assert.equal((await sluice('delete', 'demo', 'cas', '--if-revision', String(won['revision']))).code, 0);
    assert.equal((await sluice('get', 'demo', 'cas')).code, 1);
  });

  it('take any key, and delete what is not there', async () => {
    for (const key of ['user:42', 'ä/ö ü', 'x'.repeat(1024), '日本', '-dash']) {
      assert.equal((await sluice('put', 'demo', '--', key, `value of ${key}`)).code, 0);
      assert.equal((await sluice('get', 'demo', '--', key)).stdout, `value of ${key}`);
      assert.equal((await sluice('delete', 'demo', '--', key)).code, 0);
      assert.equal((await sluice('delete', 'demo', '--', key)).code, 0);
    }
  });

  it('work on a bucket made by others, which stays as it is', async () => {
    const config = { name: 'KV_theirs', subjects: ['$KV.theirs.>'], max_msgs_per_subject: 5, allow_rollup_hdrs: true };
    await requestJetStream(server.port, 'STREAM.CREATE.KV_theirs', config);
    const before = (await requestJetStream(server.port, 'STREAM.INFO.KV_theirs')) as { config: unknown };
    assert.equal((await sluice('put', 'theirs', 'a', '1')).code, 0);
    assert.equal((await sluice('get', 'theirs', 'a')).stdout, '1');
    assert.equal((await sluice('list', 'theirs')).stdout, 'a\n');
    const refused = await sluice('clear', 'theirs');
    assert.equal(refused.code, 76);
    assert.match(refused.stderr, /^sluice: unsupported: KV_theirs: this bucket was not made by Sluice/);
    const now = (await requestJetStream(server.port, 'STREAM.INFO.KV_theirs')) as { config: unknown };
    assert.deepEqual(now.config, before.config);
  });
});

describe('list', () => {
  before(async () => {
    for (const key of ['b/1', 'a', 'b/2', 'c\u001b[2J']) await sluice('put', 'parts', key, 'x', '--tag', 't');
    await sluice('put', 'parts', 'gone', 'x');
    await sluice('delete', 'parts', 'gone');
  });

  it('has the keys of all partitions in order, without what was deleted, harmless for a terminal', async () => {
    const { code, stdout } = await sluice('list', 'parts');
    assert.deepEqual([code, stdout], [0, 'a\nb/1\nb/2\n"c\\u001b[2J"\n']);
  });

  it('takes a prefix, a beginning and a limit', async () => {
    assert.equal((await sluice('list', 'parts', '--prefix', 'b/')).stdout, 'b/1\nb/2\n');
    assert.equal((await sluice('list', 'parts', '--after', 'b/1', '--limit', '1')).stdout, 'b/2\n');
    assert.equal((await sluice('list', 'parts', '--prefix', 'zz')).stdout, '');
  });

  it('says more on request', async () => {
    const { stdout, stderr } = await sluice('list', 'parts', '--long', '--limit', '2');
    assert.match(stdout, /^revision +bytes +time +expires +tags +key\n +\d+ +1 +\S+Z +- +t +a\n/);
    assert.equal(stderr, '2 keys, the limit\n');
    const [first] = await sluice.lines('list', 'parts');
    assert.deepEqual([first?.['key'], first?.['bytes'], first?.['tags']], ['a', 1, ['t']]);
  });
});

describe('watch', () => {
  it('shows what happens from now on, and ends with 0 at Ctrl-C', async () => {
    await sluice('put', 'demo', 'w/old', '1');
    const watch = sluice.start('watch', 'demo', '--prefix', 'w/');
    await watch.sees(/watching demo from \d+/);
    await sluice('put', 'demo', 'w/new', 'new\u0007', '--ttl', '1h');
    await sluice('put', 'demo', 'other', 'x');
    await sluice('delete', 'demo', 'w/new');
    await watch.sees(/^delete .*$/m);
    watch.signal('SIGINT');
    const { code, stdout } = await watch.ended;
    assert.equal(code, 0);
    assert.match(stdout, /^put +\d+ {2}w\/new {2}4 bytes {2}"new\\u0007" {2}expires \S+Z\ndelete +\d+ {2}w\/new\n$/);
  });

  it('begins with all that the log holds, and ends after a number of events', async () => {
    const events = await sluice.lines('watch', 'parts', '--from', '0', '--limit', '5', '--no-values');
    const puts = events.filter(({ type }) => type === 'put').map(({ key }) => key);
    assert.deepEqual(puts.sort(), ['a', 'b/1', 'b/2', 'c\u001b[2J']);
    assert.ok(events.every((event) => !('value' in event)));
  });
});

describe('clear and invalidate', () => {
  it('make entries void, say where, and leave nothing of them in the streams', async () => {
    for (const cache of ['demo', 'parts']) {
      for (const key of ['one', 'two', 'three', 'four'])
        await sluice('put', cache, key, 'x', '--tag', `t-${key.length}`);
      const invalidated = await sluice.json('invalidate', cache, 't-3', 't-4');
      assert.equal(invalidated['removed'], 3);
      const left = (await sluice('list', cache)).stdout.split('\n');
      assert.deepEqual(
        ['one', 'two', 'three', 'four'].filter((key) => left.includes(key)),
        ['three'],
      );
      const cleared = await sluice.json('clear', cache);
      assert.ok('position' in cleared || Object.keys(cleared['positions'] as object).length === 3);
      assert.equal((await sluice('list', cache)).stdout, '');
      assert.equal((await sluice('get', cache, 'three')).code, 1);
    }
    for (const bucket of ['demo', 'parts-00', 'parts-01', 'parts-02'])
      assert.deepEqual(await messagesOn(`KV_${bucket}`, `$KV.${bucket}.>`), []);
  });

  it('leave the messages of void entries on request', async () => {
    await sluice('put', 'demo', 'kept', 'x', '--tag', 'k');
    assert.match(
      (await sluice('invalidate', 'demo', 'k', '--no-purge')).stdout,
      /^demo: k invalidated at position \d+\n$/,
    );
    assert.equal((await sluice('get', 'demo', 'kept')).code, 1);
    assert.deepEqual(await messagesOn('KV_demo', '$KV.demo.>'), ['$KV.demo.kept']);
  });
});

describe('load', () => {
  let files: string;

  before(() => {
    files = join(folder, 'files');
    mkdirSync(join(files, 'sub', 'deep'), { recursive: true });
    writeFileSync(join(files, 'a.json'), '{}');
    writeFileSync(join(files, 'sub', 'b.md'), '# b');
    writeFileSync(join(files, 'sub', 'deep', 'c.bin'), Uint8Array.of(0, 255));
    writeFileSync(join(files, 'empty'), '');
    writeFileSync(join(files, 'large.txt'), 'x'.repeat(2_000));
    symlinkSync('a.json', join(files, 'link'));
  });

  it('puts each file under its path, with its type, and counts what it passes over', async () => {
    const { code, stdout, stderr } = await sluice('load', files, 'small', '--prefix', 'f/');
    assert.deepEqual([code, stderr], [0, 'passed over: 1 file above the largest value\npassed over: 1 link\n']);
    assert.match(stdout, /^small: 4 files, 7 B in .* \(.*\/s\)\n$/);
    assert.equal((await sluice('list', 'small')).stdout, 'f/a.json\nf/empty\nf/sub/b.md\nf/sub/deep/c.bin\n');
    assert.ok((await sluice('get', 'small', 'f/sub/deep/c.bin')).bytes.equals(Uint8Array.of(0, 255)));
    assert.equal((await sluice.json('get', 'small', 'f/sub/b.md'))['type'], 'text/markdown; charset=utf-8');
  });

  it('takes patterns, limits, tags and a life', async () => {
    await sluice('clear', 'small');
    const loaded = await sluice.json('load', files, 'small', '--match', 'sub/**', '--tag', 'doc', '--ttl', '1h');
    assert.deepEqual([loaded['stored'], loaded['bytes'], loaded['tooLarge'], loaded['links']], [2, 5, 0, 0]);
    const entry = await sluice.json('get', 'small', 'sub/b.md');
    assert.deepEqual([entry['tags'], typeof entry['expires']], [['doc'], 'string']);
    const cut = await sluice.json('load', files, 'small', '--limit', '1');
    assert.deepEqual([cut['stored'], cut['cutByLimit']], [1, true]);
    assert.equal((await sluice.json('load', files, 'small', '--limit-bytes', '4B'))['stored'], 2);
  });

  it('names files whose name is no key or whose bytes cannot be read, stores the others, and ends with 1', async () => {
    const odd = join(folder, 'odd');
    mkdirSync(join(odd, 'x'.repeat(200), 'y'.repeat(200), 'z'.repeat(200)), { recursive: true });
    writeFileSync(join(odd, 'x'.repeat(200), 'y'.repeat(200), 'z'.repeat(200), 'file'), '1');
    writeFileSync(join(odd, 'good'), '1');
    const { code, stdout, stderr } = await sluice('load', odd, 'small', '--prefix', 'p'.repeat(500));
    assert.deepEqual([code, stdout.slice(0, 14)], [1, 'small: 1 file,']);
    assert.match(stderr, /^not stored: xxx.*: key: \d+ bytes of UTF-8; at most 1024 are allowed\n$/);
    chmodSync(join(odd, 'good'), 0o000);
    const secret = await sluice('load', odd, 'small', '--match', 'good');
    // Who may read everything is not stopped by a mode.
    assert.equal(secret.code, process.getuid?.() === 0 ? 0 : 1);
    chmodSync(join(odd, 'good'), 0o600);
  });

  it('loads many files at once, and the second time again', async () => {
    const many = join(folder, 'many');
    for (let index = 0; index < 500; index += 1) {
      mkdirSync(join(many, String(index % 7)), { recursive: true });
      writeFileSync(join(many, String(index % 7), `${index}.txt`), `value ${index}`);
    }
    for (let round = 0; round < 2; round += 1)
      assert.equal((await sluice.json('load', many, 'parts', '--prefix', 'many/'))['stored'], 500);
    assert.equal((await sluice.lines('list', 'parts', '--prefix', 'many/')).length, 500);
    assert.equal((await sluice('get', 'parts', 'many/6/349.txt')).stdout, 'value 349');
  });
});

describe('a reader that has seen enough', () => {
  it('ends a command quietly', async () => {
    const watch = sluice.start('watch', 'parts', '--from', '0');
    await watch.sees(/^put/m);
    watch.closeOutput();
    await sluice('put', 'parts', 'another', '1');
    const { code, stderr } = await watch.ended;
    assert.deepEqual([code, stderr], [0, 'watching parts from 0, 0, 0; Ctrl-C ends it\n']);
  });
});
