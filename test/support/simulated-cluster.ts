/**
 * A small cluster in one loop, which makes sound histories with all that is difficult in them: a log, copies that lag behind and
 * are reset, clients whose operations overlap, lose their answers or arrive late, loaded values, clears, tags, expiry, watches
 * that resume, and members. It keeps every promise, so whatever a checker says of it is a false alarm.
 */
import type { History, HistoryRecord, Operation, WatchObservation } from '../../src/testing/history/record.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

interface Message {
  readonly kind: 'put' | 'delete' | 'clear' | 'tag';
  readonly key?: string;
  readonly value?: string;
  readonly tag?: string;
  readonly tags?: readonly string[];
  readonly basis?: number;
  readonly expiresAt?: number;
}
type Stored = Message & { readonly position: number; readonly at: number };
type Draft = Record<string, unknown> & { readonly start: number };

interface Client {
  readonly process: string;
  life: number;
  applied: number;
  /** Of its own writes: its reads wait for it. */
  written: number;
  /** What is still to be done of the operation that is under way. */
  steps: (() => void)[];
}

const keys = ['a', 'ab', 'b'] as const;
const tagNames = ['red', 'blue'] as const;

/** `steps`: about three of them are one operation. */
export function simulateCluster(random: SeededRandom, steps: number): History {
  const records: HistoryRecord[] = [];
  const log: Stored[] = [];
  const late: (() => void)[] = [];
  const clients = ['n1', 'n2', 'n3'].map(
    (process): Client => ({ process, life: 1, applied: 0, written: 0, steps: [] }),
  );
  let now = 0;
  let values = 0;
  const tick = (): number => (now += 1 + random.below(5));
  const isLikely = (percent: number): boolean => random.below(100) < percent;
  const actor = ({ process, life }: Client) => ({ process, incarnation: `${life}` });
  const head = (): number => log.length;

  /** What the log's beginning up to a position says of a key at a moment. */
  function entryAt(key: string, position: number, at: number): Stored | undefined {
    const seen = log.slice(0, position);
    const put = seen.findLast((one) => one.key === key);
    if (put?.kind !== 'put' || (put.expiresAt ?? Number.POSITIVE_INFINITY) <= at) return undefined;
    return seen.some((one) => isEndedBy(put, one)) ? undefined : put;
  }

  function isEndedBy(put: Stored, one: Stored): boolean {
    const isWide = one.kind === 'clear' || (one.kind === 'tag' && put.tags?.includes(one.tag ?? '') === true);
    return isWide && one.position > (put.basis ?? put.position);
  }

  const lastOf = (key: string): number => log.findLast((one) => one.key === key)?.position ?? 0;

  function store(message: Message): number {
    log.push({ ...message, position: head() + 1, at: tick() });
    return head();
  }

  function beginWrite(client: Client): void {
    const draft: Draft = { ...actor(client), start: tick() };
    const key = random.pick(keys);
    const dice = random.below(100);
    let message: Message;
    if (dice < 6) message = { kind: 'clear' };
    else if (dice < 14) message = { kind: 'tag', tag: random.pick(tagNames) };
    else if (dice < 26) message = { kind: 'delete', key };
    else {
      values += 1;
      message = {
        kind: 'put',
        key,
        value: `v${values}`,
        ...(isLikely(50) ? { tags: [random.pick(tagNames)] } : {}),
        ...(isLikely(10) ? { basis: client.applied } : {}),
        ...(isLikely(10) ? { expiresAt: now + random.below(150) } : {}),
      };
    }
    const { kind, ...fields } = message;
    const condition = message.key === undefined ? {} : conditionFor(key, kind);
    Object.assign(draft, { type: kind === 'tag' ? 'invalidate' : kind }, fields, condition);
    const lost = isLikely(12);
    const take = (): Partial<Operation> => {
      const isRefused =
        (condition.ifAbsent === true && entryAt(key, head(), now) !== undefined) ||
        (condition.ifRevision !== undefined && condition.ifRevision !== lastOf(key));
      if (isRefused) return { outcome: 'failed', conflict: true };
      return { outcome: 'ok', revision: store(message) };
    };
    if (lost) {
      if (isLikely(70)) (isLikely(50) ? late : client.steps).push(() => void take());
      client.steps.push(() => finish(draft, { outcome: 'unknown', end: Number.POSITIVE_INFINITY }));
    } else if (isLikely(5)) client.steps.push(() => finish(draft, { outcome: 'failed', end: tick() }));
    else {
      let result: Partial<Operation> = {};
      client.steps.push(() => void (result = take()));
      client.steps.push(() => {
        client.written = Math.max(client.written, (result as { revision?: number }).revision ?? 0);
        finish(draft, { ...result, end: tick() });
      });
    }
  }

  function conditionFor(key: string, kind: string): { readonly ifAbsent?: boolean; readonly ifRevision?: number } {
    if (isLikely(15) && lastOf(key) > 0) return { ifRevision: Math.max(1, lastOf(key) - random.below(2)) };
    return kind === 'put' && isLikely(15) ? { ifAbsent: true } : {};
  }

  const finish = (draft: Draft, result: object): void =>
    void records.push({ ...draft, ...result } as unknown as HistoryRecord);

  function beginRead(client: Client): void {
    const key = random.pick(keys);
    const isLatest = isLikely(35);
    const minPosition = !isLatest && isLikely(25) ? random.below(head() + 1) : 0;
    const maxStalenessMs = !isLatest && isLikely(20) ? random.below(60) : undefined;
    const draft: Draft = {
      ...actor(client),
      type: 'read',
      consistency: isLatest ? 'latest' : 'local',
      key,
      start: tick(),
    };
    if (minPosition > 0) draft['minPosition'] = minPosition;
    if (maxStalenessMs !== undefined) draft['maxStalenessMs'] = maxStalenessMs;
    client.steps.push(() => {
      client.applied = Math.max(client.applied, client.written, minPosition, isLatest ? head() : 0);
      const missing = log[client.applied];
      const lagMs = missing === undefined ? 0 : Math.max(0, draft.start - missing.at);
      if (lagMs > (maxStalenessMs ?? lagMs)) {
        client.steps.push(() => finish(draft, { outcome: 'failed', end: tick() }));
        return;
      }
      const entry = entryAt(key, client.applied, tick());
      const seen = entry === undefined ? { value: null } : { value: entry.value, revision: entry.position };
      const declared = isLikely(80) ? { position: client.applied, lagMs } : {};
      client.steps.push(() => finish(draft, { ...seen, ...declared, outcome: 'ok', end: tick() }));
    });
  }

  function disturb(client: Client): void {
    if (isLikely(50)) {
      client.applied = Math.max(client.written, random.below(head() + 1));
      records.push({ type: 'reset', process: client.process, incarnation: `${client.life}`, at: tick() });
      return;
    }
    client.life += 1;
    client.written = 0;
    client.applied = random.below(head() + 1);
  }

  function note(client: Client, position: number, quiescence?: string): void {
    const at = tick();
    const entries = keys.flatMap((key) => {
      const entry = entryAt(key, position, at);
      return entry === undefined ? [] : [{ key, revision: entry.position, value: entry.value ?? '' }];
    });
    records.push({ type: 'state', ...actor(client), at, position, entries, quiescence });
  }

  const watches = createWatches(random, log, records, tick, entryAt);
  const members = createMembers(random, records, tick);
  for (let step = 0; step < steps; step += 1) {
    const client = random.pick(clients);
    const dice = random.below(100);
    if (dice < 12) client.applied = Math.min(head(), client.applied + 1 + random.below(4));
    else if (dice < 22) watches.goOn();
    else if (dice < 25) members.change();
    else if (dice < 27 && client.steps.length === 0) disturb(client);
    else if (dice < 29) late.splice(0, 1).forEach((arrive) => void arrive());
    else if (dice < 30) note(client, client.applied);
    else if (client.steps.length > 0) client.steps.shift()?.();
    else if (isLikely(45)) beginWrite(client);
    else beginRead(client);
  }
  for (const client of clients) while (client.steps.length > 0) client.steps.shift()?.();
  for (const arrive of late) arrive();
  now += 1_000;
  watches.end();
  for (const client of clients) note(client, head(), 'the end');
  if (isLikely(50))
    for (const { kind, ...stored } of log) records.push({ type: 'log', event: kind, ...stored } as HistoryRecord);
  return records;
}

type EntryAt = (key: string, position: number, at: number) => Stored | undefined;

/** One watch after the other, each told what is above its place. */
function createWatches(
  random: SeededRandom,
  log: Stored[],
  records: HistoryRecord[],
  tick: () => number,
  entryAt: EntryAt,
) {
  let count = 0;
  let place = 0;
  let opened: { readonly head: number; readonly prefix: string | undefined } | undefined;
  const say = (event: WatchObservation['event'], position: number, more: object = {}): void =>
    void records.push({
      type: 'watch',
      process: 'w',
      watch: `w${count}`,
      at: tick(),
      event,
      position,
      ...more,
    } as HistoryRecord);

  function open(): void {
    const isResumed = count > 0 && random.below(2) === 0;
    if (!isResumed) place = random.below(log.length + 1);
    const resumes = isResumed ? { resumes: `w${count}` } : {};
    // Whoever goes on, asks for the same.
    const prefix = isResumed ? opened?.prefix : random.below(3) === 0 ? 'a' : undefined;
    count += 1;
    opened = { head: log.length, prefix };
    say('opened', place, { head: log.length, ...resumes, ...(prefix === undefined ? {} : { prefix }) });
  }

  function tell(stored: Stored): void {
    const { kind, key, value, tag, position } = stored;
    if (key !== undefined && opened?.prefix !== undefined && !key.startsWith(opened.prefix)) return;
    const isReplaced = log.slice(position, opened?.head).some((one) => one.key === key && key !== undefined);
    if (position <= (opened?.head ?? 0) && isReplaced) return;
    if (kind === 'clear') say('clear', position);
    else if (kind === 'tag') say('tag', position, { tag });
    else if (kind === 'put' && entryAt(key ?? '', position, 0) !== undefined) say('put', position, { key, value });
    else say('delete', position, { key });
  }

  function tellUpTo(end: number): void {
    for (; place < end; place += 1) {
      const stored = log[place];
      if (stored !== undefined) tell(stored);
    }
  }

  return {
    goOn(): void {
      if (opened === undefined) return open();
      // What a watch opened on is told at once, because the log may lose more of it.
      tellUpTo(Math.max(opened.head, Math.min(log.length, place + random.below(4))));
      const dice = random.below(10);
      if (dice < 3) say('progress', place);
      else if (dice < 4) say('reset', (place = Math.max(opened.head, random.below(log.length + 1))));
      else if (dice < 6) {
        say('closed', place);
        open();
      }
    },
    end(): void {
      if (opened === undefined) open();
      tellUpTo(log.length);
      say('closed', place);
    },
  };
}

/** Joins and leaves, of which two observers learn sooner or later. */
function createMembers(random: SeededRandom, records: HistoryRecord[], tick: () => number) {
  const changes: { readonly node: string; readonly nodeIncarnation: string; readonly event: 'joined' | 'left' }[] = [];
  const lives = new Map<string, number>();
  const told = new Map([
    ['n1', 0],
    ['n2', 0],
  ]);
  return {
    change(): void {
      const node = random.pick(['n7', 'n8']);
      const count = (lives.get(node) ?? 0) + 1;
      lives.set(node, count);
      changes.push({ node, nodeIncarnation: `${(count + 1) >> 1}`, event: count % 2 === 1 ? 'joined' : 'left' });
      for (const [process, from] of told) {
        if (random.below(2) === 0) continue;
        changes.slice(from).forEach((change, index) => {
          records.push({ type: 'member', process, at: tick(), position: 10 * (from + index + 1), ...change });
        });
        told.set(process, changes.length);
      }
    },
  };
}
