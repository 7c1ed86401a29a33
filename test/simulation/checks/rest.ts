/** What must hold when everything has come to rest: every copy has all of its log, and for each key the same bytes at the same revision. */
import type { PartitionView } from '../../../src/replay/partition-view.ts';
import { controlStream } from '../setting.ts';
import type { SimulatedProcess } from '../world/processes.ts';
import type { World } from '../world.ts';
import { ends, isIn, mayCountAsVoid } from './history.ts';

/** A copy that listens to a log in which nothing happens knows that it is this young. */
const lagMaxMs = 2_500;

/** Why the world has not come to rest yet. */
export function findDisagreement(world: World): string | undefined {
  const { processes, jetStream, members, script } = world;
  for (const { name, status, running, kind } of processes.all.values()) {
    if (status !== 'running' || running === undefined) return `${name} is ${status}`;
    const control = running.session.control.follower;
    const head = jetStream.streams.get(controlStream)?.state.last ?? 0;
    if (!control.isReady || control.applied !== head)
      return `${name} has applied ${control.applied} of ${head} control events`;
    const host = running.host();
    if (host === undefined) return `${name} has not opened the cache`;
    const isFull = kind === 'client' || script.setting.copies === 0;
    if (isFull && host.views.size < script.setting.partitions) return `${name} has ${host.views.size} copies`;
    for (const view of host.views.values()) {
      const what = findLag(world, view);
      if (what !== undefined) return `${name}: ${what}`;
    }
  }
  return members.disagreement();
}

function findLag({ jetStream }: World, { follower, log }: PartitionView): string | undefined {
  const head = jetStream.streams.get(log.name)?.state.last ?? 0;
  const shown = `${log.name} has applied ${follower.applied} of ${head}`;
  if (!follower.isReady) return `${shown}, not ready`;
  if (follower.applied !== head) return shown;
  if (follower.lagMs() > lagMaxMs) return `${shown}, lag ${follower.lagMs().toFixed(0)} ms`;
  return follower.isWhole ? undefined : `${shown}, not whole`;
}

/** A key of one copy against the log itself; undefined: they agree. */
export function findStanding(
  world: World,
  { clock }: SimulatedProcess,
  view: PartitionView,
  key: string,
): string | undefined {
  const { history, time } = world;
  const events = history.touching(view.log.name, key).filter((event) => isIn(event, time.nowMs));
  const newest = events.findLast((event) => event.key === key && world.isInLog(event));
  const ending = newest === undefined ? [] : events.filter((event) => ends(event, newest));
  // What ended it is no longer in the log: a copy that was made later cannot know.
  if (ending.length > 0 && ending.every((event) => event.gone !== undefined)) return undefined;
  const isStanding = newest?.kind === 'put' && ending.length === 0 && newest.expiresAtMs > clock.now();
  // By a clock that was set back since, it had expired; who met it then has let it go.
  if (isStanding && newest.expiresAtMs <= clock.latest) return undefined;
  const held = view.peek(key);
  if (held?.isLocal || Math.abs((newest?.expiresAtMs ?? 0) - clock.now()) < 5) return undefined;
  const value = held === undefined ? undefined : Buffer.from(held.value).toString('utf8');
  if (!isStanding) {
    const put = history.putsOf(value ?? '').find(({ position }) => position === held?.revision);
    // The server's clock ends a life too, and may be ahead of the copy's.
    if (held === undefined || put?.gone === 'expired') return undefined;
    return `has ${value} at ${held.revision}, the log has ${newest === undefined ? 'nothing' : `a ${newest.kind} at ${newest.position}`}`;
  }
  if (held === undefined && (view.store.hasEvicted || mayCountAsVoid(newest, events))) return undefined;
  if (value === newest.value && held?.revision === newest.position) return undefined;
  return `has ${value} at ${held?.revision}, the log has ${newest.value} at ${newest.position}`;
}
