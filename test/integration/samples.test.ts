/** The samples of README.md, run as a reader would run them, against a real server and three real nodes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { createShell, type Shell } from '../support/document.ts';
import { declareCache, getKey } from '../support/http-cache-client.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';
import { projectRoot } from '../support/project.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('the samples of README.md', () => {
  let server: TestServer;
  let nodes: NodeProcess[];
  let shell: Shell;

  before(async () => {
    server = await startNatsServer();
    nodes = await Promise.all(['node-1', 'node-2', 'node-3'].map((id) => startNode({ id, nats: server.url })));
    await Promise.all(nodes.map((node) => node.ready()));
    // As `npm start` makes it.
    await declareCache(nodes[0]?.url ?? '', 'demo', { logBytesMax: '64MiB' });
    shell = await createShell({ NATS_URL: server.url, SLUICE_NATS_SERVERS: server.url });
  });

  after(async () => {
    shell.stop();
    await Promise.all(nodes.map((node) => node.stop()));
    await server.stop();
  });

  /** Runs a script line by line, with the addresses of the test in the place of the usual ones. */
  async function runScript(name: string, afterFirst = async (): Promise<unknown> => undefined): Promise<string[]> {
    let text = readFileSync(join(projectRoot, 'test', 'samples', name), 'utf8');
    for (const [index, { url }] of nodes.entries()) text = text.replaceAll(`http://127.0.0.1:${7401 + index}`, url);
    const outputs: string[] = [];
    const assignments: string[] = [];
    for (const line of text.trim().split('\n')) {
      if (/^\w+=\S+$/.test(line)) {
        assignments.push(line);
        continue;
      }
      const { code, output } = await shell.run([...assignments, line].join('\n'));
      assert.equal(code, 0, `${line}\n${output}`);
      outputs.push(output);
      // Nobody types as fast as this.
      if (outputs.length === 1) await afterFirst();
    }
    return outputs;
  }

  it('show one write on three nodes, and who did it in the journal', async () => {
    const [put = '', ...rest] = await runScript('try.sh', () =>
      waitUntil('all nodes have it', async () => {
        const answers = await Promise.all(nodes.map(({ url }) => getKey(url, 'demo', 'greeting')));
        return answers.every(({ status }) => status === 200);
      }),
    );
    const journal = rest.pop() ?? '';
    assert.match(put, /hello/);
    assert.equal(rest.length, 3);
    for (const got of rest) assert.equal(got, 'hello');
    assert.match(journal, /entry\.put\s+greeting\s+5 bytes/);
  });

  it('embed the library', async () => {
    const sample = join(projectRoot, 'dist', 'test', 'samples', 'embed.js');
    const { stdout } = await promisify(execFile)(process.execPath, [sample, server.url], { timeout: 30_000 });
    assert.deepEqual(stdout.trim().split('\n'), ['Ada true', 'BOB', 'undefined undefined', 'true']);
  });

  it('use the HTTP interface', async () => {
    const [declared = '', , got = '', latest = '', invalidated = '', gone = ''] = await runScript('http.sh');
    assert.match(declared, /"outcome":"created"/);
    for (const answer of [got, latest]) {
      assert.match(answer, /^HTTP\/1\.1 200 /);
      assert.match(answer, /^Content-Type: text\/html\r$/m);
      assert.match(answer, /^Sluice-Tags: menu\r$/m);
      assert.match(answer, /<h1>Hello<\/h1>$/);
    }
    assert.deepEqual(JSON.parse(invalidated).nodes.sort(), ['node-1', 'node-2', 'node-3']);
    assert.match(gone, /^HTTP\/1\.1 404 /);
  });
});
