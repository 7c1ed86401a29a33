/** Every example of docs/wire-format.md, run as it stands there, with the real nats CLI against a real server and node. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codeBlocks, consoleSteps, createShell, loadDocument, matchesOutput, type Shell } from '../support/document.ts';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { type NodeProcess, startNode } from '../support/node-process.ts';

const examples = codeBlocks(loadDocument('docs/wire-format.md')).filter(({ language }) => language === 'console');

describe('docs/wire-format.md', () => {
  let server: TestServer;
  let node: NodeProcess;
  let shell: Shell;

  before(async () => {
    server = await startNatsServer();
    node = await startNode({ id: 'node-1', nats: server.url });
    await node.ready();
    shell = await createShell({ NATS_URL: server.url, N: node.url });
  });

  after(async () => {
    shell.stop();
    await node.stop();
    await server.stop();
  });

  it('has examples', () => {
    assert.ok(examples.length >= 7, `${examples.length}`);
  });

  // The examples build on each other: their positions count on.
  for (const { section, line, code } of examples) {
    it(`is right in its example of ${section.toLowerCase()}, line ${line}`, async () => {
      for (const { command, output } of consoleSteps(code)) {
        const got = (await shell.run(command)).output;
        assert.ok(matchesOutput(got, output), `$ ${command}\nexpected: ${output}\ngot: ${got}`);
      }
    });
  }
});
