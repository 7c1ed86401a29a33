/** The process of one side: loads what its parent names, and measures when it is told to. See `side.ts`. */
import type { CreateSide, FromSide, Side, ToSide } from './side.ts';

let side: Side | undefined;

async function start(name: string, setup: unknown): Promise<void> {
  const { createSide }: { createSide: CreateSide<unknown> } = await import(`./${name}.js`);
  side = await createSide(setup);
}

async function answer(message: ToSide): Promise<void> {
  if (message.type === 'start') {
    await start(message.name, message.setup);
    send({ type: 'done', figures: {} });
  } else if (message.type === 'round') {
    send({ type: 'done', figures: (await side?.round()) ?? {} });
  } else {
    await side?.stop();
    process.disconnect();
  }
}

function send(message: FromSide): void {
  process.send?.(message);
}

process.on('message', (message: ToSide) => {
  answer(message).catch((error: unknown) =>
    send({ type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});
// The parent is gone: nobody wants the figures any more.
process.on('disconnect', () => process.exit());
