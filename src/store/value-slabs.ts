/**
 * Memory for the bytes of values. A buffer of its own costs a small value three times its size and most of the time of a
 * replay, so small values share slabs; larger ones have a buffer each.
 *
 * Bytes are only ever appended to a slab, and a slab's memory is never used again: whoever still holds a value reads what it
 * was. A slab of which less than half is in use is emptied into the newest one and left to the garbage collector, so values
 * that are replaced again and again cannot pin memory. Invariant: the slabs together hold less than twice the bytes of the
 * values in them, plus one slab.
 */

export interface Slab {
  readonly memory: ArrayBufferLike;
  /** Bytes handed out, and those of them still in use. */
  filled: number;
  live: number;
  /** Keys of those who were given a place here; some have left. */
  readonly keys: string[];
  isShared: boolean;
}

/** Who has bytes in a slab. Its key leads to it. */
export interface Tenant {
  readonly key: string;
  slab: Slab;
  offset: number;
  readonly length: number;
}

export interface ValueSlabs {
  /** Copies the value of a tenant that is already found by its key. */
  place(tenant: Tenant, value: Uint8Array): void;
  /** The tenant needs its bytes no more; whoever still has it can read them all the same. */
  vacate(tenant: Tenant): void;
  clear(): void;
}

/** Above this a value has a buffer of its own. */
export const sharedValueBytesMax = 512;
const slabBytesFirst = 1_024;
const slabBytesMax = 16 * 1_024;

/** The tenants of a slab that is not shared: there is one, and nobody asks. */
const nobody: string[] = [];

/** A copy with memory of its own: neither a slice of a receive buffer nor a piece of a shared pool. */
export function ownSlab(value: Uint8Array): Slab {
  const bytes = Buffer.allocUnsafeSlow(value.length);
  bytes.set(value);
  return { memory: bytes.buffer, filled: value.length, live: value.length, keys: nobody, isShared: false };
}

/** What a tenant has before it is given a place, and the place of an empty value. */
export const noSlab: Slab = ownSlab(new Uint8Array(0));

export const valueBytesOf = ({ slab, offset, length }: Tenant): Uint8Array =>
  new Uint8Array(slab.memory, offset, length);

export function createValueSlabs(tenantOf: (key: string) => Tenant | undefined): ValueSlabs {
  let newestBytes = Buffer.allocUnsafeSlow(slabBytesFirst);
  let newest = createSlab(newestBytes);
  const sparse: Slab[] = [];

  function createSlab({ buffer }: Buffer): Slab {
    return { memory: buffer, filled: 0, live: 0, keys: [], isShared: true };
  }

  function begin(bytes: number): void {
    newestBytes = Buffer.allocUnsafeSlow(bytes);
    newest = createSlab(newestBytes);
  }

  const isSparse = (slab: Slab): boolean => 2 * slab.live < slab.memory.byteLength;

  /** Makes room for `length` bytes in the newest slab. */
  function reserve(length: number): void {
    if (newest.filled + length <= newestBytes.length) return;
    const full = newest;
    begin(Math.min(slabBytesMax, 2 * newestBytes.length));
    if (isSparse(full)) sparse.push(full);
  }

  function settle(tenant: Tenant): void {
    tenant.slab = newest;
    tenant.offset = newest.filled;
    newest.keys.push(tenant.key);
    newest.filled += tenant.length;
    newest.live += tenant.length;
  }

  function empty(slab: Slab): void {
    slab.isShared = false;
    const bytes = Buffer.from(slab.memory);
    for (const key of slab.keys) {
      const tenant = tenantOf(key);
      if (tenant?.slab !== slab) continue;
      const from = tenant.offset;
      reserve(tenant.length);
      bytes.copy(newestBytes, newest.filled, from, from + tenant.length);
      settle(tenant);
    }
  }

  /** Emptying one slab may fill another that is sparse itself. */
  function emptySparse(): void {
    for (let slab = sparse.pop(); slab !== undefined; slab = sparse.pop()) if (slab.isShared) empty(slab);
  }

  return {
    place(tenant, value) {
      if (value.length > sharedValueBytesMax) {
        tenant.slab = ownSlab(value);
      } else if (value.length > 0) {
        reserve(value.length);
        newestBytes.set(value, newest.filled);
        settle(tenant);
        if (sparse.length > 0) emptySparse();
      }
    },
    vacate({ slab, length }) {
      slab.live -= length;
      if (!slab.isShared || slab === newest || !isSparse(slab)) return;
      sparse.push(slab);
      emptySparse();
    },
    clear() {
      begin(slabBytesFirst);
    },
  };
}
