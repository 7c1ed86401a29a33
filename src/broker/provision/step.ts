/**
 * What one step of the search for nats-server is. Steps know nothing of each other; their order is in
 * `provision.ts`.
 */
import type { Clock } from '../../base/clock.ts';
import type { FoundBinary, Refusal, VersionRule } from './binary.ts';

/** Environment variables, as handed in: those that are read here, and the rest for the programs that are run. */
export interface Environment {
  readonly [name: string]: string | undefined;
  readonly NATS_SERVER_BIN?: string | undefined;
  readonly SLUICE_NATS_DOWNLOAD_BASE?: string | undefined;
  readonly XDG_CACHE_HOME?: string | undefined;
  readonly HOME?: string | undefined;
  readonly PATH?: string | undefined;
}

export interface ProvisionContext extends VersionRule {
  readonly env: Environment;
  /** Sluice's own folder in the user's cache folder. */
  readonly cacheFolder: string;
  readonly downloadBase: string;
  readonly clock: Clock;
  /** One line for people, without a line end. */
  readonly log: (line: string) => void;
  readonly signal: AbortSignal | undefined;
}

export interface ProvisionStep {
  /** For people: "the PATH", "download". */
  readonly name: string;
  /**
   * A refusal lets the search go on, and so does any thrown error except a SluiceError `bad-config` or `aborted`,
   * which ends it.
   */
  run(context: ProvisionContext): Promise<FoundBinary | Refusal>;
}
