/**
 * The control plane's copy: folds the control log into members, caches and leases, and tells who listens. The follower
 * knows how far it is; the state is only ever changed here.
 */
import type { Clock } from '../base/clock.ts';
import type { Lifecycle } from '../base/lifecycle.ts';
import { createListeners } from '../base/listeners.ts';
import type { Random } from '../base/random.ts';
import { type ControlEvent, decodeControlRecord, type Recorded } from '../events/control.ts';
import { createFollower, type Follower } from '../log/follower.ts';
import type { FollowerLimits, FollowerNotice } from '../log/follower-options.ts';
import type { Log } from '../log/log.ts';
import { applyControl, type ControlState, initControl } from '../state/control.ts';

export interface ControlView extends Lifecycle {
  /** Replaced as a whole by a rebuild; do not keep it. */
  readonly state: ControlState;
  readonly log: Log;
  readonly follower: Follower;
  /** Called after each event was applied, and with undefined after a rebuild began. */
  listen(onEvent: (recorded: Recorded<ControlEvent> | undefined) => void): () => void;
}

export interface ControlViewOptions {
  readonly cluster: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<FollowerLimits>;
  readonly onNotice?: (notice: FollowerNotice) => void;
}

export function createControlView(options: ControlViewOptions): ControlView {
  const { cluster, log } = options;
  const listeners = createListeners<Recorded<ControlEvent> | undefined>();
  let state = initControl();

  const follower = createFollower({
    log,
    clock: options.clock,
    random: options.random,
    limits: options.limits ?? {},
    ...(options.onNotice === undefined ? {} : { onNotice: options.onNotice }),
    sink: {
      apply(record) {
        const recorded = decodeControlRecord(cluster, record);
        applyControl(state, recorded);
        listeners.tell(recorded);
      },
      rebuild() {
        state = initControl();
        listeners.tell(undefined);
      },
      // Control events are kept down to the audit horizon, and what they said goes on being true below the floor.
      floor: () => undefined,
    },
  });

  return {
    get state() {
      return state;
    },
    log,
    follower,
    listen: listeners.add,
    start: () => follower.start(),
    async stop() {
      await follower.stop();
      listeners.clear();
    },
  };
}
