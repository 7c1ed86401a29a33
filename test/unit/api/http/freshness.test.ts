/** What a reader may demand of the age of an answer, and that it is never given less. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isSluiceError } from '../../../../src/errors.ts';
import { encodePut } from '../../../../src/events/entry.ts';
import { bucketSubjects } from '../../../../src/events/subjects.ts';
import { openRaw, startDoor, type TestDoor } from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const path = '/v1/caches/demo/keys/k';

describe('the freshness of a read', () => {
  let door: TestDoor;
  beforeEach(async () => {
    door = await startDoor({ readWaitMaxMs: 300 });
  });
  afterEach(() => door.stop());

  /** A write by another process: the copy learns of it only from the log. */
  async function writeElsewhere(value: string): Promise<number> {
    const fields = { expiresAtMs: Number.POSITIVE_INFINITY, tags: undefined, contentType: undefined, basis: undefined };
    const message = encodePut(bucketSubjects('sluice', 'demo'), 'k', Buffer.from(value), {
      ...fields,
      origin: 'other',
      natsTtlMs: undefined,
    });
    const appended = await door.node.cache('demo').logs[0]?.append(message);
    return appended?.position ?? 0;
  }

  it('is a position that the answer has reached', async () => {
    const position = await writeElsewhere('new');
    const reply = await door.ask('GET', path, { headers: { 'Sluice-Min-Position': String(position) } });
    assert.equal(reply.text, 'new');
    assert.ok(Number(reply.headers['sluice-position']) >= position);
  });

  it('is refused as stale, with the lag, when the copy does not get there in time', async () => {
    await door.node.cache('demo').service.put('other', Buffer.from('x'));
    await writeElsewhere('old');
    await door.ask('GET', `${path}?consistency=latest`);
    door.node.cache('demo').logs[0]?.silence();
    const position = await writeElsewhere('new');
    const reply = await door.ask('GET', path, { headers: { 'Sluice-Min-Position': String(position) } });
    assert.equal(reply.status, 503);
    const problem = reply.json();
    assert.equal(problem['code'], 'stale');
    assert.equal(problem['type'], 'urn:sluice:error:stale');
    assert.equal(problem['applied'], position - 1);
    assert.equal(problem['position'], position);
    assert.equal(typeof problem['lagMs'], 'number');
    assert.equal(reply.headers['retry-after'], '1');
    assert.equal((await door.ask('GET', path)).text, 'old');
  });

  it('is the newest state when the reader asks for it, or stale, never the old value', async () => {
    // Holds the floor of the log, which would else rise above the older value.
    await door.node.cache('demo').service.put('other', Buffer.from('x'));
    await writeElsewhere('1');
    assert.equal((await door.ask('GET', `${path}?consistency=latest`)).text, '1');
    door.node.cache('demo').logs[0]?.silence();
    await writeElsewhere('2');
    assert.equal((await door.ask('GET', `${path}?consistency=latest`)).status, 503);
    assert.equal((await door.ask('GET', `${path}?consistency=local`)).text, '1');
  });

  it('is an age in time', async () => {
    await writeElsewhere('x');
    await door.ask('GET', `${path}?consistency=latest`);
    const fresh = await door.ask('GET', path, { headers: { 'Sluice-Max-Staleness': '1m' } });
    assert.equal(fresh.status, 200);
    const log = door.node.cache('demo').logs[0];
    log?.silence();
    if (log !== undefined) log.isAvailable = false;
    const stale = await door.ask('GET', `${path}?wait=20ms`, { headers: { 'Sluice-Max-Staleness': '0' } });
    assert.equal(stale.status, 503);
    assert.equal(stale.json()['code'], 'stale');
  });

  it('is waited for as long as the reader says, but not longer than the node allows', async () => {
    const { service } = door.node.cache('demo');
    const waits: unknown[] = [];
    const { get } = service;
    Object.assign(service, {
      get(...read: Parameters<typeof get>) {
        waits.push(read[1]?.waitMs);
        return get(...read);
      },
    });
    for (const query of ['?wait=0', '?wait=0.2s', '?wait=1h', '?consistency=local']) {
      assert.equal((await door.ask('GET', path + query)).status, 404);
    }
    assert.deepEqual(waits, [0, 200, 300, 300]);
  });

  it('is refused when it is malformed', async () => {
    const bad: [string, Record<string, string>, string][] = [
      ['', { 'Sluice-Min-Position': '-1' }, 'Sluice-Min-Position'],
      ['', { 'Sluice-Min-Position': '1e3' }, 'Sluice-Min-Position'],
      ['', { 'Sluice-Min-Position': '9007199254740993' }, 'Sluice-Min-Position'],
      ['', { 'Sluice-Min-Position': '' }, 'Sluice-Min-Position'],
      ['', { 'Sluice-Max-Staleness': '500' }, 'Sluice-Max-Staleness'],
      ['', { 'Sluice-Max-Staleness': '-5s' }, 'Sluice-Max-Staleness'],
      ['?wait=soon', {}, 'wait'],
      ['?wait=', {}, 'wait'],
      ['?consistency=strong', {}, 'consistency'],
      ['?consistency=latest&consistency=local', {}, 'consistency'],
    ];
    await writeElsewhere('x');
    for (const [query, headers, field] of bad) {
      const reply = await door.ask('GET', path + query, { headers });
      assert.equal(reply.status, 400, `${query} ${JSON.stringify(headers)}`);
      assert.equal(reply.json()['code'], 'bad-request');
      assert.equal(reply.json()['field'], field);
    }
  });

  it('leaves nobody waiting whose client has gone away', async () => {
    const { views } = door.node.cache('demo');
    const reached = views[0]?.follower.reached;
    assert.ok(reached !== undefined);
    let hasBegun = false;
    let outcome: unknown;
    Object.assign(views[0]?.follower ?? {}, {
      reached(...wait: Parameters<typeof reached>) {
        hasBegun = true;
        const waiting = reached(wait[0], { ...wait[1], waitMs: 60_000 });
        waiting.catch((error: unknown) => {
          outcome = error;
        });
        return waiting;
      },
    });
    const raw = await openRaw(door.port);
    raw.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nSluice-Min-Position: 1000\r\n\r\n`);
    await waitUntil('the wait', () => hasBegun);
    raw.socket.destroy();
    assert.ok(isSluiceError(await waitUntil('the wait given up', () => outcome), 'aborted'));
  });
});
