/** `sluice audit` against real nodes: it finds what is planted, names it, and is satisfied after `sluice rebuild`. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { connect, type Sluice as Library } from '../../../src/index.ts';
import { type DamagedNode, startDamagedNode } from '../../support/damaged-node.ts';
import { declareCache, putKey } from '../../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createSluice, type Ended, endPrograms, type Sluice } from '../cli/run-program.ts';

interface Found {
  readonly cache: string;
  readonly copy: string;
  readonly partition: number;
  readonly key: string;
  readonly kind: string;
  readonly logRevision: number | null;
  readonly copyRevision: number | null;
}

interface Audited {
  readonly cache: string;
  readonly outcome: string;
  readonly positions: number[];
  readonly copies: {
    readonly copy: string;
    readonly kind: string;
    readonly compared: number;
    readonly divergent: number;
    readonly evicted: number;
    readonly requests: number;
    readonly bytes: number;
    readonly divergences: Found[];
    readonly staleness?: { readonly count: number; readonly p50Ms: number; readonly maxMs: number };
  }[];
  readonly unchecked: { readonly copy: string; readonly reason: string }[];
  readonly log: { readonly records: number; readonly gets: number; readonly bytes: number };
}

const keyCount = 200;
const keyOf = (index: number): string => `key:${index}`;

describe('sluice audit', () => {
  let server: TestServer;
  let sluice: Sluice;
  let plain: NodeProcess;
  let damaged: DamagedNode;
  let library: Library;

  before(async () => {
    server = await startNatsServer();
    sluice = createSluice(server.url);
    // A node that is held still is to be silent, and not gone.
    const env = { SLUICE_MEMBERSHIP_EVICT_AFTER: '1m' };
    plain = await startNode({ id: 'node-1', nats: server.url, env });
    await plain.ready();
    damaged = await startDamagedNode('node-2', server.url, env);
    for (const [cache, settings] of [
      ['full', {}],
      ['parts', { partitions: 8, replicas: 1 }],
    ] as const) {
      const declared = await declareCache(plain.url, cache, { ...settings, logBytesMax: '64MiB' });
      assert.equal(declared.status, 201, declared.text);
      for (let index = 0; index < keyCount; index += 1)
        assert.equal((await putKey(plain.url, cache, keyOf(index), `value ${index}`)).status, 204);
      // A second revision leaves room below it for a stale one.
      for (let index = 0; index < 8; index += 1) await putKey(plain.url, cache, keyOf(index), `again ${index}`);
    }
    library = await connect({ servers: server.url, name: 'shop', auditable: true });
    await library.open('full');
    await clean();
  });
  afterEach(endPrograms);
  after(async () => {
    await library.close();
    await damaged.stop();
    await plain.stop();
    await server.stop();
  });

  const read = ({ stdout }: Ended): Audited[] =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));

  async function audit(exit: number, ...args: string[]): Promise<Audited[]> {
    const ended = await sluice('audit', ...args, '--json');
    assert.equal(ended.code, exit, `${ended.stderr}\n${ended.stdout}`);
    return read(ended);
  }

  const found = (audits: readonly Audited[]): Found[] =>
    audits.flatMap(({ copies }) => copies.flatMap(({ divergences }) => divergences));

  /** Copies are made in the background after a declaration or a rebuild; then there must be nothing to complain of. */
  async function clean(...args: string[]): Promise<void> {
    let last: Ended | undefined;
    const isClean = async (): Promise<boolean> => {
      last = await sluice('audit', ...args, '--all');
      return last.code !== 69;
    };
    await waitUntil(`an audit of ${args} looks at everything`, isClean, 30_000);
    assert.equal(last?.code, 0, last?.stdout);
  }

  async function rebuild(node: string, ...args: string[]): Promise<void> {
    assert.equal((await sluice('rebuild', node)).code, 0);
    await clean(...args);
  }

  it('is satisfied with nodes and library processes that have what the log has', async () => {
    const [full, parts, ...others] = await audit(0, '--all');
    assert.deepEqual(others, []);
    assert.deepEqual(
      full?.copies.map(({ copy, kind, compared, divergent }) => [copy.split('/')[0], kind, compared, divergent]),
      [
        ['node-1', 'node', keyCount, 0],
        ['node-2', 'node', keyCount, 0],
        ['shop', 'process', keyCount, 0],
      ],
    );
    assert.equal(
      parts?.copies.reduce((sum, { compared }) => sum + compared, 0),
      keyCount,
      'each key has one owner',
    );
    assert.deepEqual([full?.outcome, full?.unchecked, parts?.unchecked], ['agrees', [], []]);
    const text = await sluice('audit', 'full', '--all');
    assert.equal(text.code, 0);
    assert.match(
      text.stdout,
      /^full: at position 208, .*\n {2}copy +kind +keys +divergent .*\n {2}node-1 +node +200 +0 /,
    );
    assert.match(text.stderr, /all copies that hold these caches agree with the log/);
  });

  for (const cache of ['full', 'parts']) {
    it(`names what was planted in a copy of ${cache}, and finds nothing after a rebuild`, async () => {
      const mine = Array.from({ length: keyCount }, (_, index) => keyOf(index)).filter((key) =>
        damaged.holds(cache, key),
      );
      const [value = '', ...rest] = mine.slice(0, 8);
      const [revision = '', missing = ''] = rest;
      const extra =
        Array.from({ length: 100 }, (_, index) => `ghost:${index}`).find((key) => damaged.holds(cache, key)) ?? '';
      damaged.plantValue(cache, value, 'wrong');
      const stale = damaged.plantRevision(cache, revision, 'stale');
      damaged.plantMissing(cache, missing);
      const ghost = damaged.plantExtra(cache, extra, 'boo');

      const audits = await audit(1, cache, '--all');
      const byKey = new Map(found(audits).map((one) => [one.key, one]));
      assert.deepEqual([...byKey.keys()].sort(), [value, revision, missing, extra].sort());
      for (const one of byKey.values()) assert.deepEqual([one.cache, one.copy], [cache, 'node-2']);
      const shown = (key: string): unknown[] => {
        const { kind, logRevision, copyRevision } = byKey.get(key) ?? {};
        return [kind, logRevision, copyRevision];
      };
      const inLog = async (key: string): Promise<unknown> => (await sluice.json('get', cache, key))['revision'];
      assert.deepEqual(shown(value), ['checksum', await inLog(value), await inLog(value)]);
      assert.deepEqual(shown(revision), ['revision', await inLog(revision), stale]);
      assert.deepEqual(shown(missing), ['missing', await inLog(missing), null]);
      assert.deepEqual(shown(extra), ['extra', null, ghost]);

      const { code, stdout, stderr } = await sluice('audit', cache, '--all');
      assert.equal(code, 1);
      assert.match(
        stdout,
        new RegExp(
          `DIVERGES node-2: ${cache} ${revision}: revision: the log has revision ${await inLog(revision)}, the copy revision ${stale} `,
        ),
      );
      assert.match(stderr, /sluice rebuild NODE/);

      await rebuild('node-2', cache);
    });
  }

  it('finds by a sample what any of its keys shows, by reads of the log key by key', async () => {
    damaged.plantMissing('full', keyOf(50));
    const [whole] = await audit(1, 'full', '--sample', '1/1');
    assert.deepEqual(
      found([whole as Audited]).map(({ key, copy, kind }) => [key, copy, kind]),
      [[keyOf(50), 'node-2', 'missing']],
    );
    assert.equal(whole?.log.records, 0);
    // Four shares are all keys, and each key is in one of them.
    const sums = new Map<number, number>();
    for (let round = 0; sums.size < 2; round += 1) {
      assert.ok(round < 200, 'every share has the same size');
      const ended = await sluice('audit', 'full', '--sample', '1/4', '--json');
      const [one] = read(ended);
      sums.set(one?.copies[0]?.compared ?? -1, ended.code ?? -1);
    }
    for (const size of sums.keys()) assert.ok(size > keyCount / 8 && size < keyCount / 2, `${size}`);
    await rebuild('node-2', 'full');
    await audit(0, 'full', '--sample', '1/1');
  });

  it('raises no false alarm while keys are written, deleted, cleared and expire', async () => {
    let isWriting = true;
    let writes = 0;
    const writer = async (): Promise<void> => {
      const cache = await library.open<string>('full');
      while (isWriting) {
        writes += 1;
        const key = keyOf(writes % keyCount);
        if (writes % 7 === 0) await cache.delete(key);
        else
          await cache.put(key, `busy ${writes}`, {
            tags: [`t${writes % 3}`],
            ...(writes % 5 === 0 ? { ttlMs: 50 } : {}),
          });
        if (writes % 300 === 0) await cache.invalidateTags(['t1']);
        if (writes % 900 === 0) await cache.clear();
      }
    };
    const writing = [writer(), writer()];
    try {
      for (let round = 0; round < 3; round += 1) {
        assert.deepEqual(found(await audit(0, 'full', '--all')), []);
        assert.deepEqual(found(await audit(0, 'full', '--sample', '1/1')), []);
      }
    } finally {
      isWriting = false;
      await Promise.all(writing);
    }
    assert.ok(writes > 500, `${writes} writes went on meanwhile`);
    await audit(0, 'full', '--all');
  });

  it('takes what memory limits removed for no divergence', async () => {
    const declared = await declareCache(plain.url, 'small', { entriesMax: 10, logBytesMax: '64MiB' });
    assert.equal(declared.status, 201, declared.text);
    for (let index = 0; index < 40; index += 1) await putKey(plain.url, 'small', keyOf(index), 'x');
    await clean('small');
    const [small] = await audit(0, 'small', '--all');
    for (const copy of small?.copies ?? []) assert.deepEqual([copy.compared, copy.evicted], [10, 30], copy.copy);
    assert.equal(small?.copies.length, 2);
  });

  it('costs what the documents say for 10,000 keys', async () => {
    const cache = await library.open<string>('many', { create: { logBytesMax: '64MiB' } });
    const count = 10_000;
    // 30 characters, values of 102 bytes.
    const puts = Array.from({ length: count }, (_, index) =>
      cache.put(`customer/${String(index).padStart(21, '0')}`, 'v'.repeat(100)),
    );
    await Promise.all(puts);
    await clean('many');
    const [all] = await audit(0, 'many', '--all');
    assert.deepEqual([all?.log.records, all?.log.gets, all?.log.bytes], [count, 0, count * 102]);
    const [sampled] = await audit(0, 'many', '--sample', '1/1');
    assert.deepEqual([sampled?.log.records, sampled?.log.bytes], [0, 0]);
    // One for each key, one for the last clear.
    assert.equal(sampled?.log.gets, count + 1);
    for (const audited of [all, sampled]) {
      assert.equal(audited?.copies.length, 3);
      for (const { copy, compared, requests, bytes } of audited?.copies ?? []) {
        assert.deepEqual([compared, requests], [count, 2], copy);
        assert.ok(bytes > count * 50 && bytes < count * 70, `${bytes} bytes`);
      }
    }
  });

  it('measures how stale each copy is by a canary that it writes', async () => {
    const [full] = await audit(0, 'full', '--all', '--canary', '1s');
    assert.equal(full?.copies.length, 3);
    for (const { copy, staleness } of full?.copies ?? []) {
      assert.ok((staleness?.count ?? 0) >= 2, `${copy}: ${staleness?.count} samples`);
      assert.ok((staleness?.p50Ms ?? -1) >= 0 && (staleness?.maxMs ?? -1) >= (staleness?.p50Ms ?? 0), copy);
    }
    assert.match((await sluice('list', 'full', '--prefix', 'sluice-canary/')).stdout, /^sluice-canary\/0\n$/);
    const parts = await audit(0, 'parts', '--canary', '3s');
    assert.equal(parts[0]?.copies.filter(({ staleness }) => staleness !== undefined).length, 2);
  });

  it('goes on with --watch, shows what is new and what is gone, and ends at Ctrl-C', async () => {
    const watching = sluice.start('audit', 'full', '--all', '--watch', '--every', '200ms');
    await watching.sees(/node-2 +node/);
    damaged.plantExtra('full', 'ghost:watched', 'boo');
    await watching.sees(/^\+ node-2: full ghost:watched: extra: the log has nothing, the copy revision \d+/m);
    await rebuild('node-2', 'full');
    await watching.sees(/^- node-2: full ghost:watched: extra/m);
    watching.signal('SIGINT');
    assert.equal((await watching.ended).code, 0);
  });

  it('says what it could not look at, and ends with 69', async () => {
    plain.signal('SIGSTOP');
    try {
      const [full] = await audit(69, 'full', '--all');
      assert.equal(full?.outcome, 'unchecked');
      assert.ok(
        full?.unchecked.some(({ copy, reason }) => copy === 'node-1' && reason === 'no pulse was heard'),
        JSON.stringify(full?.unchecked),
      );
    } finally {
      plain.signal('SIGCONT');
    }
    await clean('full');
    assert.equal((await sluice('audit', 'nothing')).code, 66);
    for (const args of [
      ['--sample', '2/3'],
      ['--sample', '1/2', '--all'],
      ['--every', '1s'],
      ['--rate', '0'],
    ])
      assert.equal((await sluice('audit', ...args)).code, 2, args.join(' '));
  });
});
