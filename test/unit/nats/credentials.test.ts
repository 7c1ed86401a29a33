/** Whose certificate is accepted for which address, when the address is no name. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { identityCheck, loadCredentials } from '../../../src/nats/credentials.ts';

const certificateFor = (names: string): PeerCertificate =>
  ({ subject: { CN: 'x' }, subjectaltname: names }) as unknown as PeerCertificate;

const accepts = (servers: readonly string[], name: string, names: string): boolean =>
  identityCheck(servers)(name, certificateFor(names)) === undefined;

describe('the certificate of a server', () => {
  it('must be for the name that was dialled', () => {
    assert.ok(accepts(['tls://nats-1.internal:4222'], 'nats-1.internal', 'DNS:nats-1.internal'));
    assert.ok(!accepts(['tls://nats-1.internal:4222'], 'nats-1.internal', 'DNS:nats-2.internal'));
    assert.ok(accepts(['localhost'], 'localhost', 'DNS:localhost'));
  });

  it('must be for a configured address where there is no name, for which Node asks for "localhost"', () => {
    assert.ok(accepts(['tls://10.0.0.1:4222'], 'localhost', 'IP Address:10.0.0.1'));
    assert.ok(accepts(['tls://[fd00::1]:4222'], 'localhost', 'IP Address:FD00:0:0:0:0:0:0:1'));
    assert.ok(accepts(['10.0.0.1:4222', '10.0.0.2:4222'], 'localhost', 'IP Address:10.0.0.2'));
    assert.ok(!accepts(['tls://10.0.0.1:4222'], 'localhost', 'IP Address:10.0.0.9'));
    assert.ok(!accepts(['tls://10.0.0.1:4222'], 'localhost', 'DNS:localhost'), 'which is anybody’s name');
    assert.ok(!accepts(['tls://nats-1.internal:4222'], 'localhost', 'DNS:nats-1.internal'));
  });
});

describe('TLS', () => {
  const none = { caFile: null, certFile: null, keyFile: null };

  it('is demanded by the address as well', () => {
    const demand = (...servers: string[]): boolean =>
      loadCredentials({ servers, credentialsFile: null, tls: none }, 0).tls !== undefined;
    assert.ok(demand('tls://nats-1:4222'));
    assert.ok(demand('nats://nats-1:4222', 'tls://nats-2:4222'));
    assert.ok(!demand('nats://nats-1:4222', 'nats-2:4222'));
  });
});
