/**
 * Who wants to hear of something, and how they are told. One that throws must not keep the others from hearing it: the first error is
 * thrown after all were told. A listener that stops meanwhile is not told any more; a new one hears the next event. Telling
 * allocates nothing.
 */

export interface Listeners<Event> {
  /** Returns the way to stop; safe to call twice. */
  add(listener: (event: Event) => void): () => void;
  tell(event: Event): void;
  clear(): void;
  isEmpty(): boolean;
}

export function createListeners<Event>(): Listeners<Event> {
  /** Replaced at each change, so that who is telling goes on with those that were there. */
  let all: readonly { readonly hear: (event: Event) => void }[] = [];
  return {
    add(hear) {
      const listener = { hear };
      all = [...all, listener];
      return () => {
        all = all.filter((each) => each !== listener);
      };
    },
    tell(event) {
      const told = all;
      let hasFailed = false;
      let failure: unknown;
      for (const listener of told) {
        if (told !== all && !all.includes(listener)) continue;
        try {
          listener.hear(event);
        } catch (error) {
          if (!hasFailed) failure = error;
          hasFailed = true;
        }
      }
      if (hasFailed) throw failure;
    },
    clear() {
      all = [];
    },
    isEmpty: () => all.length === 0,
  };
}
