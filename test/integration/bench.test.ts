/** The bench still works: every row runs, tiny, and prints its lines. Nothing here is about speed. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { findTestBinary } from '../support/nats-server.ts';
import { projectRoot } from '../support/project.ts';

const program = join(projectRoot, 'dist', 'bench', 'run.js');
const run = promisify(execFile);

async function runBench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const { NODE_TEST_CONTEXT: _, ...variables } = process.env;
  const env = { ...variables, NATS_SERVER_BIN: await findTestBinary() };
  return run(process.execPath, [program, ...args], { env, timeout: 120_000 });
}

describe('the bench', () => {
  it('measures every row and prints one line for each claim', async () => {
    const { stdout } = await runBench('--quick', '--rounds', '1');
    const lines = stdout.trimEnd().split('\n');
    assert.match(lines[0] ?? '', /^what +ours +baseline +ratio \(min\.\.max\) +must reach +met$/);
    const claims = [
      /^in-process hit.* lru-cache .* >= 0\.9 /,
      /^in-process hit.* bentocache .* >= 50 /,
      /^acknowledged puts.* bare publish .* >= 0\.85 /,
      /^acknowledged puts.* js\.publish .* >= 2 /,
      /^acknowledged puts.* sync_interval: always .* default /,
      /^one put at a time, p50,.* default /,
      /^one put at a time, p99,.* default /,
      /^replay of .* >= 0\.75 /,
      /^put on A until visible on B.*p99.* <= 2 /,
      /^HTTP hit.* >= 0\.8 /,
      /^memory beside key and value.* <= 1 /,
      /^memory of the process after .* overwrites.* <= 1\.1 /,
    ];
    for (const claim of claims)
      assert.ok(
        lines.some((line) => claim.test(line)),
        `${claim} in\n${stdout}`,
      );
    for (const line of lines.slice(2)) assert.match(line, /\d \(\d+(\.\d+)?\.\.\d+(\.\d+)?\)/, line);
  });

  it('says which rows there are when asked for another', async () => {
    await assert.rejects(
      runBench('--only', 'everything'),
      /there are hit, puts, durable, replay, visible, http, memory/,
    );
  });
});
