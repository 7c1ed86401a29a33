/** A process of the simulated world, as steps and checks see it: a door to the cache, and a look at its copies. */
import type { CacheHost } from '../../../src/cluster/cache-host.ts';
import type { Session, SessionOptions } from '../../../src/cluster/session.ts';
import type { Link } from '../../../src/nats/link.ts';
import type { Membership } from '../../../src/node/peers/membership.ts';
import type { SeededRandom } from '../../../src/testing/seeded-random.ts';
import { clusterName, type Setting, timing } from '../setting.ts';
import type { ProcessClock } from '../world/process-clock.ts';

export interface WriteFields {
  readonly ttlMs?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly ifRevision?: number | undefined;
  readonly ifAbsent?: boolean | undefined;
}

export interface Place {
  readonly position: number;
  readonly partition: number;
}

/** `position`: of the key's partition, which the answer claims to have reached; undefined: it claims none. */
export interface Answer {
  readonly value: string | undefined;
  readonly revision: number | undefined;
  readonly position: number | undefined;
}

export type Demand =
  | { readonly kind: 'local' | 'latest' }
  | { readonly kind: 'position'; readonly at: Place }
  | { readonly kind: 'fresh'; readonly maxMs: number };

export interface Told {
  readonly type: 'put' | 'delete' | 'clear' | 'tag' | 'reset';
  readonly key?: string | undefined;
  readonly tag?: string | undefined;
  readonly value?: string | undefined;
  readonly position: number;
  readonly partition: number;
}

export interface CacheDoor {
  put(key: string, value: string, fields: WriteFields): Promise<Place>;
  delete(key: string, fields: WriteFields): Promise<Place>;
  clear(): Promise<void>;
  invalidate(tag: string): Promise<void>;
  read(key: string, demand: Demand): Promise<Answer>;
  /** Undefined where the process does not load. */
  readonly load:
    | ((key: string, load: () => Promise<string>, fields: WriteFields) => Promise<string | undefined>)
    | undefined;
  watch(onEvent: (event: Told) => void): Promise<() => void>;
}

export interface Running {
  readonly session: Session;
  readonly door: CacheDoor;
  /** Undefined for clients. */
  readonly membership: Membership | undefined;
  /** Makes the cache; undefined for clients, which do so by opening it. */
  readonly declare: (() => Promise<void>) | undefined;
  host(): CacheHost | undefined;
  /** Stops in order. */
  stop(): Promise<void>;
}

export interface ProcessTools {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly random: SeededRandom;
  readonly setting: Setting;
  readonly dial: () => Promise<Link>;
  readonly notice: (text: string) => void;
}

/** A session as the shipped programs make it, over the simulated connection. */
export function sessionOptionsOf({ name, clock, random, setting, dial, notice }: ProcessTools): SessionOptions {
  return {
    cluster: clusterName,
    origin: name,
    nats: { servers: ['simulated'] },
    connectWaitMs: 120_000,
    controlReplicas: setting.logReplicas,
    storage: 'memory',
    follower: { silenceMs: timing.silenceMs, floorCheckMs: timing.floorCheckMs, horizonMs: setting.horizonMs },
    reader: { heartbeatMs: timing.heartbeatMs, pullMs: timing.pullMs, inactiveMs: timing.inactiveMs },
    dial,
    clock,
    random,
    onNotice: (_, message) => notice(message),
  };
}
