/**
 * Events of a partition: golden messages as the log holds them, round trips, and whatever other writers may store.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import {
  type BucketContext,
  type BucketEvent,
  decodeBucketRecord,
  encodeClear,
  encodeDelete,
  encodePut,
  encodeTagInvalidation,
  type PutFields,
  validateContentType,
  validateTags,
} from '../../../src/events/entry.ts';
import { encodeHeader } from '../../../src/events/header.ts';
import { type LogRecord, type LogWrite, recordOf } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';

const subjects = bucketSubjects('sluice', 'demo');
const forever: BucketContext = { subjects, log: { maxAgeMs: Number.POSITIVE_INFINITY } };
const atMs = 1_700_000_000_000;
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

const plain: PutFields = {
  expiresAtMs: Number.POSITIVE_INFINITY,
  tags: undefined,
  contentType: undefined,
  basis: undefined,
  origin: 'node-1',
  natsTtlMs: undefined,
};

/** The record that the log makes of a write. */
const stored = ({ subject, fields, data }: LogWrite): LogRecord =>
  recordOf({ position: 7, atMs, subject, header: fields === '' ? undefined : encodeHeader(fields), data });

/** A record under `key` with a raw header block. */
const foreign = (header: string | Uint8Array | undefined, token = 'key', data = bytes('value')): LogRecord =>
  recordOf({
    position: 7,
    atMs,
    subject: `$KV.demo.${token}`,
    header: typeof header === 'string' ? Buffer.from(header, 'utf8') : header,
    data,
  });

const bareAt = (subject: string): LogRecord =>
  recordOf({ position: 7, atMs, subject, header: undefined, data: bytes('value') });

const withFields = (...lines: readonly string[]): LogRecord =>
  foreign(`NATS/1.0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);

const decode = (record: LogRecord, context: BucketContext = forever): BucketEvent =>
  decodeBucketRecord(context, record);

const barePut = (expiresAtMs = Number.POSITIVE_INFINITY): BucketEvent => ({
  type: 'entry.put',
  key: 'key',
  value: bytes('value'),
  expiresAtMs,
  tags: undefined,
  contentType: undefined,
  basis: undefined,
});

describe('an encoded event', () => {
  it('is, for a put, the message of the wire format', () => {
    const write = encodePut(subjects, 'user:42', bytes('hello'), {
      expiresAtMs: 1_700_000_060_000.25,
      tags: ['red', 'grün'],
      contentType: 'text/plain',
      basis: 12,
      origin: 'node-2',
      natsTtlMs: 59_001,
    });
    assert.equal(write.subject, '$KV.demo.user=3A42');
    assert.equal(Buffer.from(write.data).toString(), 'hello');
    assert.equal(
      Buffer.from(encodeHeader(write.fields)).toString('latin1'),
      Buffer.from(
        'NATS/1.0\r\nSluice-Origin: node-2\r\nSluice-Expires: 1700000060001\r\nNats-TTL: 60\r\nSluice-Tags: red,grün\r\n' +
          'Sluice-Type: text/plain\r\nSluice-Basis: 12\r\n\r\n',
      ).toString('latin1'),
    );
  });

  it('is, for a delete, the tombstone of NATS KV', () => {
    const write = encodeDelete(subjects, 'key', 'node-1', 86_400_000);
    assert.deepEqual(write, {
      subject: '$KV.demo.key',
      fields: 'KV-Operation: DEL\r\nSluice-Origin: node-1\r\nNats-TTL: 86400\r\n',
      data: new Uint8Array(0),
    });
    assert.equal(encodeDelete(subjects, 'key', 'node-1').fields, 'KV-Operation: DEL\r\nSluice-Origin: node-1\r\n');
  });

  it('is, for clear and tag invalidation, an empty message beside the keys', () => {
    assert.deepEqual(encodeClear(subjects, 'node-1', false), {
      subject: 'sluice.bucket.demo.clear',
      fields: 'Sluice-Origin: node-1\r\n',
      data: new Uint8Array(0),
    });
    assert.equal(encodeClear(subjects, 'node-1', true).fields, 'Sluice-Origin: node-1\r\nNats-Rollup: all\r\n');
    assert.equal(encodeTagInvalidation(subjects, 'red', 'n').subject, 'sluice.bucket.demo.tag.red');
    assert.equal(encodeTagInvalidation(subjects, 'a b', 'n').subject, 'sluice.bucket.demo.tag.a=20b');
  });

  it('carries the escaped key when its token is a hash', () => {
    const key = '🙂'.repeat(64);
    for (const write of [encodePut(subjects, key, bytes(''), plain), encodeDelete(subjects, key, 'node-1')]) {
      assert.match(write.subject, /^\$KV\.demo\.=sha256-[0-9a-f]{64}$/);
      assert.ok(write.fields.includes(`Sluice-Key: ${'=F0=9F=99=82'.repeat(64)}\r\n`));
    }
    const tag = '🙂'.repeat(32);
    assert.deepEqual(decode(stored(encodeTagInvalidation(subjects, tag, 'n'))), { type: 'tag.invalidated', tag });
  });

  it('leaves out an expiry that no reader could hold', () => {
    for (const expiresAtMs of [Number.MAX_SAFE_INTEGER, 1e21, Number.POSITIVE_INFINITY]) {
      assert.doesNotMatch(encodePut(subjects, 'key', bytes(''), { ...plain, expiresAtMs }).fields, /Sluice-Expires/);
    }
  });
});

const anyKey = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
);
const anyTag = fc.string({ unit: 'binary', minLength: 1, maxLength: 31 }).filter((tag) => {
  try {
    return validateTags([tag]).length === 1;
  } catch {
    return false;
  }
});
const anyType = fc
  .string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 256,
  })
  .filter((type) => type === type.trim());
const anyPut = fc.record({
  expiresAtMs: fc.oneof(
    fc.constant(Number.POSITIVE_INFINITY),
    fc.maxSafeNat().filter((ms) => ms < Number.MAX_SAFE_INTEGER),
  ),
  tags: fc.option(fc.uniqueArray(anyTag, { minLength: 1, maxLength: 64 }), { nil: undefined }),
  contentType: fc.option(anyType, { nil: undefined }),
  basis: fc.option(fc.maxSafeNat(), { nil: undefined }),
  origin: fc.constantFrom('node-1', 'Sluice-Basis', 'x'),
  natsTtlMs: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
});

describe('a round trip', () => {
  it('keeps every field of a put apart', () => {
    const put = {
      ...plain,
      expiresAtMs: 1_700_000_000_123,
      tags: ['a', 'b c', 'ü'],
      contentType: 'text/html; charset=utf-8',
      basis: 5,
    };
    assert.deepEqual(decode(stored(encodePut(subjects, 'k/1', bytes('v'), put))), {
      type: 'entry.put',
      key: 'k/1',
      value: bytes('v'),
      expiresAtMs: 1_700_000_000_123,
      tags: ['a', 'b c', 'ü'],
      contentType: 'text/html; charset=utf-8',
      basis: 5,
    });
  });

  it('gives back every put', () => {
    fc.assert(
      fc.property(anyKey, fc.uint8Array(), anyPut, (key, value, put) => {
        // An entry without an own expiry, but with a server TTL, lives as long as the message.
        const ttlEndMs = atMs + Math.ceil((put.natsTtlMs ?? 0) / 1000) * 1000;
        const isByTtl = put.expiresAtMs === Number.POSITIVE_INFINITY && put.natsTtlMs !== undefined;
        const { tags, contentType, basis } = put;
        assert.deepEqual(decode(stored(encodePut(subjects, key, value, put))), {
          type: 'entry.put',
          key,
          value,
          expiresAtMs: isByTtl ? ttlEndMs : put.expiresAtMs,
          tags,
          contentType,
          basis,
        });
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives back every delete, clear and tag invalidation', () => {
    fc.assert(
      fc.property(anyKey, anyTag, (key, tag) => {
        assert.deepEqual(decode(stored(encodeDelete(subjects, key, 'n', 1_000))), { type: 'entry.deleted', key });
        assert.deepEqual(decode(stored(encodeTagInvalidation(subjects, tag, 'n'))), { type: 'tag.invalidated', tag });
        assert.deepEqual(decode(stored(encodeClear(subjects, 'n', true))), { type: 'cache.cleared' });
      }),
    );
  });
});

describe('a message of another writer', () => {
  it('is a put with the raw body when it has no header', () => {
    assert.deepEqual(decode(foreign(undefined)), barePut());
    assert.deepEqual(decode(foreign('')), barePut());
    assert.deepEqual(decode(foreign('NATS/1.0\r\n\r\n')), barePut());
    assert.deepEqual(decode(withFields('X-Trace: 1', 'KV-Operation: PUT')), barePut());
  });

  it('is read from the bytes that nats-server 2.14 and the nats CLI store', () => {
    const golden: readonly (readonly [header: string, event: BucketEvent])[] = [
      ['NATS/1.0\r\nKV-Operation: DEL\r\n\r\n', { type: 'entry.deleted', key: 'key' }],
      ['NATS/1.0\r\nKV-Operation: PURGE\r\nNats-Rollup: sub\r\n\r\n', { type: 'entry.deleted', key: 'key' }],
      [
        'NATS/1.0\r\nNats-Marker-Reason: MaxAge\r\nNats-TTL: 1m0s\r\nNats-Rollup: sub\r\n\r\n',
        { type: 'entry.deleted', key: 'key' },
      ],
      ['NATS/1.0\r\nNats-TTL: 1h30m\r\n\r\n', barePut(atMs + 5_400_000)],
      ['NATS/1.0\r\nNats-TTL: .5h\r\n\r\n', barePut(atMs + 1_800_000)],
      ['NATS/1.0\r\nNats-TTL: Never\r\n\r\n', barePut()],
    ];
    for (const [header, event] of golden) assert.deepEqual(decode(foreign(header)), event, header);
  });

  it('is a delete when KV says so, and when it is a marker, whatever else it looks like', () => {
    const deleted = { type: 'entry.deleted', key: 'key' };
    assert.deepEqual(decode(withFields('KV-Operation: DEL')), deleted);
    assert.deepEqual(decode(withFields('KV-Operation: PURGE', 'Nats-Rollup: sub')), deleted);
    assert.deepEqual(decode(withFields('Nats-Marker-Reason: MaxAge', 'Nats-Rollup: sub', 'Nats-TTL: 60')), deleted);
    assert.deepEqual(decode(withFields('Nats-Marker-Reason: Purge', 'KV-Operation: PUT')), deleted);
    assert.deepEqual(decode(withFields('KV-Operation: BANANA', 'Nats-Marker-Reason:')), deleted);
  });

  it('is unreadable, and names the header, when what it says about the entry cannot be understood', () => {
    const cases: readonly (readonly [reason: string, lines: readonly string[]])[] = [
      ['KV-Operation: MERGE', ['KV-Operation: MERGE']],
      ['KV-Operation: ', ['KV-Operation:']],
      [`KV-Operation: ${'x'.repeat(32)}`, [`KV-Operation: ${'x'.repeat(5_000)}`]],
      ...['', 'soon', '-1', '1e3', '1.5', '12345678901234567', '9007199254740993'].map(
        (value) => ['Sluice-Expires', [`Sluice-Expires: ${value}`]] as const,
      ),
      ...['', 'x', '-1', '0x10', '9'.repeat(17)].map((value) => ['Sluice-Basis', [`Sluice-Basis: ${value}`]] as const),
      ...['', 'soon', '-1s', '1.5', '1w'].map((value) => ['Nats-TTL', [`Nats-TTL: ${value}`]] as const),
      ['Sluice-Tags', [`Sluice-Tags: ${Array.from({ length: 65 }, (_, index) => `t${index}`).join(',')}`]],
      ['Sluice-Tags', [`Sluice-Tags: ok,${'x'.repeat(129)}`]],
      ['Sluice-Tags', ['Sluice-Tags: a\u0007b']],
    ];
    for (const [reason, lines] of cases) {
      assert.deepEqual(decode(withFields(...lines)), { type: 'entry.unreadable', key: 'key', reason }, lines.join());
    }
  });

  it('may have tags with spaces around them and empty ones between', () => {
    const event = decode(withFields('Sluice-Tags: a, b ,, c,'));
    assert.deepEqual(event.type === 'entry.put' && event.tags, ['a', 'b', 'c']);
    const none = decode(withFields('Sluice-Tags:  ,'));
    assert.deepEqual(none.type === 'entry.put' && none.tags, []);
  });

  it('is put without its content type when that could not stand in an HTTP header', () => {
    for (const type of ['text/\u0001', 'ü', 'a'.repeat(257), '', 'a\nb']) {
      assert.deepEqual(decode(withFields(`Sluice-Type: ${type}`)), barePut(), type);
    }
  });

  it('expires by the first of its own expiry and the age limit of the stream', () => {
    const short: BucketContext = { subjects, log: { maxAgeMs: 5_000 } };
    assert.deepEqual(decode(foreign(undefined), short), barePut(atMs + 5_000));
    assert.deepEqual(decode(withFields(`Sluice-Expires: ${atMs + 4_000}`), short), barePut(atMs + 4_000));
    assert.deepEqual(decode(withFields(`Sluice-Expires: ${atMs + 6_000}`), short), barePut(atMs + 5_000));
    assert.deepEqual(decode(withFields('Nats-TTL: 3'), short), barePut(atMs + 3_000));
    assert.deepEqual(decode(withFields('Nats-TTL: 1h'), short), barePut(atMs + 5_000));
    assert.deepEqual(decode(withFields('Nats-TTL: never'), short), barePut());
    assert.deepEqual(decode(withFields('Nats-TTL: 1h')), barePut(atMs + 3_600_000));
  });

  it('obeys Sluice-Expires before Nats-TTL, which only bounds the message', () => {
    assert.deepEqual(decode(withFields('Nats-TTL: 1', `Sluice-Expires: ${atMs + 9_000}`)), barePut(atMs + 9_000));
  });

  it('is foreign when its subject is no key, clear or tag of this bucket', () => {
    const strangers = ['$KV.other.key', '$KV.demo', 'sluice.bucket.demo.clear.x', 'sluice.bucket.demo', 'x', ''];
    for (const subject of [...strangers, 'sluice.bucket.demo.tag', 'sluice.bucket.demo-1.clear', '$kv.demo.key']) {
      assert.deepEqual(decode(bareAt(subject)), { type: 'foreign', reason: 'subject' }, subject);
    }
    for (const token of ['', '=41', 'a..b', `=sha256-${'0'.repeat(64)}`]) {
      assert.deepEqual(decode(foreign(undefined, token)), { type: 'foreign', reason: 'key token' }, token);
      const subject = `sluice.bucket.demo.tag.${token}`;
      assert.deepEqual(decode(bareAt(subject)), { type: 'foreign', reason: 'tag token' }, token);
    }
  });

  it('never throws for a header that is cut off at any byte', () => {
    const put = {
      ...plain,
      expiresAtMs: 1_700_000_000_123,
      tags: ['é', 'b'],
      contentType: 'a/b',
      basis: 5,
      natsTtlMs: 5,
    };
    const key = '日'.repeat(100);
    for (const write of [encodePut(subjects, key, bytes('v'), put), encodeDelete(subjects, 'k', 'n', 1)]) {
      const header = encodeHeader(write.fields);
      for (let length = 0; length <= header.length; length += 1) {
        const { subject, data } = write;
        const event = decode(recordOf({ position: 7, atMs, subject, header: header.subarray(0, length), data }));
        assert.match(event.type, /^(entry\.(put|deleted|unreadable)|foreign)$/);
      }
    }
  });

  it('never throws for any subject, header and body', () => {
    const lines = fc.array(
      fc.tuple(
        fc.constantFrom('KV-Operation', 'Sluice-Expires', 'Sluice-Tags', 'Sluice-Basis', 'Nats-TTL', 'Sluice-Key', 'X'),
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('DEL', 'PUT', '1', 'never', '=41', ',')),
      ),
    );
    const header = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      lines.map((all) =>
        Buffer.from(`NATS/1.0\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
      ),
      fc.constant(undefined),
    );
    const subject = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'a.=3AF0') }).map((token) => `$KV.demo.${token}`),
      fc.string({ unit: fc.constantFrom(...'a.=3AF0') }).map((token) => `sluice.bucket.demo.tag.${token}`),
    );
    fc.assert(
      fc.property(
        subject,
        header,
        fc.uint8Array(),
        fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat()),
        (...given) => {
          const [name, head, data, maxAgeMs] = given;
          const event = decode(recordOf({ position: 1, atMs, subject: name, header: head, data }), {
            subjects,
            log: { maxAgeMs },
          });
          if (event.type === 'entry.put') assert.ok(event.expiresAtMs >= 0 && Buffer.compare(event.value, data) === 0);
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

describe('the validation of what stands in headers', () => {
  const isRefused = (act: () => unknown): boolean => {
    try {
      act();
      return false;
    } catch (error) {
      assert.ok(isSluiceError(error, 'bad-request'));
      return true;
    }
  };

  it('takes tags of up to 128 bytes and gives each once', () => {
    assert.deepEqual(validateTags(['b', 'a', 'b', 'x y']), ['b', 'a', 'x y']);
    assert.deepEqual(validateTags(['é'.repeat(64)]), ['é'.repeat(64)]);
    assert.deepEqual(validateTags([]), []);
  });

  it('refuses tags that would not come back from a header', () => {
    for (const tag of ['', ' a', 'a ', 'a,b', 'a\r\nb', '\u0000', 'a\u007f', '\ud800', 'é'.repeat(65), '\u00a0']) {
      assert.ok(
        isRefused(() => validateTags([tag])),
        JSON.stringify(tag),
      );
    }
    assert.ok(isRefused(() => validateTags(Array.from({ length: 65 }, (_, index) => `t${index}`))));
  });

  it('takes content types of printable ASCII only', () => {
    for (const type of ['text/plain', 'text/html; charset=utf-8', 'x', 'a'.repeat(256)]) {
      assert.equal(validateContentType(type), type);
    }
    for (const type of ['', ' a', 'a ', 'a\r\nX: y', 'ü/x', 'a'.repeat(257)]) {
      assert.ok(
        isRefused(() => validateContentType(type)),
        JSON.stringify(type),
      );
    }
  });
});
