/**
 * Objects whose getters cost nothing. V8 keeps an object literal with a getter in it as a hash table, for good: each call of each of
 * its methods is a search then, and is never inlined. Here the getters stand on a prototype that all objects of a kind share.
 * Only for what is used with each hit or each event; anywhere else a plain literal reads better. The getters are not the object's
 * own: `{ ...object }` leaves them out.
 */

type Getters<Whole, Name extends keyof Whole> = { readonly [Key in Name]: () => Whole[Key] };
type AnyGetters = Readonly<Record<string, () => unknown>>;
type Kind = new (getters: AnyGetters) => object;

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
  return Object.assign(new kind(getters as AnyGetters), members) as Whole;
}

function createKind(names: readonly string[]): Kind {
  class WithGetters {
    readonly #getters: AnyGetters;

    constructor(getters: AnyGetters) {
      this.#getters = getters;
    }

    static define(name: string): void {
      Object.defineProperty(WithGetters.prototype, name, {
        get(this: WithGetters) {
          return this.#getters[name]?.();
        },
      });
    }
  }
  for (const name of names) WithGetters.define(name);
  return WithGetters;
}
