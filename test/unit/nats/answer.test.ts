import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Msg } from '@nats-io/nats-core';
import { readPublishAnswer } from '../../../src/nats/writing/answer.ts';

/** A message as the driver makes it, as far as the code under test looks at it. */
function messageOf(body: string, header = ''): Msg {
  const block = Buffer.from(header);
  const data = Buffer.from(body);
  return {
    _msg: { subject: Buffer.from('inbox'), hdr: block.length },
    _rdata: Buffer.concat([block, data]),
    data,
    string: () => body,
  } as unknown as Msg;
}

const refusal = (errCode: number, description: string, code = 400): Msg =>
  messageOf(JSON.stringify({ error: { code, err_code: errCode, description }, stream: 'S', seq: 0 }));

/** Kind, and the fact that matters for it. */
function gist(message: Msg): readonly unknown[] {
  const answer = readPublishAnswer(message);
  switch (answer.kind) {
    case 'stored':
      return [answer.kind, answer.position, answer.isDuplicate];
    case 'again':
      return [answer.kind, answer.mayBeStored];
    case 'conflict':
      return [answer.kind, answer.isPassing];
    case 'refused':
      return [answer.kind, answer.code];
  }
}

describe('an answer to a publish', () => {
  it('is an acknowledgement with its position', () => {
    assert.deepEqual(gist(messageOf('{"stream":"S","seq":17}')), ['stored', 17, false]);
    assert.deepEqual(gist(messageOf('{"stream":"S","domain":"d","seq":17,"duplicate":true}')), ['stored', 17, true]);
  });

  it('is nothing to rely on when nobody listened, or when it is no acknowledgement', () => {
    assert.deepEqual(gist(messageOf('', 'NATS/1.0 503\r\n\r\n')), ['again', false]);
    assert.deepEqual(gist(messageOf('')), ['again', true]);
    assert.deepEqual(gist(messageOf('', 'NATS/1.0 408 Request Timeout\r\n\r\n')), ['again', true]);
    for (const body of [
      '{"error":null}',
      '{"error":7}',
      '{"seq":0}',
      '{"seq":1.5}',
      '{"seq":1e400}',
      '{"stream":"S","seq":0}',
    ])
      assert.deepEqual(gist(messageOf(body)), ['again', true], body);
    for (const body of ['+OK', 'null', '[]', '{}', '"17"', '17', '{"seq":"17"}', '{"seq":']) {
      assert.deepEqual(gist(messageOf(body)), ['again', true], body);
    }
  });

  const cases: readonly [Msg, readonly unknown[]][] = [
    [refusal(10071, 'wrong last sequence: 4'), ['conflict', false]],
    [refusal(10164, 'wrong last sequence'), ['conflict', true]],
    [refusal(10077, 'maximum messages exceeded', 503), ['refused', 'log-full']],
    [refusal(10077, 'maximum bytes exceeded', 503), ['refused', 'log-full']],
    [refusal(10077, 'maximum messages per subject exceeded', 503), ['refused', 'log-full']],
    [refusal(10077, 'write /data/msgs/1.blk: no space left on device', 503), ['refused', 'log-full']],
    [refusal(10077, 'store is closed', 503), ['again', true]],
    [refusal(10047, 'insufficient storage resources available', 500), ['refused', 'log-full']],
    [refusal(10023, 'insufficient resources', 503), ['refused', 'log-full']],
    [refusal(10028, 'insufficient memory resources available', 500), ['refused', 'log-full']],
    [refusal(10002, 'resource limits exceeded for account'), ['refused', 'log-full']],
    [refusal(10054, 'message size exceeds maximum allowed'), ['refused', 'too-large']],
    [refusal(10097, 'header size exceeds maximum allowed of 64k'), ['refused', 'too-large']],
    [refusal(10158, 'duplicate message id is in process', 409), ['again', true]],
    [refusal(10008, 'JetStream system temporarily unavailable', 503), ['again', false]],
    [refusal(10118, 'stream is offline', 500), ['again', false]],
    [refusal(10163, 'expected last sequence per subject temporarily unavailable', 503), ['again', false]],
    [refusal(10167, 'too many requests', 429), ['again', false]],
    [refusal(10039, 'JetStream not enabled for account', 503), ['again', false]],
    [refusal(10109, 'invalid operation on sealed stream'), ['refused', 'unsupported']],
    [refusal(10165, 'invalid per-message TTL'), ['refused', 'unsupported']],
    [refusal(99_999, 'an error of a later version'), ['refused', 'unsupported']],
    [messageOf('{"error":{}}'), ['refused', 'unsupported']],
    [messageOf('{"error":{"code":"x","err_code":{},"description":{"toString":1}}}'), ['refused', 'unsupported']],
  ];
  for (const [message, expected] of cases) {
    it(`is judged by the server's number: ${message.string().slice(0, 80)}`, () => {
      assert.deepEqual(gist(message), expected);
    });
  }
});
