/** The fixed ports of a cluster on one machine, and whether they are free. */
import { createServer } from 'node:net';
import { SluiceError } from '../../errors.ts';

export interface PortPlan {
  readonly nats: number;
  /** Index = node. */
  readonly http: readonly number[];
  readonly controller: number;
}

export const upHost = '127.0.0.1';
export const nodesMax = 9;
/** With a base, the controller's port is so far above it. */
const controllerOffset = nodesMax + 1;
export const portBaseMax = 65_535 - controllerOffset;

/** Without a base: NATS 4222, nodes from 7401, controller 49001. With base N: N, N + 1 …, N + 10. */
export function planPorts(base: number | undefined, nodeCount: number): PortPlan {
  const first = base === undefined ? 7401 : base + 1;
  return {
    nats: base ?? 4222,
    http: Array.from({ length: nodeCount }, (_, index) => first + index),
    controller: base === undefined ? 49_001 : base + controllerOffset,
  };
}

/** Whether something listens on the port. */
export function isPortBusy(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(true);
      else reject(new SluiceError('bad-request', `port ${port} on ${upHost}: ${error.message}`, { cause: error }));
    });
    probe.listen({ port, host: upHost, exclusive: true }, () => probe.close(() => resolve(false)));
  });
}

/** The error for a port that is taken; it names the way out. */
export function portInUse(port: number, whose: string): SluiceError {
  return new SluiceError(
    'in-use',
    `port ${port} on ${upHost}, for ${whose}, is in use by another program; stop it, or choose other ports with --port-base N`,
    { details: { host: upHost, port, field: '--port-base' } },
  );
}
