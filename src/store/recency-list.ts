/**
 * Items in order of use. A hit moves its item to the new end, so this is the hottest code of the house: the links are small
 * integers side by side in one typed array, which stays in the processor's cache where objects with pointers would not.
 *
 * An item is known by its slot, which stays the same until it is removed. Slot 0 is the ring's anchor and never an item's.
 */

export interface RecencyList<Item> {
  readonly size: number;
  /** Adds an item as the one used last; returns its slot. */
  add(item: Item): number;
  /** Puts another item in a slot, as the one used last. */
  replace(slot: number, item: Item): void;
  /** Marks the item in a slot as used. */
  touch(slot: number): void;
  remove(slot: number): void;
  at(slot: number): Item | undefined;
  /** The item that was not used for the longest time. */
  oldest(): Item | undefined;
  /** All items, in no order of use. Items may be added and removed meanwhile: one that stays is told exactly once. */
  items(): IterableIterator<Item>;
  clear(): void;
}

const slotsFirst = 1_024;

export function createRecencyList<Item>(): RecencyList<Item> {
  /** By slot: the next newer one at `2 × slot`, the next older one behind it. Free slots are chained by the first. */
  let links = new Uint32Array(2 * slotsFirst);
  let bySlot: (Item | undefined)[] = [undefined];
  let firstFree = 0;
  let size = 0;

  function takeSlot(): number {
    const free = firstFree;
    if (free !== 0) {
      firstFree = links[2 * free] ?? 0;
      return free;
    }
    const slot = bySlot.length;
    if (2 * slot >= links.length) {
      const grown = new Uint32Array(2 * links.length);
      grown.set(links);
      links = grown;
    }
    return slot;
  }

  /** Between the anchor and what was the newest. */
  function link(slot: number): void {
    const newest = links[1] ?? 0;
    links[2 * newest] = slot;
    links[2 * slot + 1] = newest;
    links[2 * slot] = 0;
    links[1] = slot;
  }

  function unlink(slot: number): void {
    const newer = links[2 * slot] ?? 0;
    const older = links[2 * slot + 1] ?? 0;
    links[2 * older] = newer;
    links[2 * newer + 1] = older;
  }

  function touch(slot: number): void {
    if (links[1] === slot) return;
    unlink(slot);
    link(slot);
  }

  return {
    get size() {
      return size;
    },
    touch,
    add(item) {
      const slot = takeSlot();
      bySlot[slot] = item;
      link(slot);
      size += 1;
      return slot;
    },
    replace(slot, item) {
      bySlot[slot] = item;
      touch(slot);
    },
    remove(slot) {
      unlink(slot);
      bySlot[slot] = undefined;
      links[2 * slot] = firstFree;
      firstFree = slot;
      size -= 1;
    },
    at: (slot) => bySlot[slot],
    oldest: () => bySlot[links[0] ?? 0],
    *items() {
      // Downwards, so that what is added meanwhile cannot keep this going for ever.
      for (let slot = bySlot.length - 1; slot > 0; slot -= 1) {
        const item = bySlot[slot];
        if (item !== undefined) yield item;
      }
    },
    clear() {
      links = new Uint32Array(2 * slotsFirst);
      bySlot = [undefined];
      firstFree = 0;
      size = 0;
    },
  };
}
