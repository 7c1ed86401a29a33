/** What the log delivers: keys, header blocks, messages of a bucket, control events, their folds, checkpoints, durations. */
import { createHash } from 'node:crypto';
import { type ControlEvent, decodeControlRecord, encodeControlEvent } from '../../../src/events/control.ts';
import { parseNatsTtl } from '../../../src/events/duration.ts';
import {
  type BucketEvent,
  decodeBucketRecord,
  encodeDelete,
  encodePut,
  encodeTagInvalidation,
  validateContentType,
  validateTags,
} from '../../../src/events/entry.ts';
import { encodeHeader, headerNames, headerText, readField } from '../../../src/events/header.ts';
import { createHeaderScan } from '../../../src/events/header-scan.ts';
import { decodeKey, encodeKey, keyBytesMax, validateKey } from '../../../src/events/key.ts';
import { type LogRecord, type LogWrite, recordOf } from '../../../src/events/record.ts';
import { bucketSubjects } from '../../../src/events/subjects.ts';
import { decodeCheckpoint, encodeCheckpoint, isRefusedCheckpoint } from '../../../src/state/checkpoint.ts';
import { controlReducer, initControl } from '../../../src/state/control.ts';
import { aliveCount, aliveMembersMax, endedIncarnationsMax, leftMembersMax } from '../../../src/state/members.ts';
import { type FuzzTarget, promise, promiseCount, promiseSame, splitLines, unlessRefused } from '../target.ts';

const subjects = bucketSubjects('sluice', 'demo');
const context = { subjects, log: { maxAgeMs: Number.POSITIVE_INFINITY } };
const atMs = 1_800_000_000_000;
const names = Object.values(headerNames);
const headerWords = [
  ...names.map((name) => `${name}: `),
  '\r\n',
  'NATS/1.0\r\n',
  ':',
  ' ',
  '\t',
  '\v',
  '\u00a0',
  '\ufeff',
];

const keys: FuzzTarget = {
  name: 'keys',
  promise: 'a key and its token are one to one, and a token of no key is no key',
  dictionary: ['=sha256-', '=41', '=2E', '=00', '=FF', '=ED=A0=80', '_kv', '..', '.', '\u{1F600}', '\ufeff', '%'],
  cases: 8_000,
  run(bytes) {
    const [token = '', escaped] = splitLines(bytes, 2);
    const key = decodeKey(token, escaped);
    if (key !== undefined) {
      promiseSame(validateKey(key), key, 'the key');
      promiseSame(encodeKey(key).token, token, 'the token of the decoded key');
    }
    const text = unlessRefused(() => validateKey(bytes.toString('utf8')));
    if (text === undefined) return;
    const made = encodeKey(text);
    promiseSame(decodeKey(made.token, made.escaped), text, 'the key read again');
    promise(/^[-/_=.a-zA-Z0-9]+$/.test(made.token), () => `token ${made.token}`);
    promise(!/^\.|\.\.|\.$/.test(made.token), () => `token ${made.token} has an empty part`);
    promise(made.token.length <= keyBytesMax, () => `token of ${made.token.length} characters`);
  },
};

const scan = createHeaderScan(names);

const headers: FuzzTarget = {
  name: 'headers',
  promise: 'the fast scan of a header block finds what the plain reading finds',
  dictionary: headerWords,
  cases: 8_000,
  run(bytes) {
    // As in a message, where the body follows.
    scan.read(Buffer.concat([bytes, Buffer.from('\r\nSluice-Tags: body\r\n\r\n')]), bytes.length);
    const text = headerText(bytes);
    const isPlain = bytes.every((byte) => byte < 0x80);
    for (const [field, name] of names.entries()) {
      const plain = readField(text, name);
      promiseSame(scan.has(field), plain !== undefined, `${name} is there`);
      promiseSame(scan.text(field), plain, name);
      const count = scan.count(field);
      if (count !== undefined) promiseCount(count, name);
      // Only text takes spaces beyond those of ASCII away.
      if (plain !== undefined && /^\d{1,15}$/.test(plain) && isPlain)
        promiseSame(count, Number(plain), `${name} as a number`);
    }
  },
};

/** `subject LF header block CRLF CRLF body`: a message as bytes. */
function toRecord(bytes: Buffer, position = 7): LogRecord {
  const lineEnd = bytes.indexOf(0x0a);
  const subject = bytes.toString('utf8', 0, lineEnd < 0 ? bytes.length : lineEnd);
  const rest = lineEnd < 0 ? Buffer.alloc(0) : bytes.subarray(lineEnd + 1);
  const headerEnd = rest.indexOf('\r\n\r\n');
  const header = headerEnd < 0 ? undefined : rest.subarray(0, headerEnd + 4);
  return recordOf({ position, atMs, subject, header, data: headerEnd < 0 ? rest : rest.subarray(headerEnd + 4) });
}

function readBack(write: LogWrite): BucketEvent {
  const { subject, fields, data } = write;
  return decodeBucketRecord(context, recordOf({ position: 7, atMs, subject, header: encodeHeader(fields), data }));
}

const entries: FuzzTarget = {
  name: 'entries',
  promise: 'a message of a bucket is an event within its bounds that can be written again, or a counted reason',
  dictionary: [
    ...headerWords,
    '$KV.demo.',
    'sluice.bucket.demo.clear',
    'sluice.bucket.demo.tag.',
    'DEL',
    'PURGE',
    'never',
    '1h30m',
    '99999999999999999999h',
    '=sha256-',
    ',',
  ],
  cases: 8_000,
  run(bytes) {
    const event = decodeBucketRecord(context, toRecord(bytes));
    if (event.type === 'entry.put') {
      const { type: _, key, value, ...fields } = event;
      validateKey(key);
      if (fields.tags !== undefined) validateTags(fields.tags);
      if (fields.contentType !== undefined) validateContentType(fields.contentType);
      if (fields.basis !== undefined) promiseCount(fields.basis, 'basis');
      if (fields.expiresAtMs !== Number.POSITIVE_INFINITY)
        promiseCount(Math.ceil(fields.expiresAtMs), 'expiry', 0, Number.MAX_SAFE_INTEGER - 1);
      const again = readBack(encodePut(subjects, key, value, { ...fields, origin: 'fuzz', natsTtlMs: undefined }));
      const tags = fields.tags?.length === 0 ? undefined : fields.tags;
      promiseSame(again, { ...event, tags, expiresAtMs: Math.ceil(fields.expiresAtMs) }, 'the put read again');
    } else if (event.type === 'entry.deleted') {
      promiseSame(readBack(encodeDelete(subjects, validateKey(event.key), 'fuzz')), event, 'the delete read again');
    } else if (event.type === 'tag.invalidated') {
      promiseSame(readBack(encodeTagInvalidation(subjects, event.tag, 'fuzz')), event, 'the tag read again');
    } else if (event.type === 'entry.unreadable') {
      validateKey(event.key);
      promise(event.reason.length <= 100, () => `reason of ${event.reason.length} characters`);
    }
  },
};

const controlWords = [
  'sluice.member.node-1.a1.joined',
  'sluice.member.node-1.a1.left',
  'sluice.cache.demo.declared',
  'sluice.cache.demo.dropped',
  'sluice.lease.controller.1',
  'sluice.command.start',
  'sluice.outcome.node-1',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '"settings"',
  '"partitions"',
  '"ttlMs"',
  'timeout',
  'drop-oldest',
  '\u0000',
];

function isReadable(event: ControlEvent): event is Exclude<ControlEvent, { type: `control.${string}` }> {
  return event.type !== 'control.unreadable' && event.type !== 'control.unknown';
}

const controlEvents: FuzzTarget = {
  name: 'control-events',
  promise: 'a control event is readable and can be written again, or unreadable with a short reason',
  dictionary: controlWords,
  cases: 6_000,
  run(bytes) {
    const { event } = decodeControlRecord('sluice', toRecord(bytes));
    if (event.type === 'control.unreadable')
      promise(event.reason.length <= 4_096, () => `long reason: ${event.reason}`);
    if (!isReadable(event)) return;
    const { subject, data } = encodeControlEvent('sluice', event);
    const again = decodeControlRecord('sluice', recordOf({ position: 7, atMs, subject, header: undefined, data }));
    promiseSame(again.event, event, 'the event read again');
  },
};

const controlState: FuzzTarget = {
  name: 'control-state',
  promise: 'whatever a control log says, its fold is bounded, the same twice, and survives a checkpoint',
  dictionary: controlWords,
  cases: 1_000,
  run(bytes) {
    const lines = bytes.toString('latin1').split('\n');
    const fold = (): ReturnType<typeof initControl> => {
      const state = initControl();
      for (const [index, line] of lines.entries()) {
        const record = toRecord(Buffer.from(line.replace(' ', '\n'), 'latin1'), index + 1);
        controlReducer.apply(state, decodeControlRecord('sluice', record));
      }
      return state;
    };
    const state = fold();
    const { members } = state;
    promise(aliveCount(members) <= aliveMembersMax, () => 'too many live members');
    promise(members.leftNodes.size <= leftMembersMax, () => 'too many members that left');
    promise(members.ended.size <= endedIncarnationsMax, () => 'too many ended lives');
    promiseCount(members.epoch, 'epoch', 0, lines.length);
    const checkpoint = Buffer.from(encodeCheckpoint(state, lines.length));
    promise(checkpoint.equals(encodeCheckpoint(fold(), lines.length)), () => 'two folds of one log differ');
    const read = decodeCheckpoint(checkpoint);
    if (isRefusedCheckpoint(read)) throw new Error(`own checkpoint refused: ${read.refused}`);
    promiseSame(read.state, state, 'the state from the checkpoint');
  },
};

const checkpoints: FuzzTarget = {
  name: 'checkpoints',
  promise: 'a checkpoint is used as it stands or refused, also when its checksum is right',
  dictionary: [
    ...controlWords,
    '"members"',
    '"ended"',
    '"leases"',
    '"ignored"',
    '"position"',
    '"count"',
    '[',
    ']',
    ',',
  ],
  cases: 8_000,
  run(bytes) {
    const body = bytes.subarray(bytes.indexOf(0x0a) + 1);
    const checksum = createHash('sha256').update(body).digest('hex');
    const sound = Buffer.concat([Buffer.from(`sluice-checkpoint ${controlReducer.version} ${checksum}\n`), body]);
    for (const data of [bytes, sound]) {
      const read = decodeCheckpoint(data);
      if (isRefusedCheckpoint(read)) continue;
      promiseCount(read.position, 'position');
      promise(data.equals(encodeCheckpoint(read.state, read.position)), () => 'is not what would be written');
    }
  },
};

const ttls: FuzzTarget = {
  name: 'ttls',
  promise: 'the time to live of a message is a finite number of milliseconds, for ever, or none',
  dictionary: [
    '1h30m',
    'never',
    'NEVER',
    '1.5s',
    '.5m',
    '+1h',
    '99999999999999999999',
    'ns',
    'us',
    '\u00b5s',
    '\u03bcs',
  ],
  cases: 8_000,
  run(bytes) {
    const ttlMs = parseNatsTtl(bytes.toString('utf8'));
    promise(ttlMs === undefined || ttlMs >= 0, () => `ttl ${ttlMs}`);
    promise(ttlMs !== Number.POSITIVE_INFINITY || bytes.length === 5, () => 'for ever, without saying so');
  },
};

export const eventTargets: readonly FuzzTarget[] = [
  keys,
  headers,
  entries,
  controlEvents,
  controlState,
  checkpoints,
  ttls,
];
