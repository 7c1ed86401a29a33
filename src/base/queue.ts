/** A first-in first-out queue with constant-time ends; an array's `shift` is linear once it is long. */

export interface Queue<Item> {
  readonly size: number;
  push(item: Item): void;
  peek(): Item | undefined;
  shift(): Item | undefined;
  /** Removes one item wherever it stands; linear. */
  remove(item: Item): boolean;
  toArray(): Item[];
}

export function createQueue<Item>(): Queue<Item> {
  let items: Item[] = [];
  let head = 0;
  return {
    get size() {
      return items.length - head;
    },
    push: (item) => void items.push(item),
    peek: () => items[head],
    shift() {
      const item = items[head];
      if (item === undefined) return undefined;
      head += 1;
      if (head > 1_024 && head * 2 > items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    remove(item) {
      const index = items.indexOf(item, head);
      if (index < 0) return false;
      items.splice(index, 1);
      return true;
    },
    toArray: () => items.slice(head),
  };
}
