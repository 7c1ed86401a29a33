/** A bare node:http server that gives the same answer to everything. A round tells its port, nothing else. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CreateSide } from '../side.ts';
import { type HttpSetup, httpType, httpValue } from './load.ts';

export const createSide: CreateSide<HttpSetup> = async ({ valueBytes }) => {
  const body = httpValue(valueBytes);
  const headers = { 'content-type': httpType, 'content-length': body.length };
  const server = createServer((_request, response) => {
    response.writeHead(200, headers);
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    round: async () => ({ port }),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
