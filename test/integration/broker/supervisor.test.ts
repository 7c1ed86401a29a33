/** The supervisor with real processes: crashes, stubborn children, readiness, and its own sudden death. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { createNatsServer } from '../../../src/broker/nats-server.ts';
import { readProcess } from '../../../src/broker/process/process-facts.ts';
import { createSupervisor, type SupervisedCommand, type Supervisor } from '../../../src/broker/supervisor.ts';
import { isSluiceError } from '../../../src/errors.ts';
import { findTestBinary } from '../../support/nats-server.ts';
import { projectRoot } from '../../support/project.ts';
import { requestJetStream } from '../../support/raw-nats.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** Says that it is ready, then stays until it is told to go; `ends` is written when it goes. */
const stayer = `
  const { appendFileSync } = require('node:fs');
  process.on('SIGTERM', () => { appendFileSync(process.argv[1], process.argv[2] + '\\n'); process.exit(0); });
  setInterval(() => {}, 1000);
  console.log('ready ' + process.argv[2]);
`;

describe('the supervisor of real processes', () => {
  let folder: string;
  let ends: string;
  let supervisor: Supervisor;
  let lines: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-supervisor-'));
    ends = join(folder, 'ends');
    lines = [];
    supervisor = createSupervisor({
      clock: systemClock,
      random: systemRandom,
      log: (line) => lines.push(line),
      stopLimitMs: 1_000,
    });
  });
  afterEach(async () => {
    await supervisor.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const node = (name: string, script: string): SupervisedCommand => ({
    name,
    command: process.execPath,
    args: ['-e', script, '--', ends, name],
    onLine: (stream, line) => lines.push(`${name} ${stream} ${line}`),
  });
  const stay = (name: string): SupervisedCommand => ({
    ...node(name, stayer),
    isReady: (line) => line.startsWith('ready'),
  });

  it('starts a killed process again under a new number', async () => {
    const child = supervisor.add(stay('a'));
    await child.running();
    const { pid = 0 } = child.status;
    process.kill(pid, 'SIGKILL');
    await waitUntil('a new process', () => child.status.pid !== pid && child.status.state === 'running');
    assert.equal(child.status.restarts, 1);
    assert.ok(lines.some((line) => line.startsWith('a: ended (signal SIGKILL); starting again in 0.')));
    assert.equal(lines.filter((line) => line === 'a stdout ready a').length, 2);
  });

  it('stops its children one after the other, the last one first', async () => {
    const children = ['a', 'b', 'c'].map((name) => supervisor.add(stay(name)));
    for (const child of children) await child.running();
    const pids = children.map(({ status }) => status.pid ?? 0);
    await supervisor.stop();
    assert.equal(readFileSync(ends, 'utf8'), 'c\nb\na\n');
    for (const pid of pids) assert.equal(readProcess(pid), undefined);
  });

  it('ends a child that ignores SIGTERM, and what that child started, by SIGKILL', async () => {
    const stubborn = `
      process.on('SIGTERM', () => {});
      const { pid } = require('node:child_process').spawn('sleep', ['60']);
      setInterval(() => {}, 1000);
      console.log('ready ' + pid);
    `;
    const child = supervisor.add({ ...stay('a'), ...{ args: ['-e', stubborn] } });
    await child.running();
    const grandchild = Number(
      lines
        .find((line) => line.startsWith('a stdout ready'))
        ?.split(' ')
        .at(-1),
    );
    const { pid = 0 } = child.status;
    assert.ok(readProcess(grandchild));
    await supervisor.stop();
    assert.equal(readProcess(pid), undefined);
    await waitUntil('the end of the grandchild', () => readProcess(grandchild) === undefined);
  });

  it('keeps trying a process that crashes at once, ever more slowly, and gives its last words', async () => {
    const child = supervisor.add({ ...stay('a'), args: ['-e', 'console.error("no disk"); process.exit(3)'] });
    await waitUntil('three restarts', () => child.status.restarts >= 3);
    assert.match(child.status.problem ?? lines.join('\n'), /ended at its start \(exit code 3\).*\n {2}no disk/);
    await supervisor.stop();
    assert.equal(child.status.state, 'stopped');
  });

  it('gives up on a process that says that a setting is wrong', async () => {
    const child = supervisor.add({ ...stay('a'), args: ['-e', 'console.error("bad port"); process.exitCode = 78'] });
    await assert.rejects(
      child.running(),
      (error) => isSluiceError(error, 'bad-config') && /bad port/.test(error.message),
    );
    assert.equal(child.status.restarts, 0);
  });

  it('says so when a program does not exist, and can be stopped meanwhile', async () => {
    const child = supervisor.add({ name: 'a', command: join(folder, 'absent') });
    await waitUntil('a back-off', () => child.status.state === 'backing-off');
    assert.match(child.status.problem ?? '', /cannot run .*absent.*ENOENT/);
  });

  it('can be stopped while a child has not said that it is ready', async () => {
    const child = supervisor.add({ ...stay('a'), isReady: () => false });
    await waitUntil('its line', () => lines.includes('a stdout ready a'));
    const running = assert.rejects(child.running(), (error) => isSluiceError(error, 'aborted'));
    await supervisor.stop();
    await running;
    assert.equal(readFileSync(ends, 'utf8'), 'a\n');
  });

  it('keeps a nats-server running as well', async () => {
    const binary = await findTestBinary();
    const server = createNatsServer({ binary, storeFolder: join(folder, 'nats'), clock: systemClock });
    const child = supervisor.keep('nats-server', server);
    await child.running();
    const { pid = 0 } = child.status;
    process.kill(pid, 'SIGKILL');
    await waitUntil('a new server', () => child.status.pid !== pid && child.status.state === 'running');
    const { port } = await server.start();
    assert.ok(await requestJetStream(port, 'INFO'));
  });

  it('does not leave a child behind when it is killed by SIGKILL', async () => {
    const module = (path: string): string => JSON.stringify(pathToFileURL(join(projectRoot, 'dist', 'src', path)).href);
    const child = join(folder, 'child.mjs');
    writeFileSync(
      child,
      `import { onParentGone } from ${module('broker/process/process-ties.js')};
       setInterval(() => {}, 1000);
       onParentGone(process, () => process.exit(0));
       console.log('ready ' + process.pid);`,
    );
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { systemClock } from ${module('base/clock.js')};
         import { systemRandom } from ${module('base/random.js')};
         import { createSupervisor } from ${module('broker/supervisor.js')};
         const supervisor = createSupervisor({ clock: systemClock, random: systemRandom, log: console.error });
         supervisor.add({ name: 'a', command: process.execPath, args: [${JSON.stringify(child)}],
           onLine: (stream, line) => console.log(line) });`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let output = '';
      parent.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      const pid = await waitUntil('the child', () => Number(/ready (\d+)\n/.exec(output)?.[1] ?? 0) || undefined);
      assert.ok(readProcess(pid));
      parent.kill('SIGKILL');
      await waitUntil('the end of the child', () => readProcess(pid) === undefined);
    } finally {
      parent.kill('SIGKILL');
    }
  });

  it('ends its children when it ends by an error of its own', async () => {
    const module = (path: string): string => JSON.stringify(pathToFileURL(join(projectRoot, 'dist', 'src', path)).href);
    const pidFile = join(folder, 'pid');
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { systemClock } from ${module('base/clock.js')};
         import { systemRandom } from ${module('base/random.js')};
         import { createSupervisor } from ${module('broker/supervisor.js')};
         import { writeFileSync } from 'node:fs';
         const supervisor = createSupervisor({ clock: systemClock, random: systemRandom, log: console.error });
         const child = supervisor.add({ name: 'a', command: 'sleep', args: ['60'] });
         await child.running();
         writeFileSync(${JSON.stringify(pidFile)}, String(child.status.pid));
         throw new Error('a defect');`,
      ],
      { stdio: 'ignore' },
    );
    const code = await new Promise((resolve) => parent.once('exit', resolve));
    assert.equal(code, 1);
    assert.ok(existsSync(pidFile));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await waitUntil('the end of the child', () => readProcess(pid) === undefined);
  });
});
