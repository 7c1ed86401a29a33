/** The caches of the cluster for who needs their logs and no copies: commands, and the controller. */
import type { Settings } from '../config/schema.ts';
import { type CacheRegistry, createCacheRegistry } from './cache-registry.ts';
import type { Session } from './session.ts';

export const openLogRegistry = (session: Session, settings: Settings): CacheRegistry =>
  createCacheRegistry({
    session,
    hold: 'none',
    defaults: settings.cacheDefaults,
    read: {
      onMiss: 'log',
      waitMs: settings.read.waitMaxMs,
      expiryToleranceMs: settings.read.expiryToleranceMs,
      tombstoneHorizonMs: settings.log.tombstoneHorizonMs,
    },
    cachesMax: settings.limits.caches,
  });
