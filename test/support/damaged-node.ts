/**
 * A node with a debug door: the daemon as it is shipped, in the process of the test, and its copies open to be damaged. What it
 * plants is what a defect of Sluice, of its memory or of its server would leave: a copy that differs from the log in silence.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createNodeLogger } from '../../src/cli/service/node-logger.ts';
import type { CacheRegistry } from '../../src/cluster/cache-registry.ts';
import { loadSettings } from '../../src/config/load.ts';
import { createDaemon, type Daemon } from '../../src/node/daemon.ts';
import { partitionOf } from '../../src/placement/partition.ts';
import type { PartitionView } from '../../src/replay/partition-view.ts';
import type { Entry, EntryPut } from '../../src/store/entry-store.ts';
import { bytesOf } from './entries.ts';
import { waitUntil } from './wait-until.ts';

export interface DamagedNode {
  readonly id: string;
  readonly url: string;
  holds(cache: string, key: string): boolean;
  /** Another value at the same revision. */
  plantValue(cache: string, key: string, value: string): void;
  /** An older revision than the log has; returns it. */
  plantRevision(cache: string, key: string, value: string): number;
  plantMissing(cache: string, key: string): void;
  /** A key that the log never had; returns its revision. */
  plantExtra(cache: string, key: string, value: string): number;
  stop(): Promise<void>;
}

export async function startDamagedNode(
  id: string,
  nats: string,
  env: Readonly<Record<string, string>> = {},
): Promise<DamagedNode> {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${id}-`));
  let registry: Pick<CacheRegistry, 'hosts'> | undefined;
  const settings = loadSettings({
    env: {
      SLUICE_NODE_ID: id,
      SLUICE_NODE_DATA_FOLDER: folder,
      SLUICE_HTTP_PORT: '0',
      SLUICE_NATS_SERVERS: nats,
      SLUICE_LOGGING_LEVEL: 'silent',
      ...env,
    },
  });
  const daemon: Daemon = await createDaemon({
    settings,
    clock: systemClock,
    random: systemRandom,
    logger: createNodeLogger(settings.logging, process.stdout),
    version: 'test',
    onFatal: (error) => assert.fail(error),
    onCopies: (copies) => {
      registry = copies;
    },
  });
  await daemon.start();
  await waitUntil(`${id} is ready`, () => daemon.service.readiness().isReady, 20_000);

  function viewOf(cache: string, key: string): PartitionView {
    const host = registry?.hosts.get(cache);
    const view = host?.views.get(partitionOf(key, host.partitions.length));
    assert.ok(view !== undefined, `${id} does not hold ${key} of ${cache}`);
    return view;
  }

  function entryOf(cache: string, key: string): Entry {
    const entry = viewOf(cache, key).store.peek(key);
    assert.ok(entry !== undefined, `${id} does not have ${key}`);
    return entry;
  }

  const putOf = (key: string, value: string): EntryPut => ({
    key,
    value: bytesOf(value),
    expiresAtMs: Number.POSITIVE_INFINITY,
    tags: undefined,
    contentType: undefined,
    basis: undefined,
  });

  return {
    id,
    url: daemon.address,
    holds(cache, key) {
      const host = registry?.hosts.get(cache);
      return host?.views.has(partitionOf(key, host.partitions.length)) === true;
    },
    plantValue(cache, key, value) {
      const { revision, atMs } = entryOf(cache, key);
      assert.ok(viewOf(cache, key).store.put(putOf(key, value), revision, atMs));
    },
    plantRevision(cache, key, value) {
      const { revision, atMs } = entryOf(cache, key);
      const { store } = viewOf(cache, key);
      assert.ok(store.remove(key, revision));
      assert.ok(store.put(putOf(key, value), revision - 1, atMs));
      return revision - 1;
    },
    plantMissing(cache, key) {
      assert.ok(viewOf(cache, key).store.remove(key, entryOf(cache, key).revision));
    },
    plantExtra(cache, key, value) {
      const { store, follower } = viewOf(cache, key);
      assert.ok(store.put(putOf(key, value), follower.applied, systemClock.now()));
      return follower.applied;
    },
    async stop() {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
