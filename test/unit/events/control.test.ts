/** Events of the control plane: their messages, every way in which a body may be bad, and subjects of later versions. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isSluiceError } from '../../../src/errors.ts';
import {
  type CacheDeclaration,
  type ControlEvent,
  decodeControlRecord,
  encodeControlEvent,
  readCacheDeclaration,
  type WritableControlEvent,
} from '../../../src/events/control.ts';
import { recordOf } from '../../../src/events/record.ts';
import {
  bucketName,
  bucketNames,
  bucketStreamName,
  bucketSubjects,
  controlStreamName,
  controlSubjects,
  statisticsStreamName,
} from '../../../src/events/subjects.ts';

const settings: CacheDeclaration = {
  partitions: 16,
  replicas: 3,
  logReplicas: 1,
  entriesMax: 1_000,
  bytesMax: 2_000,
  ttlMs: 3_000,
  valueBytesMax: 4_000,
  logBytesMax: 5_000,
  whenFull: 'refuse',
};

/** One of each type, with another value in each field; subject and body as any language would write them. */
const golden: readonly (readonly [event: WritableControlEvent, subject: string, body: unknown])[] = [
  [
    {
      type: 'member.joined',
      node: 'node-1',
      incarnation: 'inc2',
      http: 'http://127.0.0.1:7401',
      region: 'eu',
      mac: '02:00:00:00:00:01',
      ip: '10.0.0.1',
      version: '0.1.0',
      pid: 77,
    },
    'sluice.member.node-1.inc2.joined',
    {
      http: 'http://127.0.0.1:7401',
      region: 'eu',
      mac: '02:00:00:00:00:01',
      ip: '10.0.0.1',
      version: '0.1.0',
      pid: 77,
    },
  ],
  [
    { type: 'member.left', node: 'node-1', incarnation: 'inc2', reason: 'timeout', by: 'node-3' },
    'sluice.member.node-1.inc2.left',
    { reason: 'timeout', by: 'node-3' },
  ],
  [
    { type: 'cache.declared', cache: 'demo', settings, by: 'ann' },
    'sluice.cache.demo.declared',
    { settings, by: 'ann' },
  ],
  [{ type: 'cache.dropped', cache: 'demo', by: 'bob' }, 'sluice.cache.demo.dropped', { by: 'bob' }],
  [
    { type: 'lease.held', role: 'controller', epoch: 9, holder: 'c-1', durationMs: 15_000 },
    'sluice.lease.controller.9',
    { holder: 'c-1', durationMs: 15_000 },
  ],
  [
    { type: 'command.issued', verb: 'start', body: { expr: 'example.com', 'node-id': '*', later: [1] } },
    'sluice.command.start',
    { expr: 'example.com', 'node-id': '*', later: [1] },
  ],
  [
    { type: 'outcome.reported', node: 'node-2', command: 41, ok: false, code: 'stale', message: 'too old' },
    'sluice.outcome.node-2',
    { command: 41, ok: false, code: 'stale', message: 'too old' },
  ],
];

const decodeBytes = (subject: string, data: Uint8Array): ControlEvent =>
  decodeControlRecord('sluice', recordOf({ position: 3, atMs: 5, subject, header: undefined, data })).event;
const decode = (subject: string, body: unknown): ControlEvent =>
  decodeBytes(subject, Buffer.from(JSON.stringify(body)));

describe('a control event', () => {
  it('is written with that subject and that body, and read back', () => {
    for (const [event, subject, body] of golden) {
      const write = encodeControlEvent('sluice', event);
      assert.equal(write.subject, subject);
      assert.equal(write.fields, '');
      assert.deepEqual(JSON.parse(Buffer.from(write.data).toString()), body);
      assert.deepEqual(decodeBytes(write.subject, write.data), event);
    }
  });

  it('is read with its position and time', () => {
    const record = { position: 12, atMs: 34, subject: 'sluice.cache.demo.dropped', header: undefined };
    assert.deepEqual(decodeControlRecord('sluice', recordOf({ ...record, data: Buffer.from('{}') })), {
      event: { type: 'cache.dropped', cache: 'demo' },
      position: 12,
      atMs: 34,
    });
  });

  it('is covered for every type there is', () => {
    const types: Record<WritableControlEvent['type'], true> = {
      'member.joined': true,
      'member.left': true,
      'cache.declared': true,
      'cache.dropped': true,
      'lease.held': true,
      'command.issued': true,
      'outcome.reported': true,
    };
    assert.deepEqual(new Set(golden.map(([event]) => event.type)), new Set(Object.keys(types)));
  });

  it('ignores fields of later versions, and no field of the body replaces a name of the subject', () => {
    for (const [event, subject, body] of golden) {
      if (event.type === 'command.issued') continue;
      const later = {
        ...(body as object),
        later: { deep: [1] },
        type: 'x',
        node: 'x',
        incarnation: 'x',
        role: 'x',
        epoch: 1,
      };
      const written = { ...later, cache: 'x' };
      assert.deepEqual(decode(subject, written), event);
    }
  });

  it('may lack the fields that are optional', () => {
    assert.deepEqual(decode('sluice.member.n.i.joined', { version: '1' }), {
      type: 'member.joined',
      node: 'n',
      incarnation: 'i',
      version: '1',
    });
    assert.deepEqual(decode('sluice.command.stop', { expr: '*' }), {
      type: 'command.issued',
      verb: 'stop',
      body: { expr: '*' },
    });
    assert.deepEqual(decode('sluice.outcome.n', { command: 1, ok: true }), {
      type: 'outcome.reported',
      node: 'n',
      command: 1,
      ok: true,
    });
  });
});

describe('a bad body', () => {
  const reasonOf = (event: ControlEvent): string => {
    assert.equal(event.type, 'control.unreadable', JSON.stringify(event));
    return event.type === 'control.unreadable' ? event.reason : '';
  };

  it('is unreadable with the subject when it is not JSON', () => {
    const whole = Buffer.from('{"by":"é"}');
    const texts = ['', '{', 'null x', '{"by":1', "{'by':1}", 'undefined', 'NaN', '\u0000'].map((text) =>
      Buffer.from(text),
    );
    for (const data of [...texts, whole.subarray(0, 8), Buffer.from([0xff, 0xfe]), Buffer.alloc(300_000, ' ')]) {
      assert.deepEqual(decodeBytes('sluice.cache.demo.dropped', data), {
        type: 'control.unreadable',
        subject: 'sluice.cache.demo.dropped',
        reason: 'body: is not JSON',
      });
    }
    assert.equal(decodeBytes('sluice.cache.demo.dropped', whole).type, 'cache.dropped');
  });

  it('is unreadable when it is JSON, but no object', () => {
    for (const [, subject] of golden) {
      for (const body of [null, 1, 'text', true, [], [{}]]) assert.match(reasonOf(decode(subject, body)), /^body: /);
    }
  });

  it('is unreadable, naming the field, when one field is missing or of another kind', () => {
    const optional = new Set(['http', 'region', 'mac', 'ip', 'pid', 'code', 'message', 'node-id', 'later']);
    for (const [event, subject, body] of golden) {
      const fields = body as Readonly<Record<string, unknown>>;
      for (const name of Object.keys(fields)) {
        if (name === 'later') continue;
        const { [name]: _, ...without } = fields;
        const isOptional = optional.has(name) || (name === 'by' && event.type.startsWith('cache.'));
        assert.equal(
          decode(subject, without).type,
          isOptional ? event.type : 'control.unreadable',
          `${subject} ${name}`,
        );
        for (const wrong of [null, {}, [], 'x'.repeat(1_025)]) {
          assert.ok(
            reasonOf(decode(subject, { ...fields, [name]: wrong })).startsWith(`${name}`),
            `${subject} ${name}`,
          );
        }
      }
    }
  });

  it('is unreadable when a number or a choice is out of range', () => {
    const cases: readonly (readonly [subject: string, body: unknown, field: string])[] = [
      ['sluice.member.n.i.left', { reason: 'bored', by: 'x' }, 'reason'],
      ['sluice.member.n.i.joined', { version: '1', pid: 0 }, 'pid'],
      ['sluice.member.n.i.joined', { version: '1', pid: 1.5 }, 'pid'],
      ['sluice.lease.r.1', { holder: 'a.b', durationMs: 1 }, 'holder'],
      ['sluice.lease.r.1', { holder: 'a', durationMs: 0 }, 'durationMs'],
      ['sluice.lease.r.1', { holder: 'a', durationMs: 3_600_001 }, 'durationMs'],
      ['sluice.outcome.n', { command: -1, ok: true }, 'command'],
      ['sluice.outcome.n', { command: 1, ok: 'yes' }, 'ok'],
      ...(
        [
          ['partitions', 0],
          ['partitions', 1_025],
          ['partitions', 2 ** 53],
          ['replicas', 'some'],
          ['replicas', 0],
          ['logReplicas', 6],
          ['entriesMax', 0],
          ['bytesMax', 0.5],
          ['ttlMs', 0],
          ['ttlMs', '3s'],
          ['valueBytesMax', -1],
          ['logBytesMax', 0],
          ['whenFull', 'panic'],
        ] as const
      ).map(([name, value]) => {
        const body = { settings: { ...settings, [name]: value } };
        return ['sluice.cache.c.declared', body, `settings.${name}`] as const;
      }),
    ];
    for (const [subject, body, field] of cases) {
      assert.ok(reasonOf(decode(subject, body)).startsWith(`${field}: `), `${field} ${JSON.stringify(body)}`);
    }
  });

  it('never throws, whatever it is', () => {
    const subject = fc.oneof(
      fc.constantFrom(...golden.map(([, name]) => name)),
      fc.string().map((text) => `sluice.${text}`),
      fc
        .array(fc.constantFrom('member', 'cache', 'lease', 'n', 'joined', 'declared', '1', ''), { maxLength: 6 })
        .map((tokens) => ['sluice', ...tokens].join('.')),
    );
    const body = fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.constant(Buffer.from('{"__proto__":{"expr":"*"},"expr":"*","constructor":1}')),
      fc.uint8Array(),
    );
    fc.assert(
      fc.property(subject, body, (name, data) => {
        const { type } = decodeBytes(name, data);
        assert.match(type, /^[a-z]+\.[a-z]+$/);
      }),
      { numRuns: 2_000 },
    );
    assert.equal(Object.hasOwn(Object.prototype, 'expr'), false);
  });

  it('of a huge number of levels is no reason to fall over', () => {
    const deep = Buffer.from(`{"expr":"*","deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    assert.match(decodeBytes('sluice.command.start', deep).type, /^(command\.issued|control\.unreadable)$/);
  });
});

describe('a subject that this version does not know', () => {
  it('is an unknown event, whatever its body', () => {
    const subjects = [
      'other.member.n.i.joined',
      'sluice',
      'sluice.',
      'sluicex.member.n.i.joined',
      'sluice.member.n.i.promoted',
      'sluice.member.n.i.joined.x',
      'sluice.member.n.i',
      'sluice.member.n..joined',
      'sluice.member.-n.i.joined',
      `sluice.member.${'n'.repeat(65)}.i.joined`,
      'sluice.cache.demo',
      'sluice.cache.demo.renamed',
      'sluice.cache.demo.declared.',
      'sluice.cache.de mo.declared',
      'sluice.cache.demo.declared.x',
      'sluice.lease.r.0',
      'sluice.lease.r.01',
      'sluice.lease.r.1x',
      'sluice.lease.r.1234567890123456',
      'sluice.lease.r',
      'sluice.lease.r.1.',
      'sluice.command.start.now',
      'sluice.command.start.',
      'sluice.command.',
      'sluice.outcome',
      'sluice.outcome.n.1',
      'sluice.flow.x',
    ];
    for (const subject of subjects) {
      assert.deepEqual(decode(subject, settings), { type: 'control.unknown', subject });
    }
  });
});

describe('the writer of control events', () => {
  it('refuses a name that would break the subject, and a body that nobody would read', () => {
    const bad: readonly WritableControlEvent[] = [
      { type: 'cache.dropped', cache: 'a.b' },
      { type: 'cache.dropped', cache: '' },
      { type: 'member.left', node: 'a b', incarnation: 'i', reason: 'timeout', by: 'x' },
      { type: 'lease.held', role: 'r', epoch: 0, holder: 'h', durationMs: 1 },
      { type: 'lease.held', role: 'r', epoch: 1e15, holder: 'h', durationMs: 1 },
      { type: 'lease.held', role: 'r', epoch: 1, holder: 'h', durationMs: 1.5 },
      { type: 'cache.declared', cache: 'c', settings: { ...settings, partitions: 0 } },
      { type: 'command.issued', verb: 'start now', body: { expr: '*' } },
      { type: 'command.issued', verb: 'start', body: { expr: 'x'.repeat(1_025) } },
      { type: 'command.issued', verb: 'start', body: { expr: '*', blob: 'x'.repeat(300_000) } },
    ];
    for (const event of bad) {
      assert.throws(
        () => encodeControlEvent('sluice', event),
        (error) => isSluiceError(error, 'bad-request'),
      );
    }
    assert.throws(() => encodeControlEvent('Not A Cluster', { type: 'cache.dropped', cache: 'c' }), RangeError);
  });

  it('writes no field that is undefined', () => {
    const write = encodeControlEvent('sluice', { type: 'cache.dropped', cache: 'c', by: undefined });
    assert.equal(Buffer.from(write.data).toString(), '{}');
  });
});

describe('names on the wire', () => {
  it('are those of the page', () => {
    assert.equal(controlStreamName('my-cluster'), 'MY-CLUSTER');
    assert.equal(statisticsStreamName('sluice'), 'SLUICE_STATS');
    assert.equal(bucketStreamName('demo-01'), 'KV_demo-01');
    assert.deepEqual(bucketNames('demo', 1), ['demo']);
    assert.deepEqual(bucketNames('demo', 3), ['demo-00', 'demo-01', 'demo-02']);
    assert.equal(bucketName('demo', 99, 100), 'demo-99');
    assert.equal(bucketName('demo', 7, 101), 'demo-007');
    assert.equal(bucketName('demo', 1_023, 1_024), 'demo-1023');
    assert.deepEqual(bucketSubjects('sluice', 'demo').all, ['$KV.demo.>', 'sluice.bucket.demo.>']);
    const subjects = controlSubjects('sluice');
    assert.equal(subjects.pulse('n'), 'sluice.pulse.n');
    assert.equal(subjects.request('n', 'rebuild'), 'sluice.request.n.rebuild');
  });

  it('lead every control event into the control stream, and no pulse or request', () => {
    const matches = (pattern: string, subject: string): boolean => {
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replace('>', '.+');
      return new RegExp(`^${source}$`).test(subject);
    };
    const subjects = controlSubjects('sluice');
    const isStored = (subject: string): boolean => subjects.all.some((pattern) => matches(pattern, subject));
    for (const [, subject] of golden) assert.ok(isStored(subject), subject);
    for (const subject of [subjects.pulse('n'), subjects.request('n', 'v')]) assert.ok(!isStored(subject), subject);
  });

  it('give the buckets of a cache different names in the order of partitions', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_024 }), (count) => {
        const names = bucketNames('c', count);
        assert.equal(new Set(names).size, count);
        assert.deepEqual([...names].sort(), names);
      }),
    );
  });
});

describe('the settings of a declaration in plain JSON', () => {
  it('are read by the same rules', () => {
    assert.deepEqual(readCacheDeclaration({ ...settings, later: 1 }), settings);
    assert.deepEqual(readCacheDeclaration({ ...settings, replicas: 'all', ttlMs: null, logBytesMax: null }), {
      ...settings,
      replicas: 'all',
      ttlMs: null,
      logBytesMax: null,
    });
    for (const bad of [undefined, null, [], {}, { ...settings, whenFull: 'x' }]) {
      assert.equal(readCacheDeclaration(bad), undefined);
    }
  });
});
