/**
 * Ends a connection that the driver has found dead but does not let go of.
 *
 * When pings stay unanswered, the driver writes an empty chunk and waits for it to be flushed before it closes the socket.
 * With more on its way than the kernel takes, that never happens on a dead network: without this it would stay
 * "connected" until TCP gives up after a quarter of an hour. The socket is not part of the driver's public interface, so this
 * file alone touches it, does nothing when the shape is another, and a test pins the shape.
 */
import type { NatsConnection } from '@nats-io/nats-core';

interface DriverConnection {
  readonly protocol?: { readonly transport?: { readonly socket?: { destroy?(): void } } };
}

/** True when there was a socket to end. The driver then reconnects as after any other loss. */
export function severStaleSocket(connection: NatsConnection): boolean {
  const socket = (connection as unknown as DriverConnection).protocol?.transport?.socket;
  if (typeof socket?.destroy !== 'function') return false;
  socket.destroy();
  return true;
}
