/** The sample of README.md for the library in a process of one's own. Argument: the address of NATS. */
import { connect } from 'sluice';

interface User {
  readonly name: string;
}

const sluice = await connect({ servers: process.argv[2] ?? 'nats://127.0.0.1:4222' });
const users = await sluice.open<User>('users', { ttlMs: 3_600_000 });

// A write resolves once the log has it. This process sees it at once, every other one a moment later.
const written = await users.put('ada', { name: 'Ada' }, { tags: ['staff'] });

// A read is synchronous: one look into this process's memory.
console.log(users.get('ada')?.name, users.entry('ada')?.revision === written.revision);

// What is missing is loaded: once for all who ask at the same time, and never as if it were newer than it is.
const bob = await users.getOrLoad('bob', async (key) => ({ name: key.toUpperCase() }), { tags: ['staff'] });
console.log(bob?.name);

// Whoever is handed `written`, here or in another process, can wait until the copy there has it.
await users.reached(written, { waitMs: 5_000 });

// One event makes all entries with a tag void, everywhere.
await users.invalidateTags(['staff']);
console.log(users.get('ada'), users.get('bob'));

// How old this copy can be at most, in ms, is known at any time: how long ago it was last proven complete.
console.log(users.lag.ms < 10_000);

await sluice.close();
