/**
 * The stage for stories about membership: a control log in memory, and nodes that join, pulse, watch each other and leave, by
 * the code that is shipped. Pulses travel at once to every node that can hear; each node has its own copy of the log.
 */
import type { Session } from '../../../src/cluster/session.ts';
import { createMemoryLog } from '../../../src/log/memory-log.ts';
import type { Messenger } from '../../../src/nats/messenger.ts';
import { createMembership, type Membership } from '../../../src/node/peers/membership.ts';
import { type ControlView, createControlView } from '../../../src/replay/control-view.ts';
import { aliveMembers } from '../../../src/state/members.ts';
import { createFakeClock } from '../../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../../src/testing/seeded-random.ts';
import { createGatedLog, type GatedLog } from '../gated-log.ts';
import type { CacheStage } from './cache-stage.ts';
import { actOn, type StepKind } from './script.ts';

interface Node {
  readonly membership: Membership;
  readonly control: ControlView;
  readonly log: GatedLog;
  readonly listeners: Set<(pulse: Uint8Array) => void>;
  isConnected: boolean;
}

const cluster = 'sluice';

export function createMemberStage(): CacheStage {
  const clock = createFakeClock();
  const log = createMemoryLog({ name: 'SLUICE', clock, messagesPerSubject: Number.POSITIVE_INFINITY });
  /** By id, the process that joined last under it. */
  const nodes = new Map<string, Node>();
  const running = new Set<Node>();
  /** Position of the last change that was told: the first node that hears of it tells it for all. */
  let told = 0;
  /** Incarnations are random; a story counts the lives of a node. */
  const lives = new Map<string, string[]>();
  let shown: string[] = [];
  let started = 0;

  function nodeOf(name: string): Node {
    const node = nodes.get(name);
    if (node === undefined) throw new Error(`${name} does not run`);
    return node;
  }

  function lifeOf(name: string, incarnation: string): number {
    const known = lives.get(name) ?? [];
    if (!known.includes(incarnation)) known.push(incarnation);
    lives.set(name, known);
    return known.indexOf(incarnation) + 1;
  }

  async function start(name: string): Promise<void> {
    const gated = createGatedLog(log);
    started += 1;
    const random = createSeededRandom(started);
    const control = createControlView({ cluster, log: gated, clock, random });
    const listeners = new Set<(pulse: Uint8Array) => void>();
    // What membership uses of them, and nothing else.
    const messenger: Pick<Messenger, 'pulse' | 'onPulse'> = {
      pulse(_, body) {
        if (!node.isConnected) return;
        for (const other of running) if (other.isConnected) for (const hear of other.listeners) hear(body);
      },
      onPulse(hear) {
        listeners.add(hear);
        return () => listeners.delete(hear);
      },
    };
    const session = {
      control,
      options: { clock, random, cluster, onNotice: () => undefined },
      link: {
        get isConnected() {
          return node.isConnected;
        },
      },
    };
    await control.start();
    await clock.settle();
    control.listen((recorded) => {
      if (recorded?.event.type !== 'member.left' && recorded?.event.type !== 'member.joined') return;
      if (told >= recorded.position) return;
      told = recorded.position;
      const { event, position } = recorded;
      const life = lifeOf(event.node, event.incarnation);
      shown.push(
        event.type === 'member.joined'
          ? `${position} ${event.node} joined, life ${life}`
          : `${position} ${event.node} left, life ${life}: ${event.reason}, by ${event.by}`,
      );
    });
    const membership = createMembership({
      session: session as unknown as Session,
      messenger: messenger as unknown as Messenger,
      node: name,
      region: undefined,
      version: '0.0.0',
      pid: started,
      pulseMs: 250,
      suspectAfterMs: 1_000,
      evictAfterMs: 3_000,
      report: () => ({ ready: {}, lagMs: undefined }),
      onTick: () => undefined,
      onReplaced: () => shown.push(`${name} was replaced by another process and stops`),
    });
    const node: Node = { membership, control, log: gated, listeners, isConnected: true };
    nodes.set(name, node);
    running.add(node);
    await membership.join();
    await clock.settle();
  }

  async function end(node: Node): Promise<void> {
    const { membership, control } = node;
    running.delete(node);
    for (const [name, other] of nodes) if (other === node) nodes.delete(name);
    membership.stop();
    await control.stop();
  }

  function connect(name: string, isConnected: boolean): void {
    const node = nodeOf(name);
    node.isConnected = isConnected;
    node.log.isReachable = isConnected;
  }

  function describeMembers({ control, membership }: Node): string {
    const alive = aliveMembers(control.state.members).map(
      ({ node, incarnation }) => `${node} in life ${lifeOf(node, incarnation)}`,
    );
    return `epoch ${membership.epoch}: ${alive.join(', ') || 'nobody'}`;
  }

  /** One line when all say the same. */
  function compareAll(): void {
    const said = [...nodes].map(([name, node]) => ({ name, line: describeMembers(node) }));
    const isSame = new Set(said.map(({ line }) => line)).size === 1;
    if (isSame) shown.push(said[0]?.line ?? '');
    else shown.push(...said.map(({ name, line }) => `${name}: ${line}`));
  }

  const kinds: StepKind[] = [
    [/^time passes: (\d+) ms$/, (ms = '') => clock.advance(Number(ms))],
    [/^(\S+) joins$/, (name = '') => start(name)],
    [
      /^(\S+) leaves$/,
      async (name = '') =>
        nodeOf(name)
          .membership.leave('shutdown')
          .then(() => end(nodeOf(name))),
    ],
    [/^(\S+) dies$/, (name = '') => end(nodeOf(name))],
    [/^(\S+) is cut off$/, (name = '') => connect(name, false)],
    [/^(\S+) is connected again$/, (name = '') => connect(name, true)],
    [
      /^(\S+) and (\S+) both evict (\S+)$/,
      (one = '', other = '', target = '') =>
        Promise.all([one, other].map((name) => nodeOf(name).membership.evict(target, name))),
    ],
    [
      /^what (\S+) takes (\S+) for$/,
      (name = '', other = '') => void shown.push(nodeOf(name).membership.standing(other) ?? 'no member'),
    ],
    [/^all compare$/, compareAll],
  ];

  return {
    async stage(step) {
      shown = [];
      await actOn(kinds, step);
      await clock.settle();
      return shown;
    },
    async stop() {
      for (const node of [...running]) await end(node);
    },
  };
}
