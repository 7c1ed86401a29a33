/** Node to node bodies: what is sent is what arrives, and whatever else arrives is an error and never an exception of another kind. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decodePeerAnswer,
  decodePeerRequest,
  encodePeerBody,
  encodePeerFailure,
  type PeerVerb,
  peerRequests,
} from '../../../src/cluster/peer-protocol.ts';
import { isSluiceError, SluiceError } from '../../../src/errors.ts';

describe('a request between nodes', () => {
  it('arrives as it was sent', () => {
    const request = {
      cache: 'demo',
      partition: 3,
      key: 'a\nb "c" \u{1F600}',
      epoch: 17,
      consistency: 'latest' as const,
      minPosition: 5,
      waitMs: 100,
    };
    assert.deepEqual(decodePeerRequest('get', encodePeerBody(request)), request);
    const wait = {
      cache: 'demo',
      positions: [
        [0, 5],
        [3, 9],
      ] as [number, number][],
      waitMs: 10,
    };
    assert.deepEqual(decodePeerRequest('reached', encodePeerBody(wait)), wait);
  });

  it('carries a value of any bytes behind its first line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (value, revision) => {
        const answer = decodePeerAnswer(
          'get',
          encodePeerBody({ position: 9, found: { revision, atMs: 1, expiresAtMs: null } }, value),
        );
        assert.deepEqual([...answer.bytes], [...value]);
        assert.equal(answer.fields.found?.revision, revision);
      }),
    );
  });

  it('brings an error back with its code and the epoch of the one that refused', () => {
    const body = encodePeerFailure(new SluiceError('not-owner', 'not here'), 42);
    assert.throws(
      () => decodePeerAnswer('get', body),
      (error) => isSluiceError(error, 'not-owner') && error.message === 'not here' && error.details['epoch'] === 42,
    );
    assert.throws(
      () => decodePeerAnswer('get', encodePeerBody({ error: { code: 'of-a-later-version', message: 'x' } })),
      (error) => isSluiceError(error, 'internal'),
    );
  });

  it('is refused when it breaks the form, by every verb and for any bytes', () => {
    const verbs = Object.keys(peerRequests) as PeerVerb[];
    fc.assert(
      fc.property(
        fc.constantFrom(...verbs),
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(`${text}\n`)),
        ),
        (verb, body) => {
          for (const decode of [decodePeerRequest, decodePeerAnswer]) {
            try {
              decode(verb, body);
            } catch (error) {
              assert.ok(isSluiceError(error), String(error));
            }
          }
        },
      ),
    );
    assert.throws(
      () => decodePeerRequest('get', encodePeerBody({ cache: 'demo', partition: -1, key: 'a', epoch: 0 })),
      /partition/,
    );
  });
});
