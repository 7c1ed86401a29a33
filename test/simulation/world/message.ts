/** Messages on the simulated wire, and how the driver shows them to its callers. */
import type { Msg } from '@nats-io/nats-core';

export interface WireMessage {
  /** What the receiver sees as the subject. */
  readonly subject: string;
  readonly reply?: string | undefined;
  readonly header?: Uint8Array | undefined;
  readonly data: Uint8Array;
}

export const noBytes = new Uint8Array(0);

export const textMessage = (subject: string, text: string): WireMessage => ({ subject, data: Buffer.from(text) });

/** A status has no body: `NATS/1.0 408 Request Timeout`. */
export function statusMessage(subject: string, status: string, fields = ''): WireMessage {
  return { subject, header: Buffer.from(`NATS/1.0 ${status}\r\n${fields}\r\n`), data: noBytes };
}

export const noResponders = (reply: string): WireMessage => statusMessage(reply, '503');

/** The value of a header line, or undefined. */
export function fieldOf(header: Uint8Array | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  const line = Buffer.from(header)
    .toString('utf8')
    .split('\r\n')
    .find((candidate) => candidate.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}

/** The message in the driver's shape, in a buffer of its own that is spoilt by `spoil`: who keeps a slice of it is found out. */
export function toDriverMessage(
  message: WireMessage,
  respond: (reply: string, data: Uint8Array) => void,
): { readonly received: Msg; spoil(): void } {
  const { subject, reply, header = noBytes, data } = message;
  const bytes = Buffer.allocUnsafeSlow(header.length + data.length);
  bytes.set(header);
  bytes.set(data, header.length);
  const subjectBytes = Buffer.from(subject);
  const received = {
    subject,
    reply: reply ?? '',
    data: bytes.subarray(header.length),
    headers: { get: (name: string) => fieldOf(header, name) ?? '' },
    string: () => bytes.toString('utf8', header.length),
    respond(answer: Uint8Array) {
      if (reply !== undefined) respond(reply, answer);
      return reply !== undefined;
    },
    _msg: {
      subject: subjectBytes,
      reply: reply === undefined ? undefined : Buffer.from(reply),
      hdr: header.length > 0 ? header.length : -1,
    },
    _rdata: bytes,
  };
  return {
    received: received as unknown as Msg,
    spoil() {
      bytes.fill(0x7e);
      subjectBytes.fill(0x7e);
    },
  };
}
