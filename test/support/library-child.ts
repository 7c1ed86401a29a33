/**
 * A client of the library in a process of its own, which does what its parent says and answers. Arguments: the address of
 * NATS, the cache. It ends by itself when its library is closed and its parent has let go of it: nothing here calls exit.
 */
import { connect, isSluiceError, type Written } from '../../src/index.ts';

export type ChildCall =
  | { readonly call: 'reachAndGet'; readonly key: string; readonly written: Written }
  | { readonly call: 'put'; readonly key: string; readonly value: number }
  | { readonly call: 'getOrLoad'; readonly key: string; readonly value: number }
  | { readonly call: 'close' };

export interface ChildAnswer {
  readonly value?: number | undefined;
  readonly written?: Written;
  /** Code of the error. */
  readonly code?: string;
}

const [servers = '', name = ''] = process.argv.slice(2);
const sluice = await connect({ servers, name: 'child' });
const cache = await sluice.open<number>(name);

async function answer(call: ChildCall): Promise<ChildAnswer> {
  switch (call.call) {
    case 'reachAndGet':
      await cache.reached(call.written, { waitMs: 10_000 });
      return { value: cache.get(call.key) };
    case 'put':
      return { written: await cache.put(call.key, call.value) };
    case 'getOrLoad':
      return { value: await cache.getOrLoad(call.key, () => call.value) };
    case 'close':
      await sluice.close();
      return {};
  }
}

process.on('message', (call: ChildCall) => {
  answer(call)
    .catch((error: unknown): ChildAnswer => ({ code: isSluiceError(error) ? error.code : String(error) }))
    .then((result) => {
      process.send?.(result);
      if (call.call === 'close') process.disconnect();
    });
});
process.send?.({} satisfies ChildAnswer);
