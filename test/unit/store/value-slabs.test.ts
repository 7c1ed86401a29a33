/** Shared memory for small values: nobody reads anything but their own bytes, and little memory serves for nothing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  createValueSlabs,
  noSlab,
  type Slab,
  sharedValueBytesMax,
  type Tenant,
  type ValueSlabs,
  valueBytesOf,
} from '../../../src/store/value-slabs.ts';

const slabBytesMax = 16 * 1_024;

interface House {
  readonly slabs: ValueSlabs;
  readonly tenants: Map<number, Tenant>;
  put(slot: number, value: Uint8Array): void;
  remove(slot: number): void;
}

function createHouse(): House {
  const tenants = new Map<number, Tenant>();
  const slabs = createValueSlabs((key) => tenants.get(Number(key)));
  return {
    slabs,
    tenants,
    put(slot, value) {
      const known = tenants.get(slot);
      const tenant = { key: String(slot), slab: noSlab, offset: 0, length: value.length };
      tenants.set(slot, tenant);
      if (known !== undefined) slabs.vacate(known);
      slabs.place(tenant, value);
    },
    remove(slot) {
      const known = tenants.get(slot);
      tenants.delete(slot);
      if (known !== undefined) slabs.vacate(known);
    },
  };
}

/** A value that no other slot and no other round has. */
const valueFor = (slot: number, round: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (slot * 31 + round * 7 + index) % 256);

function memoryOf(house: House): { held: number; live: number } {
  const slabs = new Set<Slab>([...house.tenants.values()].map((tenant) => tenant.slab));
  return {
    held: [...slabs].reduce((sum, slab) => sum + slab.memory.byteLength, 0),
    live: [...house.tenants.values()].reduce((sum, tenant) => sum + tenant.length, 0),
  };
}

const change = fc.record({
  slot: fc.integer({ min: 1, max: 60 }),
  length: fc.oneof(fc.nat(40), fc.nat(sharedValueBytesMax), fc.integer({ min: 0, max: 2 * sharedValueBytesMax })),
  isRemoval: fc.boolean(),
});

describe('values in shared memory', () => {
  it('are what was put last, whatever was put, replaced and removed around them', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400 }), (changes) => {
        const house = createHouse();
        const model = new Map<number, Uint8Array>();
        for (const [round, { slot, length, isRemoval }] of changes.entries()) {
          if (isRemoval) {
            model.delete(slot);
            house.remove(slot);
          } else {
            model.set(slot, valueFor(slot, round, length));
            house.put(slot, valueFor(slot, round, length));
          }
        }
        for (const [slot, value] of model) {
          const tenant = house.tenants.get(slot);
          assert.ok(tenant !== undefined && Buffer.compare(valueBytesOf(tenant), value) === 0);
        }
      }),
    );
  });

  it('are copies: the bytes they came in may be used again', () => {
    const house = createHouse();
    for (const length of [1, sharedValueBytesMax, sharedValueBytesMax + 1]) {
      const received = new Uint8Array(length).fill(7);
      house.put(length, received);
      received.fill(9);
      const tenant = house.tenants.get(length);
      assert.ok(tenant !== undefined && valueBytesOf(tenant).every((byte) => byte === 7));
    }
  });

  it('stay readable for whoever got them, after they were replaced and their neighbours moved away', () => {
    const house = createHouse();
    const first = valueFor(1, 0, 100);
    house.put(1, first);
    const tenant = house.tenants.get(1);
    assert.ok(tenant !== undefined);
    const view = valueBytesOf(tenant);
    for (let round = 1; round <= 2_000; round += 1) house.put(1 + (round % 50), valueFor(1, round, 100));
    assert.deepEqual(view, first);
    assert.deepEqual(valueBytesOf(tenant), first);
  });

  it('never hold more than twice their bytes and one slab, however they are replaced', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: sharedValueBytesMax }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 7 }), (lengths, stride) => {
        const house = createHouse();
        for (let round = 0; round < 1_500; round += 1) {
          // Some are replaced all the time, and every so often one that then stays.
          const slot = round % 13 === 0 ? 1 + round : 1 + ((round * stride) % 10);
          house.put(slot, valueFor(slot, round, lengths[round % lengths.length] ?? 1));
        }
        const { held, live } = memoryOf(house);
        assert.ok(held <= 2 * live + slabBytesMax, `${held} bytes for ${live}`);
      }),
      { numRuns: 30 },
    );
  });

  it('that are empty or large take no part', () => {
    const house = createHouse();
    house.put(1, new Uint8Array(0));
    house.put(2, new Uint8Array(sharedValueBytesMax + 1));
    assert.equal(house.tenants.get(1)?.slab, noSlab);
    assert.equal(house.tenants.get(2)?.slab.isShared, false);
    house.remove(1);
    house.remove(2);
    assert.equal(noSlab.live, 0);
  });
});
