/**
 * A publisher on a fake clock and a connection of paper, where a test decides about every answer, about what the log has, and about
 * which server is connected.
 */
import assert from 'node:assert/strict';
import type { Msg } from '@nats-io/nats-core';
import { type ErrorCode, isSluiceError } from '../../src/errors.ts';
import type { Appended, AppendOptions } from '../../src/log/log.ts';
import type { Link, LinkEvents } from '../../src/nats/link.ts';
import { createPublisher, type Publisher } from '../../src/nats/publisher.ts';
import type { Survey } from '../../src/nats/writing/survey.ts';
import { createFakeClock, type FakeClock } from '../../src/testing/fake-clock.ts';
import { createSeededRandom } from '../../src/testing/seeded-random.ts';

export interface PaperScene {
  readonly clock: FakeClock;
  readonly publisher: Publisher;
  /** What was sent, as reply subject and header. */
  readonly sent: { reply: string; header: string }[];
  /** Answers an attempt; by default the last one. */
  answer(body: string, attempt?: number): void;
  pong(): Promise<void>;
  /** What a look into the log finds. */
  stored: number | undefined;
  looks: number;
  /** What a survey of the stream finds; undefined: the log cannot be read. */
  survey: Survey | undefined;
  /** The positions above which the stream was surveyed. */
  readonly surveyed: number[];
  /** The server that is connected, and what it is like to its stream. */
  server: { readonly name: string; readonly id: string };
  readonly target: { head: number; forgetsIds: boolean; isReplicated: boolean };
  lose(): void;
  find(server?: { readonly name: string; readonly id: string }): Promise<void>;
  publish(options?: AppendOptions): { outcome: Appended | ErrorCode | undefined };
}

export function createPaperScene(duplicateWindowMs = 30_000): PaperScene {
  const clock = createFakeClock();
  const pings: (() => void)[] = [];
  let receive: (error: null, message: Msg) => void = () => undefined;
  let tell: LinkEvents = {};
  const link = {
    isConnected: true,
    get serverName() {
      return scene.server.name;
    },
    get serverId() {
      return scene.server.id;
    },
    payloadBytesMax: 1_000,
    newInbox: () => 'inbox',
    listen(events: LinkEvents) {
      tell = events;
      return () => undefined;
    },
    connection: {
      subscribe(_: string, options: { callback: typeof receive }) {
        receive = options.callback;
        return { unsubscribe: () => undefined };
      },
      publish(_: string, __: Uint8Array, options: { reply: string; headers: { encode(): Uint8Array } }) {
        scene.sent.push({ reply: options.reply, header: Buffer.from(options.headers.encode()).toString() });
      },
      flush: () => new Promise<void>((resolve) => pings.push(resolve)),
      isClosed: () => false,
    },
  };
  const scene: Omit<PaperScene, 'publisher'> = {
    clock,
    sent: [],
    stored: undefined,
    looks: 0,
    survey: undefined,
    surveyed: [],
    server: { name: 'a', id: 'a-1' },
    target: { head: 0, forgetsIds: true, isReplicated: false },
    lose() {
      link.isConnected = false;
      tell.lost?.('cut');
    },
    async find(server = scene.server) {
      scene.server = server;
      link.isConnected = true;
      tell.found?.(server.name);
      await clock.settle();
    },
    answer(body, attempt = scene.sent.length) {
      const data = Buffer.from(body);
      const subject = Buffer.from(scene.sent[attempt - 1]?.reply ?? '');
      receive(null, { _msg: { subject, hdr: -1 }, _rdata: data, data, string: () => body } as unknown as Msg);
    },
    async pong() {
      for (const resolve of pings.splice(0)) resolve();
      await clock.settle();
    },
    publish(options = {}) {
      const result: { outcome: Appended | ErrorCode | undefined } = { outcome: undefined };
      const findStored = async (): Promise<number | undefined> => {
        scene.looks += 1;
        return scene.stored;
      };
      const write = { subject: 'a', fields: '', data: new Uint8Array(1) };
      const survey = async (above: number): Promise<Survey> => {
        scene.surveyed.push(above);
        if (scene.survey === undefined) throw new Error('nobody answers');
        return scene.survey;
      };
      const target = { stream: 's', duplicateWindowMs, findStored, survey, ...scene.target };
      publisher.publish(write, options, target).then(
        (appended) => {
          assert.equal(result.outcome, undefined, 'settles once');
          result.outcome = appended;
        },
        (error: unknown) => {
          assert.equal(result.outcome, undefined, 'settles once');
          assert.ok(isSluiceError(error), `${error}`);
          result.outcome = error.code;
        },
      );
      return result;
    },
  };
  const publisher = createPublisher(link as unknown as Link, clock, createSeededRandom(1));
  return Object.assign(scene, { publisher });
}

export const ack = (seq: number, isDuplicate = false): string =>
  `{"stream":"s", "seq":${seq}${isDuplicate ? ',"duplicate": true' : ''}}`;
export const refusal = (errCode: number, description: string, code = 400): string =>
  JSON.stringify({ error: { code, err_code: errCode, description } });
