/** What a user gets: the package as it would be published, installed into an empty folder, imported, type-checked and run. */
import assert from 'node:assert/strict';
import { type ExecFileException, execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startNatsServer, type TestServer } from '../support/nats-server.ts';
import { projectRoot } from '../support/project.ts';

let folder: string;
let app: string;
let server: TestServer;

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Without what a test runner and an npm that started us leave behind for their own children. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(SLUICE_|NODE_TEST_CONTEXT$|INIT_CWD$|npm_(package|lifecycle|command|execpath|node_execpath|config_local_prefix))/.test(
        name,
      ),
  ),
);

function run(command: string, args: readonly string[], cwd: string): Promise<Output> {
  return new Promise((resolve) => {
    execFile(command, [...args], { cwd, env: environment, timeout: 240_000 }, (error, stdout, stderr) => {
      const { code } = (error ?? { code: 0 }) as Pick<ExecFileException, 'code'>;
      resolve({ code: typeof code === 'number' ? code : -1, stdout, stderr });
    });
  });
}

async function succeed(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, cwd);
  assert.equal(code, 0, `${command} ${args.join(' ')}:\n${stdout}\n${stderr}`);
  return stdout;
}

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
};

before(async () => {
  server = await startNatsServer();
  folder = mkdtempSync(join(tmpdir(), 'sluice-package-'));
  app = join(folder, 'app');
  mkdirSync(app);
  // Built already, as everything that these tests run.
  await succeed('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], projectRoot);
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  await succeed('npm', ['install', join(folder, tarball), ...quiet], app);
});

after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('the installed package', () => {
  it('holds what a user needs and nothing of the workshop', () => {
    const root = join(app, 'node_modules', 'sluice');
    for (const path of ['dist/src/index.js', 'dist/src/index.d.ts', 'streams/bucket.json', 'config', 'docs/cli.md'])
      assert.ok(existsSync(join(root, path)), path);
    for (const path of ['dist/test', 'dist/bench', 'src', 'test', 'bench', '.ci'])
      assert.ok(!existsSync(join(root, path)), path);
  });

  it('runs its three programs by name', async () => {
    const programs = Object.keys(manifest.bin);
    assert.deepEqual(programs.sort(), ['cache-controller', 'cache-node', 'sluice']);
    for (const name of programs) {
      const stdout = await succeed(join(app, 'node_modules', '.bin', name), ['--version'], app);
      assert.equal(stdout, `${manifest.version}\n`, name);
    }
  });

  it('is a library: connects, writes, and reads synchronously', async () => {
    const script = `
      import assert from 'node:assert/strict';
      import { connect, isSluiceError, SluiceError, text } from 'sluice';
      assert.equal(isSluiceError(new SluiceError('stale', 'x'), 'stale'), true);
      const sluice = await connect({ servers: ${JSON.stringify(server.url)} });
      const cache = await sluice.open('demo', { codec: text() });
      await cache.put('greeting', 'hello');
      assert.equal(cache.get('greeting'), 'hello');
      await sluice.close();
      console.log('done');
    `;
    assert.equal(await succeed(process.execPath, ['--input-type=module', '--eval', script], app), 'done\n');
    const sluice = join(app, 'node_modules', '.bin', 'sluice');
    assert.equal(await succeed(sluice, ['get', 'demo', 'greeting', '--nats', server.url], app), 'hello');
  });

  it('has checkers for the tests of others', async () => {
    const script = `
      import assert from 'node:assert/strict';
      import { checkHistory, createFakeClock, createHistoryRecorder, createSeededRandom, parseHistory } from 'sluice/testing';
      const recorder = createHistoryRecorder(createFakeClock());
      recorder.begin({ type: 'put', process: 'p', key: 'a', value: 'x' }).ok({ revision: 1 });
      assert.deepEqual(checkHistory(recorder.history()), []);
      recorder.begin({ type: 'read', process: 'p', key: 'a', consistency: 'latest' }).ok({ value: null });
      assert.deepEqual(checkHistory(recorder.history()).map(({ check }) => check), ['register', 'read-your-writes']);
      assert.throws(() => parseHistory(''));
      console.log(createSeededRandom(1).seed);
    `;
    assert.equal(await succeed(process.execPath, ['--input-type=module', '--eval', script], app), '1\n');
  });

  it('has types that a strict program can use', async () => {
    writeFileSync(
      join(app, 'consumer.ts'),
      `import { connect, type CoherentCache, type ErrorCode, SluiceError } from 'sluice';
import { checkRegister, type Finding, type History } from 'sluice/testing';
const history: History = [{ type: 'clear', process: 'p', start: 1, end: 2, outcome: 'ok' }];
export const findings: readonly Finding[] = checkRegister(history);
const code: ErrorCode = 'stale';
export const error: SluiceError = new SluiceError(code, 'x');
export async function read(): Promise<number | undefined> {
  const sluice = await connect();
  const cache: CoherentCache<{ n: number }> = await sluice.open<{ n: number }>('c');
  return cache.get('a')?.n;
}
// @ts-expect-error no such code
export const wrong: ErrorCode = 'nope';
`,
    );
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      '',
    ];
    await succeed(join(projectRoot, 'node_modules', '.bin', 'tsc'), [...options, 'consumer.ts'], app);
  });
});
