/** A script: everything that is done to a world, step by step. A seed makes one; a failing one can be made shorter. */
import type { Setting } from './setting.ts';

/** Something that a process does. */
export type Operation =
  | { readonly do: 'put'; readonly key: string; readonly ttlMs?: number; readonly tags?: readonly string[] }
  | {
      readonly do: 'create' | 'replace' | 'delete' | 'delete-seen';
      readonly key: string;
      readonly tags?: readonly string[];
    }
  | { readonly do: 'clear' | 'watch' }
  | { readonly do: 'invalidate'; readonly tag: string }
  | { readonly do: 'get' | 'get-latest' | 'get-written'; readonly key: string }
  | { readonly do: 'get-fresh'; readonly key: string; readonly maxMs: number }
  | {
      readonly do: 'load';
      readonly key: string;
      readonly takesMs: number;
      readonly tags?: readonly string[];
      readonly ttlMs?: number;
    };

/** Something that happens to a process. */
export type Mishap =
  | { readonly do: 'crash' | 'leave' | 'reset' }
  | { readonly do: 'restart'; readonly clockMs: number }
  | { readonly do: 'pause'; readonly forMs: number }
  | { readonly do: 'jump'; readonly clockMs: number }
  | { readonly do: 'slow'; readonly forMs: number; readonly extraMs: number }
  | {
      readonly do: 'cut';
      readonly direction: 'out' | 'in' | 'both';
      readonly forMs: number;
      readonly noticeMs: number;
    };

/** Something that a stream does; `partition` -1: the control log. */
export type Vice =
  | { readonly do: 'lose-acks' | 'lose-writes'; readonly forMs: number; readonly share: number }
  | { readonly do: 'no-leader' | 'deposed-leader'; readonly forMs: number }
  | { readonly do: 'silence' | 'recreate' }
  | { readonly do: 'freeze-replica'; readonly replica: number; readonly forMs: number }
  | { readonly do: 'roll-back'; readonly by: number }
  | { readonly do: 'purge' | 'drop-oldest'; readonly keep: number };

export type Step = { readonly at: number } & (
  | (Operation & { readonly by: string })
  | (Mishap & { readonly to: string })
  | (Vice & { readonly partition: number })
  | { readonly do: 'server-restart'; readonly forMs: number }
);

export interface Script {
  readonly seed: number;
  readonly setting: Setting;
  /** In order of `at`, ms after everything was ready. */
  readonly steps: readonly Step[];
}

export const isOperation = (step: Step): step is Step & Operation & { readonly by: string } =>
  'by' in step && typeof step.by === 'string';
