/** What other processes send over plain NATS: places of delivered messages, answers of the server, pulses, requests and answers of nodes. */
import type { Msg } from '@nats-io/nats-core';
import {
  decodePeerAnswer,
  decodePeerRequest,
  encodePeerBody,
  type PeerVerb,
  peerRequests,
} from '../../../src/cluster/peer-protocol.ts';
import { errorTable, isSluiceError } from '../../../src/errors.ts';
import { decodePulse, encodePulse, isRefused, mergeReady, readyPartitions } from '../../../src/membership/pulse.ts';
import { type Delivery, parseAckSubject } from '../../../src/nats/wire/ack-subject.ts';
import { rawNumber, rawStatus } from '../../../src/nats/wire/raw-message.ts';
import { readPublishAnswer } from '../../../src/nats/writing/answer.ts';
import { type FuzzTarget, promise, promiseCount, promiseSame, unlessRefused } from '../target.ts';

const deliveries: FuzzTarget = {
  name: 'deliveries',
  promise: 'the place of a delivered message is four exact numbers, or it has none',
  dictionary: ['$JS.ACK.', '.', '1', '0', '1700000000000000000', '9007199254740993', '18446744073709551615'],
  cases: 12_000,
  run(bytes) {
    const delivery: Delivery = { position: 0, ordinal: 0, atMs: 0, pending: 0 };
    if (!parseAckSubject(bytes, delivery)) return;
    for (const [name, value] of Object.entries(delivery)) promiseCount(value, name);
  },
};

/** A message as the driver makes it, as far as the code under test looks at it: header block, body. */
function toMessage(header: Buffer, data: Buffer): Msg {
  return {
    _msg: { subject: Buffer.from('inbox.x.17'), hdr: header.length },
    _rdata: Buffer.concat([header, data]),
    data,
    string: () => data.toString('utf8'),
  } as unknown as Msg;
}

const answers: FuzzTarget = {
  name: 'answers',
  promise: 'an answer to a publish is an acknowledgement with an exact position, or a reason in words',
  dictionary: [
    '{"stream":"S","seq":',
    '"error":',
    '"err_code":',
    '"description":',
    'null',
    '10071',
    '503',
    'NATS/1.0 503\r\n\r\n',
  ],
  cases: 8_000,
  run(bytes) {
    const headerEnd = bytes.indexOf('\r\n\r\n');
    const [header, data] =
      headerEnd < 0 ? [Buffer.alloc(0), bytes] : [bytes.subarray(0, headerEnd + 4), bytes.subarray(headerEnd + 4)];
    const answer = readPublishAnswer(toMessage(header, data));
    if (answer.kind === 'stored') promiseCount(answer.position, 'position', 1);
    else promise(answer.reason.length <= 1_024, () => `reason of ${answer.reason.length} characters`);
    if (answer.kind === 'refused') promise(Object.hasOwn(errorTable, answer.code), () => `code ${answer.code}`);
    rawStatus(bytes);
    const subject = { _msg: { subject: bytes, hdr: 0 }, subject: bytes.toString('latin1') } as unknown as Msg;
    const number = rawNumber(subject, 0);
    promise(Number.isNaN(number) || (Number.isSafeInteger(number) && number >= 0), () => `token ${number}`);
  },
};

const verbs = Object.keys(peerRequests) as PeerVerb[];

const peerRequestsTarget: FuzzTarget = {
  name: 'peer-requests',
  promise: 'a request of another node is readable and can be sent again, or refused with a short reason',
  dictionary: [
    '"cache":"demo"',
    '"partition":',
    '"key":',
    '"epoch":',
    '"positions":[[0,1]]',
    '"waitMs":',
    '"limit":',
    '__proto__',
    '\n',
  ],
  cases: 8_000,
  run(bytes) {
    for (const verb of verbs) {
      const request = unlessRefused(() => decodePeerRequest(verb, bytes));
      if (request === undefined) continue;
      promiseSame(decodePeerRequest(verb, encodePeerBody(request)), request, `${verb} read again`);
    }
  },
};

const peerAnswersTarget: FuzzTarget = {
  name: 'peer-answers',
  promise: 'an answer of another node is readable, or an error with a code of ours',
  dictionary: [
    '"error":',
    '"code":',
    '"message":',
    '"toString"',
    '"constructor"',
    '"__proto__"',
    '"stale"',
    '"found":',
    '"keys":',
    '\n',
  ],
  cases: 8_000,
  run(bytes) {
    for (const verb of verbs) {
      try {
        const { fields } = decodePeerAnswer(verb, bytes);
        promiseSame(decodePeerAnswer(verb, encodePeerBody(fields)).fields, fields, `${verb} read again`);
      } catch (error) {
        if (!isSluiceError(error)) throw error;
        promise(Object.hasOwn(errorTable, error.code), () => `code ${error.code}`);
        promise(typeof error.retryable === 'boolean', () => `code ${error.code} has no meaning`);
      }
    }
  },
};

const pulses: FuzzTarget = {
  name: 'pulses',
  promise: 'a pulse is readable and can be sent again, or refused',
  dictionary: [
    '"v":1',
    '"node":',
    '"incarnation":',
    '"ready":',
    '"demo":"0-3"',
    '0-1023',
    '"omitted":',
    '"lagMs":',
    '__proto__',
    'ready',
  ],
  cases: 6_000,
  run(bytes) {
    const pulse = decodePulse(bytes);
    if (isRefused(pulse)) return;
    for (const cache of [...Object.keys(pulse.ready), 'constructor', '__proto__'])
      for (const partition of readyPartitions(pulse, cache)) promiseCount(partition, 'partition', 0, 1_023);
    mergeReady(pulse, { ...pulse, omitted: 3 });
    const encoded = unlessRefused(() => encodePulse(pulse));
    if (encoded === undefined) return;
    const again = decodePulse(encoded);
    promise(!isRefused(again), () => `own pulse refused: ${JSON.stringify(again)}`);
    if (pulse.omitted === undefined) promiseSame(again, pulse, 'the pulse read again');
  },
};

export const wireTargets: readonly FuzzTarget[] = [deliveries, answers, peerRequestsTarget, peerAnswersTarget, pulses];
