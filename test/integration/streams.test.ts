/**
 * The streams that Sluice defines, as others see them, and the buckets that others made, as Sluice sees them. The stream
 * definitions must mean the same to us and to the nats CLI; a bucket of somebody else's is used as it is and never altered.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Kvm } from '@nats-io/kv';
import { systemClock } from '../../src/base/clock.ts';
import { isSluiceError } from '../../src/errors.ts';
import { decodeBucketRecord, encodeDelete, encodePut } from '../../src/events/entry.ts';
import { bucketStreamName, bucketSubjects } from '../../src/events/subjects.ts';
import type { Log } from '../../src/log/log.ts';
import type { Link } from '../../src/nats/link.ts';
import { createNatsLog } from '../../src/nats/nats-log.ts';
import { callApi, createStream, deleteStream, type StreamConfig, streamInfo } from '../../src/nats/stream-api.ts';
import {
  buildBucketStream,
  buildControlStream,
  loadStreamFile,
  type StreamFile,
} from '../../src/nats/stream-definitions.ts';
import { makeCopy } from '../contract/follower-contract.ts';
import { connectTo, publisherOf } from '../support/log-harness.ts';
import { runNatsCli } from '../support/nats-cli.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { projectRoot } from '../support/project.ts';

const soon = { waitMs: 10_000 };
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

describe('streams', () => {
  let server: TestServer;
  let link: Link;

  before(async () => {
    server = await startNatsServer();
    link = await connectTo(server.port);
  });
  after(async () => {
    await link.close();
    await server.stop();
  });

  async function nats(args: readonly string[], input = ''): Promise<string> {
    const run = await runNatsCli(server.url, args, input);
    assert.equal(run.code, 0, `nats ${args.join(' ')}: ${run.stdout}${run.stderr}`);
    return run.stdout;
  }

  /** The whole answer, with every field that the server knows. */
  async function configOf(stream: string): Promise<StreamConfig> {
    const info = await streamInfo(link, stream, 5_000);
    assert.ok(info !== undefined, `${stream} is there`);
    return info.config;
  }

  /** Without what servers and tools of 2.10 and later note down for themselves. */
  function withoutNotes({ metadata: _, ...config }: StreamConfig): Omit<StreamConfig, 'metadata'> {
    return config;
  }

  const files = readdirSync(join(projectRoot, 'streams')).map((name) => name.replace('.json', '') as StreamFile);

  it('are defined for buckets, the control log and the statistics', () => {
    assert.deepEqual(files.toSorted(), ['bucket', 'control', 'statistics']);
  });

  for (const file of files) {
    it(`mean the same to us and to the nats CLI: ${file}.json`, async () => {
      const wanted = loadStreamFile(file);
      const path = join(projectRoot, 'streams', `${file}.json`);
      await createStream(link, wanted, 5_000);
      const ours = await configOf(wanted.name);
      assert.ok(await deleteStream(link, wanted.name, 5_000));
      await nats(['stream', 'add', '--config', path]);
      const theirs = await configOf(wanted.name);
      assert.deepEqual(withoutNotes(theirs), withoutNotes(ours));
      await nats(['stream', 'add', '--config', path]);
      for (const [field, value] of Object.entries(wanted)) {
        // A server that does not know a field leaves it out of its answer; what it states, it does.
        if (ours[field] === undefined)
          assert.ok(isLaterFeature(field, server.version), `${field} is not known to ${server.version}`);
        else assert.deepEqual(ours[field], value, field);
      }
      assert.ok(await deleteStream(link, wanted.name, 5_000));
    });
  }

  it('are taken by the server as they are built for a cluster and its caches', async () => {
    const limits = { logReplicas: 1, logBytesMax: 1024 * 1024, valueBytesMax: 64 * 1024 } as const;
    const built = [
      buildControlStream('prod-1', 1),
      buildBucketStream('prod-1', 'users', { ...limits, whenFull: 'drop-oldest' }),
      buildBucketStream('prod-1', 'orders-00', { ...limits, logBytesMax: null, whenFull: 'refuse', storage: 'memory' }),
    ];
    for (const config of built) {
      const { config: returned } = await createStream(link, config, 5_000);
      for (const [field, value] of Object.entries(config)) {
        if (returned[field] !== undefined) assert.deepEqual(returned[field], value, `${config.name}: ${field}`);
      }
    }
    assert.deepEqual(
      built.map(({ name }) => name),
      ['PROD-1', 'KV_users', 'KV_orders-00'],
    );
    for (const { name } of built) await deleteStream(link, name, 5_000);
  });

  interface Foreign {
    readonly title: string;
    readonly bucket: string;
    readonly history: number;
    readonly maxAgeMs: number;
    make(): Promise<unknown>;
  }

  const foreign: readonly Foreign[] = [
    {
      title: 'the nats CLI with a history of 5 and a TTL',
      bucket: 'cli-history',
      history: 5,
      maxAgeMs: 3_600_000,
      make: () =>
        nats([
          'kv',
          'add',
          'cli-history',
          '--history=5',
          '--ttl=1h',
          '--max-bucket-size=10MB',
          '--max-value-size=10KB',
        ]),
    },
    {
      title: 'the nats CLI with nothing said',
      bucket: 'cli-plain',
      history: 1,
      maxAgeMs: Number.POSITIVE_INFINITY,
      make: () => nats(['kv', 'add', 'cli-plain']),
    },
    {
      title: 'the nats CLI in memory',
      bucket: 'cli-memory',
      history: 3,
      maxAgeMs: Number.POSITIVE_INFINITY,
      make: () => nats(['kv', 'add', 'cli-memory', '--history=3', '--storage=memory', '--description=not ours']),
    },
    {
      title: 'the KV library with a history of 10 and a TTL',
      bucket: 'lib-history',
      history: 10,
      maxAgeMs: 7_200_000,
      make: () =>
        new Kvm(link.connection).create('lib-history', {
          history: 10,
          ttl: 7_200_000,
          max_bytes: 10_000_000,
          description: 'not ours',
        }),
    },
    {
      title: 'the KV library with nothing said',
      bucket: 'lib-plain',
      history: 1,
      maxAgeMs: Number.POSITIVE_INFINITY,
      make: () => new Kvm(link.connection).create('lib-plain'),
    },
  ];

  for (const { title, bucket, history, maxAgeMs, make } of foreign) {
    it(`of others are used as they are and never altered: a bucket made by ${title}`, async () => {
      await make();
      const stream = bucketStreamName(bucket);
      const before = JSON.stringify(await configOf(stream));
      const info = await streamInfo(link, stream, 5_000);
      assert.ok(info !== undefined);
      assert.equal(info.config.discard, 'new', 'that is how others make them');
      const publisher = publisherOf(link);
      const log = createNatsLog({ link, publisher, clock: systemClock, info });
      assert.equal(log.maxAgeMs, maxAgeMs);
      const copy = makeCopy({ log });
      try {
        await copy.follower.start();
        await copy.follower.ready(soon);
        await exchange(log, bucket, history, copy);
      } finally {
        await copy.follower.stop();
        publisher.close();
      }
      assert.equal(JSON.stringify(await configOf(stream)), before, 'byte by byte');
      assert.equal(
        (await callApi<{ consumers: string[] | null }>(link, `CONSUMER.NAMES.${stream}`, {}, 5_000)).consumers
          ?.length ?? 0,
        0,
      );
    });
  }

  /** Values go both ways, deletes too, revisions are the same, and the newest of several versions counts. */
  async function exchange(log: Log, bucket: string, history: number, copy: ReturnType<typeof makeCopy>): Promise<void> {
    const subjects = bucketSubjects('sluice', bucket);
    const kv = await new Kvm(link.connection).open(bucket);
    const putOf = (key: string, value: string) =>
      encodePut(subjects, key, Buffer.from(value), {
        origin: 'test',
        expiresAtMs: Number.POSITIVE_INFINITY,
        tags: ['blue'],
        contentType: 'text/plain',
        basis: undefined,
        natsTtlMs: undefined,
      });
    const newest = async (key: string) => {
      const record = await log.latest(`${subjects.keyPrefix}${key}`);
      assert.ok(record !== undefined, key);
      return { position: record.position, event: decodeBucketRecord({ subjects, log }, record) };
    };

    const { position: first } = await log.append(putOf('ours', 'from sluice'));
    assert.equal(await nats(['kv', 'get', bucket, 'ours', '--raw']), 'from sluice');
    const read = await kv.get('ours');
    assert.deepEqual([read?.string(), read?.revision, read?.operation], ['from sluice', first, 'PUT']);

    await nats(['kv', 'put', bucket, 'theirs', 'from the cli']);
    const theirs = await newest('theirs');
    assert.ok(theirs.event.type === 'entry.put' && text(theirs.event.value) === 'from the cli');

    // Revisions mean the same on both sides.
    const { position: second } = await log.append(putOf('ours', 'second'), { expected: first });
    await assert.rejects(log.append(putOf('ours', 'late'), { expected: first }), (error) =>
      isSluiceError(error, 'position-conflict'),
    );
    await assert.rejects(kv.update('ours', 'late', first));
    const third = await kv.update('ours', 'third', second);
    assert.equal((await newest('ours')).position, third);
    await assert.rejects(log.append(putOf('ours', 'new'), { expected: 0 }), (error) =>
      isSluiceError(error, 'position-conflict'),
    );

    // More versions than the bucket keeps; the last one counts, for both.
    for (let version = 0; version < history + 2; version += 1) await kv.put('many', `version ${version}`);
    const { last } = await log.bounds();
    await copy.follower.reached(last, soon);
    assert.equal(copy.values.get('many')?.body, `version ${history + 1}`);
    const fresh = makeCopy({ log });
    await fresh.follower.start();
    await fresh.follower.ready(soon);
    await fresh.follower.stop();
    assert.equal(fresh.values.get('many')?.body, `version ${history + 1}`);
    const versions = fresh.positions.filter((position) => position > last - history - 2);
    assert.equal(versions.length, history, 'each version that is kept is delivered');

    // Deletes, both ways.
    await nats(['kv', 'del', bucket, 'theirs', '-f']);
    assert.equal((await newest('theirs')).event.type, 'entry.deleted');
    await log.append(encodeDelete(subjects, 'ours', 'test'));
    assert.equal((await kv.get('ours'))?.operation, 'DEL');
    assert.notEqual((await runNatsCli(server.url, ['kv', 'get', bucket, 'ours', '--raw'])).code, 0);
    await kv.purge('many');
    assert.equal((await newest('many')).event.type, 'entry.deleted');
    const { last: end } = await log.bounds();
    await copy.follower.reached(end, soon);
    assert.equal(copy.follower.counters.rebuilds + copy.follower.counters.applyFailures, 0);
  }
});

/** Fields of the definitions that servers before a certain version do not know. */
function isLaterFeature(field: string, version: string): boolean {
  const since: Readonly<Record<string, string>> = { allow_msg_ttl: '2.11.0' };
  const needed = since[field];
  if (needed === undefined) return false;
  const numbers = (dotted: string): number =>
    dotted.split('.').reduce((sum, part) => sum * 1_000 + Number.parseInt(part, 10), 0);
  return numbers(version) < numbers(needed);
}
