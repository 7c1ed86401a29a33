/** Values of every codec between clients of one real server, and beside other readers of the same bucket. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Kvm } from '@nats-io/kv';
import { connect as connectNats } from '@nats-io/transport-node';
import { bytes, type Codec, json, text } from '../../../src/index.ts';
import { createLibraryClients } from '../../support/library-clients.ts';
import { startNatsServer, type TestServer } from '../../support/nats-server.ts';
import { refusalOf } from '../../support/refusals.ts';

let server: TestServer;
const clients = createLibraryClients(() => server.port);

before(async () => {
  server = await startNatsServer();
});
after(() => server.stop());
afterEach(() => clients.end());

/** Dates as eight bytes; counts what it decodes. */
function dateCodec(): Codec<Date> & { decodes: number } {
  const codec = {
    decodes: 0,
    contentType: 'application/x-date',
    encode(value: Date) {
      const encoded = Buffer.alloc(8);
      encoded.writeDoubleBE(value.getTime());
      return encoded;
    },
    decode(encoded: Uint8Array) {
      codec.decodes += 1;
      return new Date(Buffer.from(encoded).readDoubleBE());
    },
  };
  return codec;
}

/** Writes in one client, and reads in it and in another one. */
async function roundTrip<Value>(codec: Codec<Value>, value: Value): Promise<[here: unknown, there: unknown]> {
  const [a, b] = await clients.openIn<Value>(2, clients.freshName(), { codec });
  const written = await a?.put('k', value);
  assert.ok(written !== undefined);
  await b?.reached(written);
  return [a?.get('k'), b?.get('k')];
}

describe('a value', () => {
  it('is the same in another client, with every codec', async () => {
    const object = { deep: [1, { text: 'ä ☃ \u0000' }, null], empty: '' };
    assert.deepEqual(await roundTrip<unknown>(json(), object), [object, object]);
    assert.deepEqual(await roundTrip(text(), '\ufeffGrüße\r\n'), ['\ufeffGrüße\r\n', '\ufeffGrüße\r\n']);
    assert.deepEqual(await roundTrip(text(), ''), ['', '']);
    const array = Uint8Array.from({ length: 256 }, (_, index) => index);
    for (const got of await roundTrip(bytes(), array)) assert.deepEqual(new Uint8Array(got as Uint8Array), array);
    const date = new Date(1_234_567_890_123);
    assert.deepEqual(await roundTrip(dateCodec(), date), [date, date]);
  });

  it('is decoded once per revision, however often it is read and whoever wrote it', async () => {
    const name = clients.freshName();
    const here = dateCodec();
    const there = dateCodec();
    const a = await (await clients.connect()).open<Date>(name, { codec: here });
    const b = await (await clients.connect()).open<Date>(name, { codec: there });
    for (let round = 1; round <= 3; round += 1) {
      await b.reached(await a.put('k', new Date(round)));
      const first = b.get('k');
      for (let index = 0; index < 100; index += 1) assert.equal(b.get('k'), first);
      assert.equal(b.entry('k')?.value, first);
      assert.equal([...b.entries()][0]?.[1], first);
      a.get('k');
      a.get('k');
      assert.deepEqual([here.decodes, there.decodes], [round, round]);
    }
  });

  it('that the codec refuses is absent, is told once, and can be written over', async () => {
    const name = clients.freshName();
    const notices: string[] = [];
    const sluice = await clients.connect({ onNotice: (_, message) => void notices.push(message) });
    const asJson = await sluice.open<unknown>(name);
    const [writer] = await clients.openIn(1, name, { codec: text() });
    assert.ok(writer !== undefined);
    await asJson.reached(await writer.put('k', '{ not json'));
    assert.deepEqual(
      [asJson.get('k'), asJson.get('k'), asJson.has('k'), asJson.stats.undecodable],
      [undefined, undefined, false, 1],
    );
    assert.equal(notices.filter((notice) => /"k" cannot be decoded/.test(notice)).length, 1);
    assert.deepEqual(await asJson.getOrLoad('k', () => 'loaded'), 'loaded');
    await asJson.put('k', { n: 1 });
    assert.equal(await writer.latest('k'), '{"n":1}');
    await refusalOf('bad-request', writer.put('k', 5 as never));
  });

  it('is one copy for caches opened with several codecs in one client', async () => {
    const name = clients.freshName();
    const sluice = await clients.connect();
    const [asJson, asText, asBytes] = [
      await sluice.open<unknown>(name),
      await sluice.open<string>(name, { codec: text() }),
      await sluice.open<Uint8Array>(name, { codec: bytes() }),
    ];
    await asJson.put('k', [1, 2]);
    assert.deepEqual([asJson.get('k'), asText.get('k')], [[1, 2], '[1,2]']);
    assert.deepEqual(Buffer.from(asBytes.get('k') ?? []).toString(), '[1,2]');
    assert.equal(asText.size, 1);
  });

  it('is shared with every KV client in both directions', async () => {
    const name = clients.freshName();
    const cache = await (await clients.connect()).open<unknown>(name);
    const nats = await connectNats({ servers: server.url });
    try {
      const bucket = await new Kvm(nats).open(name);
      const revision = await bucket.put('theirs', '{"from":"kv"}');
      await cache.reached(revision);
      assert.deepEqual(cache.get('theirs'), { from: 'kv' });
      const { revision: ours } = await cache.put('ours', 42);
      const entry = await bucket.get('ours');
      assert.deepEqual([entry?.string(), entry?.revision], ['42', ours]);
      await bucket.delete('ours');
      assert.equal(await cache.latest('ours'), undefined);
    } finally {
      await nats.close();
    }
  });
});
