/**
 * All caches of a node: opens what the log declares, adopts what others made, and decides which partitions this node holds.
 *
 * A node that gains a partition replays it first and then says so in its pulse; the former owner goes on serving until all
 * new owners have said it, and a little longer for requests under way. So moving a partition costs no cold miss.
 */
import { messageOf, SluiceError } from '../errors.ts';
import { type CacheDeclaration, encodeControlEvent } from '../events/control.ts';
import { bucketNames, bucketStreamName, bucketSubjects } from '../events/subjects.ts';
import { formatRanges } from '../membership/ranges.ts';
import { deleteStream, streamInfo, updateStream } from '../nats/stream-api.ts';
import { type Placement, placePartitions } from '../placement/placement.ts';
import type { RemoteReader } from '../service/cache-service.ts';
import { areSettingsEqual, type DeclaredCache, decideDeclare, decideDrop } from '../state/caches.ts';
import { aliveMembers } from '../state/members.ts';
import { adoptedSettings } from './adopted-bucket.ts';
import { type CacheHost, createCacheHost, type MemoryLimits, type ReadSettings } from './cache-host.ts';
import type { Session } from './session.ts';

export interface CacheRegistryOptions {
  readonly session: Session;
  /**
   * Which copies this process keeps: those that placement gives to a node (which also opens every declared cache by itself),
   * all of what it opens, or none.
   */
  readonly hold: { readonly as: string } | 'all' | 'none';
  readonly defaults: CacheDeclaration;
  readonly read: ReadSettings;
  readonly remote?: (cache: string) => RemoteReader;
  /** True when a node that was heard lately serves the partition. */
  readonly isServedBy?: (node: string, cache: string, partition: number) => boolean;
  readonly cachesMax: number;
  /** Limits of this process for a cache, where they differ from its declaration. */
  readonly limits?: (cache: string) => MemoryLimits | undefined;
}

export interface CacheRegistry {
  readonly hosts: ReadonlyMap<string, CacheHost>;
  /** A declared cache or an adopted bucket. Throws `cache-unknown`. */
  open(name: string): Promise<CacheHost>;
  /** `onlyNew`: a cache that is declared already stays as it is. */
  declare(
    name: string,
    settings: CacheDeclaration,
    options?: { readonly onlyNew?: boolean },
  ): Promise<'created' | 'changed' | 'unchanged'>;
  drop(name: string): Promise<boolean>;
  owners(name: string): Placement;
  /** By cache: what this node serves, for its pulse. */
  ready(): Readonly<Record<string, string>>;
  /** Declared caches that this node should hold and that are not ready yet, with the reason. */
  unready(): string[];
  /** Adjusts what is held to members and pulses; to be called on each tick. */
  reconcile(): void;
  stop(): Promise<void>;
}

/** A former owner keeps a partition so long after the new owners have announced it. */
const handOverGraceMs = 2_000;
const controlWaitMs = 5_000;
const unknownKeptMs = 1_000;

export function createCacheRegistry(options: CacheRegistryOptions): CacheRegistry {
  const { session, hold, read } = options;
  const node = typeof hold === 'object' ? hold.as : undefined;
  const { clock, cluster, origin, onNotice } = session.options;
  const hosts = new Map<string, CacheHost>();
  const opening = new Map<string, Promise<CacheHost>>();
  const failures = new Map<string, string>();
  const retryAtMs = new Map<string, number>();
  const unknown = new Map<string, number>();
  const placements = new Map<string, { readonly key: string; readonly placement: Placement }>();
  /** `<cache>/<partition>` of a former owner → when all new owners were first ready. */
  const handedOverAtMs = new Map<string, number>();
  const closing = new Set<Promise<void>>();
  let isStopped = false;

  const declared = (name: string): DeclaredCache | undefined => session.control.state.caches.caches.get(name);

  function placementOf(name: string, settings: CacheDeclaration): Placement {
    const members = aliveMembers(session.control.state.members).map((member) => member.node);
    const key = `${members.join(' ')}|${settings.partitions}|${settings.replicas}`;
    const known = placements.get(name);
    if (known?.key === key) return known.placement;
    const placement = placePartitions({
      members,
      partitionCount: settings.partitions,
      replicas: settings.replicas,
      salt: name,
    });
    placements.set(name, { key, placement });
    return placement;
  }

  function wanted(host: CacheHost): Set<number> {
    if (hold === 'none') return new Set();
    const all = host.partitions.map((_, partition) => partition);
    if (node === undefined || host.kind === 'adopted' || host.settings.replicas === 'all') return new Set(all);
    const placement = placementOf(host.name, host.settings);
    return new Set(
      all.filter((partition) => placement[partition]?.includes(node) || mustStay(host, placement, partition)),
    );
  }

  /** A partition that moved away is kept until every new owner serves it. */
  function mustStay(host: CacheHost, placement: Placement, partition: number): boolean {
    if (!host.views.has(partition)) return false;
    const slot = `${host.name}/${partition}`;
    const owners = placement[partition] ?? [];
    const isServed =
      owners.length > 0 && owners.every((owner) => options.isServedBy?.(owner, host.name, partition) ?? true);
    if (!isServed) {
      handedOverAtMs.delete(slot);
      return true;
    }
    const sinceMs = handedOverAtMs.get(slot) ?? clock.monotonic();
    handedOverAtMs.set(slot, sinceMs);
    if (clock.monotonic() - sinceMs < handOverGraceMs) return true;
    handedOverAtMs.delete(slot);
    return false;
  }

  async function create(
    name: string,
    kind: CacheHost['kind'],
    settings: CacheDeclaration,
    declaredAt: number,
  ): Promise<CacheHost> {
    const logs = await session.ensureLogs(name, settings);
    if (isStopped) throw new SluiceError('closed', 'the node is stopping');
    const remote = options.remote?.(name);
    const limits = options.limits?.(name);
    const host = createCacheHost({
      session,
      name,
      kind,
      settings,
      declaredAt,
      logs,
      read,
      ...(remote === undefined ? {} : { remote }),
      ...(limits === undefined ? {} : { limits }),
    });
    hosts.set(name, host);
    // Declarations may have come while the streams were looked for.
    followDeclarations();
    if (hosts.get(name) !== host)
      throw new SluiceError('closed', `${name}: was declared anew while it was being opened; open it again`);
    host.hold(wanted(host));
    return host;
  }

  function openOnce(name: string, make: () => Promise<CacheHost>): Promise<CacheHost> {
    let pending = opening.get(name);
    if (pending === undefined) {
      pending = make().finally(() => opening.delete(name));
      opening.set(name, pending);
    }
    return pending;
  }

  async function adopt(name: string): Promise<CacheHost> {
    const untilMs = unknown.get(name) ?? 0;
    const settings = untilMs > clock.monotonic() ? undefined : await adoptedSettings(session, name, options.defaults);
    if (settings === undefined) {
      if (unknown.size > 10_000) unknown.clear();
      if (untilMs <= clock.monotonic()) unknown.set(name, clock.monotonic() + unknownKeptMs);
      throw new SluiceError('cache-unknown', `cache ${name}: not declared, and there is no bucket of that name`, {
        details: { cache: name },
      });
    }
    if (hosts.size >= options.cachesMax)
      throw new SluiceError('rate-limited', `limits.caches: ${hosts.size} caches are open already`);
    onNotice('info', `${name}: opened a bucket that others made`);
    return create(name, 'adopted', settings, 0);
  }

  function close(name: string): void {
    const host = hosts.get(name);
    if (host === undefined) return;
    hosts.delete(name);
    placements.delete(name);
    session.forgetLogs(name, host.partitions.length);
    const done = host.stop();
    closing.add(done);
    void done.finally(() => closing.delete(done));
  }

  /** Opens what is declared and not open, after failures with a pause. */
  function openDeclared(): void {
    for (const [name, { settings, declaredAt }] of session.control.state.caches.caches) {
      if (hosts.get(name)?.kind === 'declared' || opening.has(name)) continue;
      if ((retryAtMs.get(name) ?? 0) > clock.monotonic()) continue;
      openOnce(name, () => create(name, 'declared', settings, declaredAt)).then(
        () => failures.delete(name),
        (error: unknown) => {
          if (failures.get(name) !== messageOf(error))
            onNotice('warn', `${name}: cannot be opened: ${messageOf(error)}`);
          failures.set(name, messageOf(error));
          retryAtMs.set(name, clock.monotonic() + 1_000);
        },
      );
    }
  }

  function followDeclarations(): void {
    for (const host of [...hosts.values()]) {
      const now = declared(host.name);
      if (host.kind === 'adopted') {
        // Streams are made before they are declared, so whoever opened it in between took it for a bucket of others.
        if (now?.settings.partitions === 1) host.declare(now.settings, now.declaredAt);
        else if (now !== undefined) close(host.name);
        continue;
      }
      // Dropped, or dropped and declared anew: the old copies are of streams that are gone.
      if (now === undefined || now.declaredAt !== host.declaredAt) close(host.name);
      else if (!areSettingsEqual(now.settings, host.settings)) host.change(now.settings);
    }
  }

  function reconcile(): void {
    if (isStopped || !session.control.follower.isReady) return;
    followDeclarations();
    if (node !== undefined) openDeclared();
    for (const host of hosts.values()) host.hold(wanted(host));
  }

  const stopListening = session.control.listen((recorded) => {
    if (recorded === undefined || recorded.event.type.startsWith('cache.') || recorded.event.type.startsWith('member.'))
      reconcile();
  });

  async function appendAndReach(event: Parameters<typeof encodeControlEvent>[1]): Promise<void> {
    const { position } = await session.control.log.append(encodeControlEvent(cluster, event));
    await session.control.follower.reached(position, { waitMs: controlWaitMs });
  }

  /** Limits of the streams follow the settings that may change. */
  async function updateStreams(name: string, settings: CacheDeclaration): Promise<void> {
    for (const bucket of bucketNames(name, settings.partitions)) {
      const info = await streamInfo(session.link, bucketStreamName(bucket), controlWaitMs);
      const isOwn = info?.config.subjects?.includes(bucketSubjects(cluster, bucket).all[1] ?? '');
      const wantedBytes = settings.valueBytesMax + 8 * 1024;
      if (info === undefined || !isOwn || info.config.max_msg_size === wantedBytes) continue;
      await updateStream(session.link, { ...info.config, max_msg_size: wantedBytes }, controlWaitMs);
    }
  }

  return {
    hosts,
    async open(name) {
      const host = hosts.get(name);
      if (host !== undefined) return host;
      const cache = declared(name);
      return openOnce(name, () =>
        cache === undefined ? adopt(name) : create(name, 'declared', cache.settings, cache.declaredAt),
      );
    },
    async declare(name, settings, { onlyNew = false } = {}) {
      await session.control.follower.latest({ waitMs: controlWaitMs });
      const existed = declared(name) !== undefined;
      if (existed && onlyNew) return 'unchanged';
      const { caches } = session.control.state.caches;
      if (!existed && caches.size >= options.cachesMax) {
        throw new SluiceError(
          'rate-limited',
          `limits.caches: ${caches.size} caches are declared; at most ${options.cachesMax} are allowed`,
        );
      }
      const [event] = decideDeclare(session.control.state.caches, {
        name,
        settings,
        by: origin,
        reservedBuckets: [`${cluster}-checkpoint`],
      });
      if (event === undefined) return 'unchanged';
      unknown.delete(name);
      await session.ensureLogs(name, settings);
      if (existed) await updateStreams(name, settings);
      await appendAndReach(event);
      const now = declared(name);
      if (now === undefined || !areSettingsEqual(now.settings, settings)) {
        throw new SluiceError('settings-conflict', `cache ${name}: another declaration came first`, {
          details: { cache: name },
        });
      }
      reconcile();
      const host = await (hosts.get(name) ?? opening.get(name));
      await Promise.all(
        [...(host?.views.values() ?? [])].map((view) => view.follower.ready({ waitMs: controlWaitMs })),
      );
      return existed ? 'changed' : 'created';
    },
    async drop(name) {
      await session.control.follower.latest({ waitMs: controlWaitMs });
      const [event] = decideDrop(session.control.state.caches, { name, by: origin });
      const cache = declared(name);
      if (event === undefined || cache === undefined) return false;
      await appendAndReach(event);
      reconcile();
      for (const bucket of bucketNames(name, cache.settings.partitions)) {
        const info = await streamInfo(session.link, bucketStreamName(bucket), controlWaitMs);
        // A bucket that others made is theirs.
        if (!info?.config.subjects?.includes(bucketSubjects(cluster, bucket).all[1] ?? '')) continue;
        await deleteStream(session.link, bucketStreamName(bucket), controlWaitMs);
      }
      return true;
    },
    owners(name) {
      const host = hosts.get(name);
      if (host === undefined) return [];
      return placementOf(name, host.settings);
    },
    ready: () =>
      Object.fromEntries([...hosts.values()].map((host) => [host.name, formatRanges(host.readyPartitions())])),
    unready() {
      const reasons: string[] = [];
      for (const [name] of session.control.state.caches.caches) {
        const host = hosts.get(name);
        if (host === undefined) reasons.push(`${name}: ${failures.get(name) ?? 'opening'}`);
        else if (host.readyPartitions().length < host.views.size) reasons.push(`${name}: replaying`);
      }
      return reasons;
    },
    reconcile,
    async stop() {
      isStopped = true;
      stopListening();
      for (const name of [...hosts.keys()]) close(name);
      await Promise.allSettled([...closing, ...opening.values()]);
    },
  };
}
