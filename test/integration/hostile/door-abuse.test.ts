/**
 * Abuse of a real node's HTTP door by who sends what is no good request. Under each attack an ordinary client goes on asking and is always
 * answered rightly (its latency is reported, not judged), memory and descriptors stay below a bound, a limit of
 * docs/configuration.md ends the attackers, and afterwards the node is as small as before.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  allClosed,
  attack,
  attackMany,
  checkEnded,
  head,
  keyOf,
  node,
  statusOf,
  under,
} from '../../support/attacked-node.ts';
import { openFilesMax, processSize } from '../../support/process-size.ts';
import { waitUntil } from '../../support/wait-until.ts';

const MiB = 1024 * 1024;

describe('a node whose door is abused', () => {
  it('ends heads that come a byte at a time by http.headersTimeout', async (t) => {
    await under(t, { residentMiB: 200, descriptors: 520 }, async () => {
      const slow = await attackMany(500, true, 'GET / HTTP/1.1\r\nHost: x\r\n');
      const drip = setInterval(() => {
        for (const { socket, isClosed } of slow) if (!isClosed) socket.write('X');
      }, 200);
      await allClosed(slow, 'slow heads are ended');
      clearInterval(drip);
      checkEnded(slow, 408);
    });
  });

  it('ends bodies that never end by http.requestTimeout, and large ones by http.bodyBytesMax', async (t) => {
    await under(t, { residentMiB: 400, descriptors: 320 }, async () => {
      const slow = await attackMany(200, true, head('PUT', keyOf('endless'), 'Content-Length: 1000000'));
      const chunked = await attackMany(100, true, head('PUT', keyOf('endless'), 'Transfer-Encoding: chunked'));
      const piece = 'x'.repeat(16_384);
      const drip = setInterval(() => {
        for (const { socket, isClosed } of slow) if (!isClosed) socket.write('x');
        for (const { socket, isClosed } of chunked)
          if (!isClosed && socket.writableLength < MiB) socket.write(`4000\r\n${piece}\r\n`);
      }, 20);
      await allClosed([...slow, ...chunked], 'endless bodies are ended');
      clearInterval(drip);
      checkEnded(slow, 408);
      checkEnded(chunked, 413);
    });
    assert.equal((await fetch(`${node.url}${keyOf('endless')}`)).status, 404);
  });

  it('refuses every shape that two servers could read in two ways, and runs nothing that hides in it', async (t) => {
    const hidden = head('PUT', keyOf('smuggled'), 'Content-Length: 1');
    const cl = (length: number): string => `Content-Length: ${length}`;
    const chunkedEnd = '0\r\n\r\n';
    const shapes: Record<string, string> = {
      'length and chunks': `${head('PUT', keyOf('a'), cl(5), 'Transfer-Encoding: chunked')}${chunkedEnd}${hidden}x`,
      'chunks and length': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked', cl(5))}${chunkedEnd}${hidden}x`,
      'two lengths': `${head('PUT', keyOf('a'), cl(0), cl(44))}${hidden}x`,
      'a list of lengths': `${head('PUT', keyOf('a'), 'Content-Length: 0, 44')}${hidden}x`,
      'a signed length': `${head('PUT', keyOf('a'), 'Content-Length: +0')}${hidden}x`,
      'a length in hex': `${head('PUT', keyOf('a'), 'Content-Length: 0x0')}${hidden}x`,
      'a folded field': `${head('PUT', keyOf('a'), 'Transfer-Encoding:\r\n chunked')}${hidden}x`,
      'a space before the colon': `${head('PUT', keyOf('a'), 'Content-Length : 0')}${hidden}x`,
      'a tab before the colon': `${head('PUT', keyOf('a'), 'Transfer-Encoding\t: chunked')}${hidden}x`,
      'NUL in a name': `${head('PUT', keyOf('a'), 'Content-\u0000Length: 0')}${hidden}x`,
      'NUL in a value': `${head('PUT', keyOf('a'), 'X: \u0000')}${hidden}x`,
      'a bare CR in a value': `${head('PUT', keyOf('a'), 'X: a\rContent-Length: 0')}${hidden}x`,
      'a line end of LF alone': `PUT ${keyOf('a')} HTTP/1.1\nHost: x\nContent-Length: 0\n\n${hidden}x`,
      'chunked, misspelt': `${head('PUT', keyOf('a'), 'Transfer-Encoding: xchunked')}${chunkedEnd}${hidden}x`,
      'chunked before another': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked, identity')}${chunkedEnd}${hidden}x`,
      'chunked twice': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked', 'Transfer-Encoding: cow')}${chunkedEnd}${hidden}x`,
      'a chunk size with a sign': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}+1\r\nx\r\n${chunkedEnd}${hidden}x`,
      'a chunk size of 16 digits': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}ffffffffffffffff\r\nx\r\n${chunkedEnd}${hidden}x`,
      'a chunk longer than it says': `${head('PUT', keyOf('a'), 'Transfer-Encoding: chunked')}1\r\nxyz\r\n${chunkedEnd}${hidden}x`,
      'a space in the target': `GET ${keyOf('a')} b HTTP/1.1\r\nHost: x\r\n\r\n${hidden}x`,
      'no host': `GET ${keyOf('a')} HTTP/1.1\r\n\r\n${hidden}x`,
      'two hosts': `${head('GET', keyOf('a'), 'Host: y')}${hidden}x`,
      'a method of its own': `${head('SMUGGLE', keyOf('a'))}${hidden}x`,
      CONNECT: `CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n${hidden}x`,
    };
    await under(t, { residentMiB: 200, descriptors: 60 }, async () => {
      for (const [name, bytes] of Object.entries(shapes)) {
        const attacker = await attack(true, bytes);
        assert.ok(attacker !== undefined);
        attacker.socket.end();
        await allClosed([attacker], name);
        assert.ok(statusOf(attacker) >= 400 || statusOf(attacker) === 0, `${name}: ${attacker.text.slice(0, 300)}`);
        const smuggled = await fetch(`${node.url}${keyOf('smuggled')}`);
        assert.equal(smuggled.status, 404, `${name} was taken for two requests: ${attacker.text.slice(0, 300)}`);
      }
    });
  });

  it('takes absolute targets, ignored upgrades and chunked in any case for what they are', async () => {
    const ask = async (bytes: string): Promise<string> => {
      const attacker = await attack(true, bytes);
      assert.ok(attacker !== undefined);
      attacker.socket.end();
      await allClosed([attacker], bytes);
      return attacker.text;
    };
    assert.match(await ask(`GET http://evil.example${keyOf('kept')} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 200 /);
    const upgrade = await ask(
      head('GET', keyOf('kept'), 'Connection: upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    );
    assert.doesNotMatch(upgrade, /^HTTP\/1\.1 101/);
    const chunked = `${head('PUT', keyOf('cased'), 'transfer-encoding: CHUNKED')}1\r\nx\r\n0\r\n\r\n`;
    const attacker = await attack(true, chunked);
    await waitUntil('the put is answered', () => attacker?.text.startsWith('HTTP/1.1 204'));
    attacker?.socket.destroy();
    assert.equal(await (await fetch(`${node.url}${keyOf('cased')}`)).text(), 'x');
  });

  it('bears ten thousand idle connections, and ends them by http.headersTimeout', async (t) => {
    const count = Math.min(10_000, Math.floor(openFilesMax() - 1_000));
    t.diagnostic(`${count} idle connections; this machine allows ${openFilesMax()} open files`);
    assert.ok(count >= 1_000, 'too few open files are allowed to show anything');
    await under(t, { residentMiB: 600, descriptors: count + 100 }, async () => {
      const idle = await attackMany(count, true);
      t.diagnostic(`${processSize(node.pid).descriptors} descriptors when the last of them was made`);
      await allClosed(idle, 'idle connections are ended');
    });
  });

  it('ends connections that are half closed', async (t) => {
    await under(t, { residentMiB: 300, descriptors: 620 }, async () => {
      const half = await attackMany(300, true, head('GET', keyOf('kept')));
      for (const { socket } of half) socket.end();
      const partial = await attackMany(
        300,
        true,
        'PUT /v1/caches/demo/keys/half HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx',
      );
      for (const { socket } of partial) socket.end();
      await allClosed([...half, ...partial], 'half-closed connections are ended');
    });
    assert.equal((await fetch(`${node.url}${keyOf('half')}`)).status, 404);
  });
});
