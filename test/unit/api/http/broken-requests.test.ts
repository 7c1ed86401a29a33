/** Bytes that are no request, or one that never ends: each is answered or cut off, and the door goes on serving. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { openRaw, startDoor, type TestDoor, type TestDoorOptions } from '../../../support/http-door.ts';
import { waitUntil } from '../../../support/wait-until.ts';

const keys = '/v1/caches/demo/keys/';
const head = (method: string, path: string, ...headers: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n');

describe('a broken request', () => {
  let door: TestDoor;
  const start = async (http: NonNullable<TestDoorOptions['http']> = {}): Promise<void> => {
    door = await startDoor({ http });
  };
  afterEach(async () => {
    assert.equal((await door.ask('PUT', `${keys}alive`, { body: 'x' })).status, 204);
    assert.equal((await door.ask('GET', `${keys}alive`)).status, 200);
    await door.stop();
  });

  /** The whole answer to bytes, once the door has closed the connection. */
  async function answerTo(bytes: string | Uint8Array): Promise<string> {
    const raw = await openRaw(door.port);
    raw.send(bytes);
    return raw.closed();
  }

  it('that is no HTTP is answered 400 as a problem', async () => {
    await start();
    const broken = [
      'nonsense\r\n\r\n',
      'GET\r\n\r\n',
      'GET / HTTP/9.9\r\n\r\n',
      'get / HTTP/1.1\r\nHost: x\r\n\r\n',
      `GET ${keys}a b HTTP/1.1\r\nHost: x\r\n\r\n`,
      'GET / HTTP/1.1\r\nHost x\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n',
      Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03),
      Uint8Array.from({ length: 300 }, (_, index) => (index * 7) % 256),
      head('PUT', `${keys}k`, 'Content-Length: -1'),
      head('PUT', `${keys}k`, 'Content-Length: 5', 'Transfer-Encoding: chunked'),
      head('PUT', `${keys}k`, 'Content-Length: 5', 'Content-Length: 6'),
      `${head('PUT', `${keys}k`, 'Transfer-Encoding: chunked')}zz\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ];
    for (const bytes of broken) {
      const text = await answerTo(bytes);
      assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/, JSON.stringify(bytes));
      assert.match(text, /application\/problem\+json[\s\S]*"code":"bad-request"/, JSON.stringify(bytes));
    }
    assert.equal((await door.ask('GET', `${keys}k`)).status, 404);
  });

  it('without the name of a host is answered 400', async () => {
    await start();
    assert.match(await answerTo('GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 [\s\S]*"code":"bad-request"/);
    assert.match(await answerTo(head('GET', '/healthz', 'host: y')), /^HTTP\/1\.1 400 [\s\S]*"code":"bad-request"/);
    assert.match(await answerTo('GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  });

  it('with too large a head is answered 431', async () => {
    await start({ headerBytesMax: 2_048 });
    for (const bytes of [head('GET', '/healthz', `A: ${'x'.repeat(3_000)}`), head('GET', keys + 'x'.repeat(3_000))]) {
      const text = await answerTo(bytes);
      assert.match(text, /^HTTP\/1\.1 431 /);
      assert.match(text, /"code":"too-large"/);
    }
  });

  it('whose head never ends is answered 408', async () => {
    await start({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const text = await answerTo('GET /healthz HTTP/1.1\r\nHost: x\r\nA: ');
    assert.match(text, /^HTTP\/1\.1 408 [\s\S]*"code":"bad-request"/);
    assert.match(await answerTo(''), /^HTTP\/1\.1 408 /);
  });

  it('whose body never ends is answered 408, and nothing is written', async () => {
    await start({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    assert.match(await answerTo(`${head('PUT', `${keys}k`, 'Content-Length: 10')}half`), /^HTTP\/1\.1 408 /);
    assert.equal((await door.ask('GET', `${keys}k`)).status, 404);
  });

  it('that is given up in its body leaves nothing written and nothing waiting', async () => {
    await start();
    const raw = await openRaw(door.port);
    raw.send(`${head('PUT', `${keys}k`, 'Content-Length: 10')}half`);
    raw.socket.destroy();
    await raw.closed();
    assert.equal((await door.ask('GET', `${keys}k`)).status, 404);
    assert.deepEqual(door.logged, []);
  });

  it('that announces too large a body is refused before the body is there', async () => {
    await start({ bodyBytesMax: 1_024 });
    const raw = await openRaw(door.port);
    raw.send(head('PUT', `${keys}k`, 'Content-Length: 1000000000'));
    assert.match(await raw.received(/bodyBytesMax/), /^HTTP\/1\.1 413 /);
    raw.socket.destroy();
  });

  it('that expects what there is not is answered 417', async () => {
    await start();
    const raw = await openRaw(door.port);
    raw.send(head('PUT', `${keys}k`, 'Expect: miracles', 'Content-Length: 1'));
    assert.match(await raw.received(/"code":"bad-request"/), /^HTTP\/1\.1 417 /);
    raw.socket.destroy();
    const patient = await openRaw(door.port);
    patient.send(head('PUT', `${keys}k`, 'Expect: 100-continue', 'Content-Length: 1', 'Connection: close'));
    await patient.received(/^HTTP\/1\.1 100 /);
    patient.send('x');
    assert.match(await patient.closed(), /HTTP\/1\.1 204 /);
  });

  it('never breaks into the answer to the one before it', async () => {
    await start();
    let release: (() => void) | undefined;
    const { service } = door.node.cache('demo');
    const { get } = service;
    Object.assign(service, {
      async get(...read: Parameters<typeof get>) {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return get(...read);
      },
    });
    const raw = await openRaw(door.port);
    raw.send(`${head('GET', `${keys}k`)}nonsense\r\n\r\n`);
    const answer = await waitUntil('the first request', () => release);
    answer();
    assert.doesNotMatch(await raw.closed(), /this is no HTTP request/);
    Object.assign(service, { get });
  });

  it('that is refused early gets its answer although it is still sending', async () => {
    await start({ bodyBytesMax: 1_024 });
    const raw = await openRaw(door.port);
    raw.send(head('PUT', `${keys}k`, 'Content-Length: 8000000', 'Connection: close'));
    await raw.received(/^HTTP\/1\.1 413 /);
    for (let sent = 0; sent < 8; sent += 1) raw.send(Buffer.alloc(1_000_000));
    assert.match(await raw.closed(), /"code":"too-large"/);
  });

  it('is the last of its connection: what follows is not done', async () => {
    await start();
    const hidden = `${head('PUT', `${keys}hidden`, 'Content-Length: 1')}x`;
    const lasts = [
      head('GET', '/healthz', 'Connection: close'),
      head('GET', `${keys}none`, 'Connection: close'),
      'GET /healthz HTTP/1.0\r\n\r\n',
      'GET /healthz HTTP/1.1\r\n\r\n',
      head('GET', '/healthz', 'Host: y'),
    ];
    for (const last of lasts) {
      const text = await answerTo(`${last}${hidden}`);
      assert.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1, text);
      assert.equal((await door.ask('GET', `${keys}hidden`)).status, 404, last);
    }
  });

  it('does not keep the good ones before it from being answered', async () => {
    await start();
    const text = await answerTo(
      `${head('GET', '/healthz')}${head('GET', `${keys}none`)}${head('GET', '/v1', 'Connection: close')}`,
    );
    assert.deepEqual(text.match(/^HTTP\/1\.1 \d+/gm), ['HTTP/1.1 200', 'HTTP/1.1 404', 'HTTP/1.1 200']);
  });

  it('is the end of a connection on which too many wait for the answers before them', async () => {
    await start({ pipelinedMax: 8 });
    const few = await openRaw(door.port);
    few.send(head('GET', '/healthz').repeat(9));
    await waitUntil('nine answers', () => few.text.match(/^HTTP\/1\.1 200/gm)?.length === 9);
    // What was answered waits no more: the same again is as good.
    few.send(head('GET', '/healthz').repeat(9));
    await waitUntil('nine more', () => few.text.match(/^HTTP\/1\.1 200/gm)?.length === 18);
    few.socket.destroy();
    const many = await openRaw(door.port);
    many.send(head('GET', '/healthz').repeat(5_000));
    const text = await many.closed();
    assert.ok((text.match(/^HTTP\/1\.1 200/gm)?.length ?? 0) < 5_000);
  });

  it('is given up when nobody takes its answer, but not while the answer is being made', async () => {
    await start({ stallTimeoutMs: 1_000, headersTimeoutMs: 500, requestTimeoutMs: 60_000 });
    const value = new Uint8Array(1_000_000);
    assert.equal((await door.ask('PUT', `${keys}large`, { body: value })).status, 204);
    const deaf = await openRaw(door.port);
    deaf.socket.pause();
    deaf.send(head('GET', `${keys}large`).repeat(40));
    const waiting = await openRaw(door.port);
    waiting.send(head('GET', `${keys}k?wait=2500ms`, 'Sluice-Min-Position: 1000'));
    await waitUntil('the connection is closed by the door', () => {
      deaf.send('x');
      return deaf.isClosed;
    });
    assert.match(await waiting.received(/stale/), /^HTTP\/1\.1 503 /);
    waiting.socket.destroy();
  });

  it('may name its target in full', async () => {
    await start();
    assert.match(await answerTo(head('GET', 'http://other.example/healthz', 'Connection: close')), /^HTTP\/1\.1 200 /);
    assert.match(await answerTo(head('GET', 'http://other.example?x', 'Connection: close')), /^HTTP\/1\.1 404 /);
  });

  it('is not even heard above the limit of connections', async () => {
    await start({ connectionsMax: 2 });
    const held = [await openRaw(door.port), await openRaw(door.port)];
    for (const raw of held) raw.send(head('GET', '/healthz'));
    for (const raw of held) await raw.received(/200 OK/);
    const third = await openRaw(door.port);
    assert.equal((await third.closed()).trim(), '');
    for (const raw of held) raw.socket.destroy();
    await waitUntil('room again', async () =>
      door.ask('GET', '/healthz').then(
        () => true,
        () => false,
      ),
    );
  });
});
