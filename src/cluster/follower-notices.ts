/** What followers tell, for a log that people read: progress quietly, trouble aloud, and a log that cannot be read once it lasts. */
import type { Clock } from '../base/clock.ts';
import type { FollowerNotice } from '../log/follower-options.ts';

/** Progress and trouble, for a log. */
export type OnNotice = (
  level: 'debug' | 'info' | 'warn',
  message: string,
  facts?: Readonly<Record<string, unknown>>,
) => void;

/** An election takes 4 to 9 s, which is no news. Without a connection, no log can be read, and that is told by itself. */
const failingMs = 10_000;

interface Failing {
  readonly sinceMs: number;
  isTold: boolean;
}

export function createFollowerNotices(
  clock: Clock,
  isConnected: () => boolean,
  onNotice: OnNotice,
): (notice: FollowerNotice) => void {
  const failing = new Map<string, Failing>();

  function tellWhatLasts({ what, log, reason }: FollowerNotice): void {
    const known = failing.get(log);
    if (what === 'opened') {
      failing.delete(log);
      if (known?.isTold) onNotice('info', `${log}: is read again`, { log });
    }
    if (what !== 'failed') return;
    const now = clock.monotonic();
    if (known === undefined || !isConnected()) failing.set(log, { sinceMs: now, isTold: known?.isTold ?? false });
    else if (!known.isTold && now - known.sinceMs >= failingMs) {
      known.isTold = true;
      const seconds = Math.round((now - known.sinceMs) / 1_000);
      onNotice('warn', `${log}: could not be read for ${seconds} s, and is tried again: ${reason}`, { log, reason });
    }
  }

  return (notice) => {
    const { what, log, reason } = notice;
    const level = what === 'rebuild' || what === 'apply-failed' ? 'warn' : what === 'ready' ? 'info' : 'debug';
    onNotice(level, `${log}: ${what}${reason === '' ? '' : `, ${reason}`}`, { log, what, reason });
    tellWhatLasts(notice);
  };
}
