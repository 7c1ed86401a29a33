/** Randomness as a parameter: this file alone reads it, so that a seeded source can replace it in tests. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** `byteCount` random bytes as lower-case hex. */
  hex(byteCount: number): string;
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  hex: (byteCount) => randomBytes(byteCount).toString('hex'),
};
