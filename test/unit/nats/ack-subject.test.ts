import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Delivery, parseAckSubject } from '../../../src/nats/wire/ack-subject.ts';

const parse = (subject: string): Delivery | undefined => {
  const into: Delivery = { position: 0, ordinal: 0, atMs: 0, pending: 0 };
  return parseAckSubject(Buffer.from(subject), into) ? into : undefined;
};

describe('the reply subject of a delivered message', () => {
  it('is read in each of its forms', () => {
    const expected = { position: 12_345_678, ordinal: 42, atMs: 1_795_243_565_561, pending: 7 };
    const tail = '1.12345678.42.1795243565561846160.7';
    assert.deepEqual(parse(`$JS.ACK.KV_demo.consumer.${tail}`), expected);
    assert.deepEqual(parse(`$JS.ACK.domain.ACCOUNT.KV_demo.consumer.${tail}`), expected);
    assert.deepEqual(parse(`$JS.ACK._.ACCOUNT.KV_demo.consumer.${tail}.random`), expected);
  });

  it('is refused in any other form', () => {
    for (const subject of [
      '',
      '_INBOX.abc.1',
      '$JS.ACK.S.C.1.2.3.4',
      '$JS.ACK.S.C.1.2.3.4.5.6',
      '$JS.ACK.S.C.1.x.3.4.5',
      '$JS.ACK.S.C.1..3.4.5',
      '$JS.ACK.S.C.1.2.3.4.',
      '$JS.ACK.S.C.1.2.3.-4.5',
      '$JS.ACK.S.C.1.9007199254740992.3.4.5',
      '$JS.ACK.S.C.1.2.18446744073709551615.4.5',
    ]) {
      assert.equal(parse(subject), undefined, subject);
    }
  });

  it('never fails on any bytes, and reads back what it is made of', () => {
    const into: Delivery = { position: 0, ordinal: 0, atMs: 0, pending: 0 };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => typeof parseAckSubject(bytes, into) === 'boolean'),
    );
    const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const milliseconds = fc.integer({ min: 1_000_000_000_000, max: 9_999_999_999_999 });
    fc.assert(
      fc.property(count, count, milliseconds, count, (position, ordinal, atMs, pending) => {
        const subject = `$JS.ACK.S.C.1.${position}.${ordinal}.${atMs}123456.${pending}`;
        assert.deepEqual(parse(subject), { position, ordinal, atMs, pending });
      }),
    );
  });
});
