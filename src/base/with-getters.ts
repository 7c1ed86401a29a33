/**
 * Objects whose getters cost nothing. V8 keeps an object literal with a getter in it as a hash table, for good: each call of each of
 * its methods is a search then, and is never inlined. Here the getters stand on a prototype that all objects of a kind share.
 * Only for what is used with each hit or each event; anywhere else a plain literal reads better. The getters are not the object's
 * own: `{ ...object }` leaves them out.
 */

type Getters<Whole, Name extends keyof Whole> = { readonly [Key in Name]: () => Whole[Key] };
type Kind = new (getters: readonly (() => unknown)[]) => object;

/** By the names of their getters. */
const kinds = new Map<string, Kind>();

/** The object of these members, with a property for each getter. */
export function withGetters<Whole extends object, Name extends keyof Whole>(
  getters: Getters<Whole, Name>,
  members: Omit<Whole, Name>,
): Whole {
  const names = Object.keys(getters);
  const id = names.join();
  let kind = kinds.get(id);
  if (kind === undefined) {
    kind = createKind(names);
    kinds.set(id, kind);
  }
  return Object.assign(new kind(Object.values(getters)), members) as Whole;
}

function createKind(names: readonly string[]): Kind {
  class WithGetters {
    // By number: a search by name would be as slow as what this file avoids.
    readonly #getters: readonly (() => unknown)[];

    constructor(getters: readonly (() => unknown)[]) {
      this.#getters = getters;
    }

    static define(name: string, index: number): void {
      Object.defineProperty(WithGetters.prototype, name, {
        get(this: WithGetters) {
          return this.#getters[index]?.();
        },
      });
    }
  }
  for (const [index, name] of names.entries()) WithGetters.define(name, index);
  return WithGetters;
}
