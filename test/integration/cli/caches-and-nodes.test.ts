/** Caches, nodes and the journal by the command line. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { type NodeProcess, startNode } from '../../support/node-process.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createSluice, endPrograms, type Sluice } from './run-program.ts';

let server: TestServer;
let sluice: Sluice;

before(async () => {
  server = await startNatsServer();
  sluice = createSluice(server.url);
});
afterEach(endPrograms);
after(() => server.stop());

describe('caches', () => {
  it('are declared once, changed where that is possible, and refused where it is not', async () => {
    assert.equal((await sluice('cache', 'declare', 'one', '--ttl', '1h', '--as', 'me')).stdout, 'one: created\n');
    assert.equal((await sluice('cache', 'declare', 'one', '--ttl', '1h')).stdout, 'one: unchanged\n');
    assert.equal((await sluice('cache', 'declare', 'one', '--ttl', '2h')).stdout, 'one: changed\n');
    const refused = await sluice('cache', 'declare', 'one', '--partitions', '2');
    assert.deepEqual(
      [refused.code, refused.stderr],
      [65, 'sluice: settings-conflict: partitions: is 1 in the existing cache one and cannot become 2\n'],
    );
  });

  it('take what is left out from the settings', async () => {
    const env = { SLUICE_CACHE_DEFAULTS_ENTRIES_MAX: '77', SLUICE_CACHE_DEFAULTS_PARTITIONS: '2' };
    assert.equal((await sluice.with({ env }, 'cache', 'declare', 'two', '--log-bytes-max', '64MiB')).code, 0);
    const { settings, logs, kind } = await sluice.json('cache', 'show', 'two');
    const { entriesMax, partitions, logBytesMax } = settings as Record<string, unknown>;
    assert.deepEqual([entriesMax, partitions, logBytesMax, kind], [77, 2, 64 * 2 ** 20, 'declared']);
    assert.deepEqual(
      (logs as { bucket: string }[]).map(({ bucket }) => bucket),
      ['two-00', 'two-01'],
    );
  });

  it('are listed, shown and dropped', async () => {
    assert.match((await sluice('cache', 'list')).stdout, /^cache .*\none +1 +all +2h +\d+ +\S+\ntwo +2 +all +none /);
    assert.match(
      (await sluice('cache', 'show', 'one')).stdout,
      /^one: declared at position \d+ by .*\n {2}partitions +1\n/,
    );
    assert.deepEqual(
      (await sluice.lines('cache', 'list')).map(({ cache, by }) => [cache, by === 'me']),
      // The author is that of the last change.
      [
        ['one', false],
        ['two', false],
      ],
    );
    assert.equal((await sluice('cache', 'drop', 'two')).stdout, 'two: dropped\n');
    const again = await sluice('cache', 'drop', 'two');
    assert.deepEqual([again.code, again.stderr], [1, 'sluice: no cache two is declared\n']);
    assert.equal((await sluice('get', 'two', 'a')).code, 66);
  });
});

describe('a cluster that was not there', () => {
  it('is made, with a warning, for its name may be mistyped', async () => {
    const list = ['cache', 'list', '--cluster', 'slucie'];
    assert.equal(
      (await sluice(...list)).stderr,
      'warning: there was no cluster "slucie" here: made its control stream SLUCIE; if the name is wrong, remove it: nats stream rm SLUCIE\n',
    );
    assert.equal((await sluice(...list)).stderr, '');
  });
});

describe('the journal', () => {
  it('says who did what in the control log, from a position or a time', async () => {
    const all = await sluice.lines('log');
    const declared = all.filter(({ type }) => type === 'cache.declared');
    assert.deepEqual([declared[0]?.['cache'], declared[0]?.['by']], ['one', 'me']);
    const { stdout } = await sluice('log', '--limit', '1');
    assert.match(stdout, /^ +1 {2}\S+Z {2}me +cache\.declared {4}one {2}partitions=1 /);
    const last = all.at(-1);
    assert.deepEqual(await sluice.lines('log', '--from', String(last?.['position'])), [last]);
    assert.deepEqual(await sluice.lines('log', '--since', String(last?.['at'])), [last]);
    assert.deepEqual(await sluice.lines('log', '--since', '1h'), all);
    assert.deepEqual(await sluice.lines('log', '--since', '2100-01-01'), []);
  });

  it('of a cache shows puts and deletes with their authors, also of writers who do not sign', async () => {
    await sluice('put', 'one', 'a', '1', '--as', 'ann');
    await sluice('delete', 'one', 'a', '--as', 'bob');
    await sluice('put', 'one', 'b', '2', '--as', 'ann');
    const lines = await sluice.lines('log', '--cache', 'one', '--values');
    assert.deepEqual(
      lines.map(({ position, by, type, key, value }) => [position, by, type, key, value]),
      [
        [2, 'bob', 'entry.deleted', 'a', undefined],
        [3, 'ann', 'entry.put', 'b', '2'],
      ],
    );
    const gone = await sluice('log', '--cache', 'one', '--from', '1');
    assert.equal(gone.stderr, 'KV_one: the events from 1 to 1 are no longer in the log\n');
  });

  it('follows, and ends with 0 at Ctrl-C', async () => {
    const log = sluice.start('log', '--cache', 'one', '--from', '3', '--follow');
    await log.sees(/entry\.put +b /);
    await sluice('put', 'one', 'c', '3', '--as', 'cid');
    await log.sees(/cid +entry\.put +c /);
    log.signal('SIGTERM');
    const { code, stdout } = await log.ended;
    assert.deepEqual([code, stdout.trim().split('\n').length], [0, 2]);
  });

  it('goes on when the server is restarted', async () => {
    const log = sluice.start('log', '--cache', 'one', '--follow');
    await log.sees(/entry\.put +c /);
    await server.kill();
    await server.restart();
    await sluice('put', 'one', 'd', '4');
    await log.sees(/entry\.put +d /, 30_000);
    log.signal('SIGINT');
    const { code, stdout } = await log.ended;
    assert.equal(code, 0);
    assert.equal(stdout.match(/entry\.put +c /g)?.length, 1, 'nothing is shown twice');
  });

  it('of a partitioned cache is in the order of time', async () => {
    await sluice('cache', 'declare', 'many', '--partitions', '4');
    for (let index = 0; index < 8; index += 1) await sluice('put', 'many', `key ${index}`, 'x');
    const lines = await sluice.lines('log', '--cache', 'many');
    assert.deepEqual(
      lines.map(({ key }) => key),
      Array.from({ length: 8 }, (_, index) => `key ${index}`),
    );
    assert.ok(new Set(lines.map(({ bucket }) => bucket)).size > 1);
  });
});

describe('nodes', () => {
  let node: NodeProcess;
  before(async () => {
    node = await startNode({ id: 'node-a', nats: server.url });
    await node.ready();
  });
  after(() => node.stop());

  async function member(): Promise<Record<string, unknown>> {
    const { members } = await sluice.json('members');
    const [first] = members as Record<string, unknown>[];
    assert.ok(first !== undefined);
    return first;
  }

  it('are listed with what the log and their pulses say', async () => {
    const { node: name, state, pid, http, serves, epoch, joinedAt } = await member();
    assert.deepEqual([name, state, pid, http], ['node-a', 'ready', node.pid, node.url]);
    assert.deepEqual(serves, { many: '0-3', one: '0' });
    assert.equal(epoch, joinedAt);
    assert.match((await sluice('members')).stdout, /^node +state +http .*\nnode-a +ready +http:/);
  });

  it('replay on request', async () => {
    assert.deepEqual((await sluice.json('rebuild', 'node-a', '--cache', 'one'))['rebuilt'], ['one']);
    assert.equal((await sluice('rebuild', 'node-a')).stdout, 'node-a: replaying many, one\n');
    await node.ready();
    const description = (await (await fetch(`${node.url}/v1/caches/one`)).json()) as { counters: { rebuilds: number } };
    assert.equal(description.counters.rebuilds, 2);
    const unknown = await sluice('rebuild', 'node-a', '--cache', 'nope');
    assert.deepEqual(
      [unknown.code, unknown.stderr],
      [66, 'sluice: cache-unknown: cache nope: not open on this node\n'],
    );
  });

  it('that are evicted join again as a new incarnation', async () => {
    const { incarnation } = await member();
    assert.equal((await sluice.json('evict-node', 'node-a', '--as', 'op'))['evicted'], true);
    await waitUntil('a new incarnation', async () => (await member())['incarnation'] !== incarnation);
    const left = (await sluice.lines('log')).find(({ type }) => type === 'member.left');
    assert.deepEqual([left?.['reason'], left?.['by'], left?.['incarnation']], ['operator', 'op', incarnation]);
  });

  it('that do not answer are told apart from those that nobody knows', async () => {
    node.signal('SIGSTOP');
    const state = await member().then(
      (found) => found['state'],
      () => undefined,
    );
    const silent = await sluice('rebuild', 'node-a');
    node.signal('SIGCONT');
    assert.equal(state, 'silent');
    assert.equal(silent.code, 69);
    assert.match(
      silent.stderr,
      /^sluice: log-unavailable: sluice\.request\.node-a\.rebuild: no answer within 5000 ms\n$/,
    );
    for (const command of ['rebuild', 'evict-node']) {
      const unknown = await sluice(command, 'node-z');
      assert.equal(unknown.code, 68);
      assert.match(unknown.stderr, /^sluice: node-unknown: node.*"node-z"/);
    }
  });

  it('that left are listed with the reason, and cannot be evicted again', async () => {
    await node.kill('SIGTERM');
    const { state, leftReason, leftBy } = await member();
    assert.deepEqual([state, leftReason, leftBy], ['left', 'shutdown', 'node-a']);
    const evicted = await sluice('evict-node', 'node-a');
    assert.deepEqual([evicted.code, evicted.stderr], [1, 'sluice: node-a had left already\n']);
  });
});
