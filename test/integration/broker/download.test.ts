/** The download of a release, against a local HTTP server that behaves well and badly. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { cachedBinaryPath, cacheStep } from '../../../src/broker/provision/cache.ts';
import { createDownloadStep, releaseFile } from '../../../src/broker/provision/download.ts';
import { type ProvisionedServer, type ProvisionOptions, provisionNatsServer } from '../../../src/broker/provision.ts';
import { isSluiceError, type SluiceError } from '../../../src/errors.ts';
import { sayVersion } from '../../support/fake-program.ts';
import { findFreePorts } from '../../support/nats-server.ts';
import { buildTarGz } from '../../support/tar-archive.ts';

const version = '2.14.2';
const file = releaseFile(version, platform(), arch()) ?? '';
const program = `#!/bin/sh\n${sayVersion(version)}\n# ${'padding '.repeat(100_000)}\n`;
const release = (body: string): Buffer =>
  buildTarGz([
    { name: 'nats-server-v2.14.2/README.md', body: 'read me' },
    { name: 'nats-server-v2.14.2/nats-server', body },
  ]);
const good = release(program);
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const sumsOf = (bytes: Buffer): string => `${'0'.repeat(64)}  other.tar.gz\n${sha256(bytes)}  ${file}\n`;

describe('the download of a release', () => {
  let folder: string;
  const webs: Server[] = [];
  let lines: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-download-'));
    lines = [];
  });
  afterEach(async () => {
    for (const web of webs.splice(0)) {
      web.closeAllConnections();
      await new Promise((resolve) => web.close(resolve));
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const serve = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener).listen(0, '127.0.0.1');
    webs.push(server);
    await new Promise((resolve) => server.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mirror`;
  };

  const serveFiles = (files: Readonly<Record<string, string | Buffer>>): Promise<string> =>
    serve((request, response) => {
      const body = files[(request.url ?? '').replace(`/mirror/v${version}/`, '')];
      if (body === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'content-length': Buffer.byteLength(body) }).end(body);
    });

  const limits = { answerMs: 300, silenceMs: 300, wholeMs: 5_000, bytesMax: 8 * 1024 * 1024 };
  const target = (): string => cachedBinaryPath(folder, version);
  const download = (downloadBase: string, more: Partial<ProvisionOptions> = {}): Promise<ProvisionedServer> =>
    provisionNatsServer({
      env: {},
      clock: systemClock,
      log: (line) => lines.push(line),
      cacheFolder: folder,
      downloadBase,
      version,
      steps: [createDownloadStep(limits)],
      ...more,
    });

  /** The error of a refused download, after making sure that it left nothing. */
  const refused = async (promise: Promise<unknown>): Promise<SluiceError> => {
    const error = await promise.then(
      () => assert.fail('should have been refused'),
      (reason: unknown) => reason,
    );
    assert.ok(isSluiceError(error), String(error));
    assert.deepEqual(readdirSync(dirname(target())), []);
    return error;
  };

  it('puts a verified server into the cache folder, where the next search finds it', async () => {
    const base = await serveFiles({ SHA256SUMS: sumsOf(good), [file]: good });
    assert.deepEqual(await download(base), { path: target(), version, how: 'download' });
    assert.deepEqual(readdirSync(dirname(target())), ['nats-server']);
    assert.match(lines.join('\n'), /download: \d+\.\d of \d+\.\d MiB/);
    const again = await download('http://127.0.0.1:9', { steps: [cacheStep] });
    assert.equal(again.path, target());
  });

  it('follows redirects, as the official releases use them', async () => {
    const base = await serve((request, response) => {
      if (request.url?.startsWith('/mirror/')) {
        response.writeHead(302, { location: request.url.replace('/mirror/', '/real/') }).end();
      } else response.end(request.url?.endsWith('SHA256SUMS') ? sumsOf(good) : good);
    });
    assert.equal((await download(base)).version, version);
  });

  it('says how far it is without a declared length as well', async () => {
    const base = await serve((request, response) => {
      if (request.url?.endsWith('SHA256SUMS')) response.end(sumsOf(good));
      else response.write(good, () => response.end());
    });
    assert.equal((await download(base)).version, version);
  });

  it('is safe when several processes do it at once', async () => {
    const base = await serveFiles({ SHA256SUMS: sumsOf(good), [file]: good });
    const all = await Promise.all([download(base), download(base), download(base)]);
    assert.deepEqual(new Set(all.map(({ path }) => path)), new Set([target()]));
    assert.deepEqual(readdirSync(dirname(target())), ['nats-server']);
  });

  it('refuses an archive whose checksum is wrong, and does not unpack it', async () => {
    const evil = release(`#!/bin/sh\ntouch ${join(folder, 'was-run')}\n`);
    const base = await serveFiles({ SHA256SUMS: sumsOf(good), [file]: evil });
    const { message } = await refused(download(base));
    assert.match(message, /refused: /);
    assert.ok(message.includes(sha256(evil)) && message.includes(sha256(good)));
    assert.equal(existsSync(join(folder, 'was-run')), false);
  });

  it('refuses a release without a checksum for this machine', async () => {
    const base = await serveFiles({ SHA256SUMS: 'not a list', [file]: good });
    assert.match((await refused(download(base))).message, /SHA256SUMS has no checksum of/);
  });

  it('names the address and the status when there is no such release', async () => {
    const base = await serveFiles({});
    assert.match((await refused(download(base))).message, /v2\.14\.2\/SHA256SUMS: HTTP status 404/);
    const half = await serveFiles({ SHA256SUMS: sumsOf(good) });
    assert.ok((await refused(download(half))).message.includes(`${file}: HTTP status 404`));
  });

  it('refuses a truncated archive', async () => {
    const base = await serve((request, response) => {
      if (request.url?.endsWith('SHA256SUMS')) {
        response.end(sumsOf(good));
        return;
      }
      response.writeHead(200, { 'content-length': good.length });
      response.write(good.subarray(0, good.length / 2), () => response.destroy());
    });
    assert.ok((await refused(download(base))).message.includes(`${file}: terminated`));
  });

  it('refuses an archive that is whole but holds something else, or another version', async () => {
    const cases: readonly (readonly [Buffer, RegExp])[] = [
      [buildTarGz([{ name: 'README.md', body: '' }]), /holds no nats-server/],
      [Buffer.from('not compressed'), /incorrect header check/],
      [release(`#!/bin/sh\n${sayVersion('2.9.10')}\n`), /is version 2\.9\.10, and exactly 2\.14\.2/],
    ];
    for (const [bytes, reason] of cases) {
      const base = await serveFiles({ SHA256SUMS: sumsOf(bytes), [file]: bytes });
      assert.match((await refused(download(base))).message, reason);
    }
  });

  it('moves on when nothing answers, within its limit', async () => {
    const base = await serve(() => undefined);
    assert.match((await refused(download(base))).message, /no answer within 0\.3 s/);
    const [closed] = await findFreePorts(1);
    assert.match((await refused(download(`http://127.0.0.1:${closed}`))).message, /fetch failed \(.*ECONNREFUSED/);
  });

  it('moves on when the bytes stop coming', async () => {
    const base = await serve((request, response) => {
      if (request.url?.endsWith('SHA256SUMS')) response.end(sumsOf(good));
      else response.writeHead(200, { 'content-length': good.length }).write(good.subarray(0, 1_000));
    });
    assert.match((await refused(download(base))).message, /no more bytes within 0\.3 s/);
  });

  it('moves on when the bytes come too slowly or are too many', async () => {
    const base = await serve((request, response) => {
      if (request.url?.endsWith('SHA256SUMS')) {
        response.end(sumsOf(good));
        return;
      }
      const drip = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const slow = createDownloadStep({ ...limits, wholeMs: 400 });
    assert.match((await refused(download(base, { steps: [slow] }))).message, /not complete within 0\.4 s/);
    const small = createDownloadStep({ ...limits, bytesMax: 3 });
    assert.match((await refused(download(base, { steps: [small] }))).message, /larger than 3 bytes/);
  });

  it('gives up when the caller does', async () => {
    const controller = new AbortController();
    const base = await serve(() => controller.abort());
    const error = await refused(download(base, { signal: controller.signal }));
    assert.equal(error.code, 'aborted');
  });
});
