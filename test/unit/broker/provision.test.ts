/** The search for nats-server: its order, what it accepts, what it says. Programs are small scripts in temp folders. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { createAptStep, goStep, type PackageSystem } from '../../../src/broker/provision/build.ts';
import { cachedBinaryPath, cacheFolderOf, cacheStep } from '../../../src/broker/provision/cache.ts';
import { findInFolders, foldersOfPath, namedStep, pathStep } from '../../../src/broker/provision/find.ts';
import type { Environment, ProvisionContext, ProvisionStep } from '../../../src/broker/provision/step.ts';
import {
  defaultSteps,
  type ProvisionOptions,
  preferredNatsVersion,
  provisionNatsServer,
} from '../../../src/broker/provision.ts';
import { isSluiceError, type SluiceError } from '../../../src/errors.ts';
import { sayVersion, writeProgram } from '../../support/fake-program.ts';

describe('the search for nats-server', () => {
  let folder: string;
  let lines: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-provision-'));
    lines = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const options = (env: Environment, more: Partial<ProvisionOptions> = {}): ProvisionOptions => ({
    env,
    clock: systemClock,
    cacheFolder: join(folder, 'cache'),
    log: (line) => lines.push(line),
    ...more,
  });

  const failure = async (promise: Promise<unknown>): Promise<SluiceError> => {
    const error = await promise.then(
      () => assert.fail('should have failed'),
      (reason: unknown) => reason,
    );
    assert.ok(isSluiceError(error), String(error));
    return error;
  };

  const fakeServer = (place: string, version: string): string =>
    writeProgram(join(folder, place), 'nats-server', sayVersion(version));

  it('goes through the steps in the documented order', () => {
    assert.deepEqual(
      defaultSteps.map((step) => step.name),
      ['NATS_SERVER_BIN', 'PATH', '/usr/sbin', 'cache folder', 'download', 'go install', 'apt-get'],
    );
  });

  it('takes the first server that a step yields, asks no later step, and logs each one', async () => {
    const refuse: ProvisionStep = { name: 'one', run: async () => ({ reason: 'nothing here' }) };
    const broken: ProvisionStep = { name: 'two', run: () => Promise.reject(new Error('the disk is full')) };
    const yields: ProvisionStep = { name: 'three', run: async () => ({ path: '/x/nats-server', version: '2.12.0' }) };
    const forbidden: ProvisionStep = { name: 'four', run: () => assert.fail('must not be asked') };
    const found = await provisionNatsServer(options({}, { steps: [refuse, broken, yields, forbidden] }));
    assert.deepEqual(found, { path: '/x/nats-server', version: '2.12.0', how: 'three' });
    assert.deepEqual(lines, [
      'nats-server: one: nothing here',
      'nats-server: two: the disk is full',
      'nats-server: three: /x/nats-server, version 2.12.0',
    ]);
  });

  it('names every step with its reason, and what to do, when none worked', async () => {
    const steps = ['one', 'two'].map((name): ProvisionStep => ({ name, run: async () => ({ reason: `no ${name}` }) }));
    const error = await failure(provisionNatsServer(options({}, { steps })));
    assert.equal(error.code, 'broker-unavailable');
    for (const part of [
      '  - one: no one',
      '  - two: no two',
      preferredNatsVersion,
      'NATS_SERVER_BIN=',
      'DOWNLOAD_BASE',
    ])
      assert.ok(error.message.includes(part), `${part} is missing in: ${error.message}`);
  });

  it('refuses a version that is none before anything is tried', async () => {
    const steps: ProvisionStep[] = [{ name: 'one', run: () => assert.fail('must not be asked') }];
    for (const version of ['integration/security', '../2.14.2', '2.14', 'v2.14.2', '']) {
      const error = await failure(provisionNatsServer(options({}, { steps, version })));
      assert.equal(error.code, 'bad-config');
      assert.ok(error.message.startsWith(`version: ${JSON.stringify(version)} is not`), error.message);
    }
  });

  it('stops when the caller gives up', async () => {
    const steps: ProvisionStep[] = [{ name: 'one', run: () => assert.fail('must not be asked') }];
    const error = await failure(provisionNatsServer(options({}, { steps, signal: AbortSignal.abort() })));
    assert.equal(error.code, 'aborted');
  });

  it('hands the steps the download base of the option, else of the environment, without a slash at the end', async () => {
    const bases: string[] = [];
    const step: ProvisionStep = {
      name: 'look',
      async run({ downloadBase }) {
        bases.push(downloadBase);
        return { path: '/x', version: '2.9.9' };
      },
    };
    const env = { SLUICE_NATS_DOWNLOAD_BASE: 'http://mirror.example/nats/' };
    await provisionNatsServer(options(env, { steps: [step] }));
    await provisionNatsServer(options(env, { steps: [step], downloadBase: 'http://other.example//' }));
    await provisionNatsServer(options({ SLUICE_NATS_DOWNLOAD_BASE: '' }, { steps: [step] }));
    assert.deepEqual(bases, [
      'http://mirror.example/nats',
      'http://other.example',
      'https://github.com/nats-io/nats-server/releases/download',
    ]);
  });

  describe('NATS_SERVER_BIN', () => {
    const steps = [namedStep, { name: 'next', run: () => assert.fail('must not fall through') } as ProvisionStep];

    it('wins over everything else', async () => {
      const path = fakeServer('named', '2.10.1');
      const PATH = dirname(fakeServer('path', '2.14.2'));
      const found = await provisionNatsServer(options({ NATS_SERVER_BIN: path, PATH }));
      assert.deepEqual(found, { path, version: '2.10.1', how: 'NATS_SERVER_BIN' });
    });

    it('is an error at once when it is set but names nothing usable', async () => {
      const notExecutable = join(folder, 'plain');
      writeFileSync(notExecutable, 'text');
      const cases: readonly (readonly [string, RegExp])[] = [
        [join(folder, 'absent'), /ENOENT/],
        [folder, /is not a file/],
        [fakeServer('old', '2.9.3'), /is version 2\.9\.3, older than 2\.9\.4/],
        [writeProgram(folder, 'other', 'echo hello'), /does not say that it is a nats-server/],
        [writeProgram(folder, 'failing', 'echo broken >&2; exit 3'), /exit code 3: broken/],
        [writeProgram(folder, 'foreign', ''), /does not say/],
        [notExecutable, /cannot be run/],
      ];
      for (const [path, reason] of cases) {
        const error = await failure(provisionNatsServer(options({ NATS_SERVER_BIN: path }, { steps })));
        assert.equal(error.code, 'bad-config');
        assert.match(error.message, /^NATS_SERVER_BIN is not usable: /);
        assert.match(error.message, reason);
      }
    });

    it('must be the very version when exactly one is asked for', async () => {
      const path = fakeServer('named', '2.10.1');
      const exact = { steps, exactVersion: true, version: '2.10.2' };
      const error = await failure(provisionNatsServer(options({ NATS_SERVER_BIN: path }, exact)));
      assert.match(error.message, /is version 2\.10\.1, and exactly 2\.10\.2 is asked for/);
      const found = await provisionNatsServer(options({ NATS_SERVER_BIN: path }, { ...exact, version: '2.10.1' }));
      assert.equal(found.path, path);
    });
  });

  describe('the PATH', () => {
    it('gives the first acceptable server, and says why it passed over the others', async () => {
      const old = fakeServer('a', '2.8.4');
      const good = fakeServer('b', '2.9.10');
      const newer = fakeServer('c', '2.14.2');
      const PATH = ['relative/bin', '', ...[old, good, newer].map(dirname), join(folder, 'absent')].join(':');
      const found = await provisionNatsServer(options({ PATH }, { steps: [pathStep] }));
      assert.deepEqual(found, { path: good, version: '2.9.10', how: 'PATH' });
      const none = await failure(provisionNatsServer(options({ PATH: dirname(old) }, { steps: [pathStep] })));
      assert.match(none.message, /PATH: .*a\/nats-server is version 2\.8\.4, older than 2\.9\.4/);
    });

    it('gives only the very version when exactly one is asked for', async () => {
      const PATH = [fakeServer('a', '2.9.10'), fakeServer('b', '2.14.2')].map(dirname).join(':');
      const found = await provisionNatsServer(options({ PATH }, { steps: [pathStep], exactVersion: true }));
      assert.equal(found.version, '2.14.2');
    });

    it('leaves out folders that depend on the working directory', () => {
      assert.deepEqual(foldersOfPath({ PATH: ':/usr/bin:.:bin:/opt/x' }), ['/usr/bin', '/opt/x']);
      assert.deepEqual(foldersOfPath({}), []);
    });
  });

  describe('a folder', () => {
    it('says that there is nothing when there is nothing', async () => {
      assert.deepEqual(await findInFolders([folder], context()), { reason: 'no nats-server there' });
    });
  });

  const context = (env: Environment = {}): ProvisionContext => ({
    env,
    clock: systemClock,
    log: (line) => lines.push(line),
    signal: undefined,
    cacheFolder: join(folder, 'cache'),
    downloadBase: 'http://127.0.0.1:9',
    version: preferredNatsVersion,
    exactVersion: false,
  });

  describe('the cache folder', () => {
    it('is below XDG_CACHE_HOME, or below .cache in the home folder', () => {
      assert.equal(cacheFolderOf({ XDG_CACHE_HOME: '/c', HOME: '/home/u' }), '/c/sluice');
      assert.equal(cacheFolderOf({ XDG_CACHE_HOME: 'relative', HOME: '/home/u' }), '/home/u/.cache/sluice');
      assert.equal(cacheFolderOf({ HOME: '/home/u' }), '/home/u/.cache/sluice');
      assert.equal(cachedBinaryPath('/c/sluice', '2.14.2'), '/c/sluice/nats-server/v2.14.2/nats-server');
    });

    it('yields what an earlier run left, when it is the version that its place says', async () => {
      const path = fakeServer(`cache/nats-server/v${preferredNatsVersion}`, preferredNatsVersion);
      assert.deepEqual(await cacheStep.run(context()), { path, version: preferredNatsVersion });
      fakeServer(`cache/nats-server/v${preferredNatsVersion}`, '2.9.10');
      assert.match(JSON.stringify(await cacheStep.run(context())), /is version 2\.9\.10, and exactly/);
    });
  });

  describe('go install', () => {
    const fakeGo = (script: string): Environment => ({
      PATH: `${dirname(writeProgram(join(folder, 'go-bin'), 'go', script))}:/usr/bin:/bin`,
      GOFLAGS: '-mod=vendor',
      GOOS: 'plan9',
    });

    it('puts the built server into the cache folder, with the user’s own build settings out of the way', async () => {
      const seen = join(folder, 'seen');
      const server = writeProgram(folder, 'built', sayVersion(preferredNatsVersion));
      const env = fakeGo(`echo "$*|$GOFLAGS|$GOOS|$CGO_ENABLED" > ${seen}; cp ${server} "$GOBIN/nats-server"`);
      const target = cachedBinaryPath(join(folder, 'cache'), preferredNatsVersion);
      assert.deepEqual(await goStep.run(context(env)), { path: target, version: preferredNatsVersion });
      assert.deepEqual(readdirSync(dirname(target)), ['nats-server']);
      assert.equal(
        readFileSync(seen, 'utf8').trim(),
        `install -trimpath -ldflags=-s -w github.com/nats-io/nats-server/v2@v${preferredNatsVersion}|||0`,
      );
      assert.match(lines.join('\n'), /this takes 1 to 2 minutes/);
    });

    it('says that it is still building, every ten seconds', async () => {
      const beats: (() => void)[] = [];
      const go = join(folder, 'go-may-end');
      const env = fakeGo(`while [ ! -e ${go} ]; do sleep 0.01; done; exit 1`);
      const clock = {
        ...systemClock,
        timer(delayMs: number, fire: () => void) {
          if (delayMs !== 10_000) return systemClock.timer(delayMs, fire);
          beats.push(fire);
          return { cancel: () => undefined };
        },
      };
      const built = goStep.run({ ...context(env), clock });
      while (beats.length === 0) await systemClock.yield();
      beats.shift()?.();
      writeFileSync(go, '');
      assert.match(JSON.stringify(await built), /exit code 1/);
      assert.match(lines.at(-1) ?? '', /still building, \d+ s/);
    });

    it('leaves nothing behind when the build fails or builds something else', async () => {
      const versions = join(folder, 'cache', 'nats-server', `v${preferredNatsVersion}`);
      const failed = await goStep.run(context(fakeGo('echo "no network" >&2; exit 1')));
      assert.deepEqual(failed, { reason: 'exit code 1: no network' });
      const other = writeProgram(folder, 'built', sayVersion('2.9.9'));
      const wrong = await goStep.run(context(fakeGo(`cp ${other} "$GOBIN/nats-server"`)));
      assert.match(JSON.stringify(wrong), /is version 2\.9\.9, and exactly/);
      assert.deepEqual(readdirSync(versions), []);
    });

    it('is passed over where there is no Go', async () => {
      assert.deepEqual(await goStep.run(context({ PATH: folder })), { reason: 'no go on the PATH' });
    });

    it('ends the build, and all that it started, when the caller gives up', async () => {
      const started = join(folder, 'started');
      const env = fakeGo(`(sleep 60 & echo $! > ${started}.tmp; mv ${started}.tmp ${started}; wait)`);
      const controller = new AbortController();
      const build = failure(Promise.resolve(goStep.run({ ...context(env), signal: controller.signal })));
      while (!existsSync(started)) await systemClock.yield();
      controller.abort();
      assert.equal((await build).code, 'aborted');
      const pid = readFileSync(started, 'utf8').trim();
      const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] : 'gone';
      assert.ok(state === 'gone' || state === 'Z', `the compiler still runs: ${state}`);
    });
  });

  describe('apt-get', () => {
    let system: PackageSystem;
    let log: string;

    beforeEach(() => {
      system = { isDebian: true, isRoot: true, hasServices: false, programFolder: join(folder, 'sbin') };
      log = join(folder, 'apt-log');
      mkdirSync(system.programFolder);
    });

    const run = (script: string, more: Partial<ProvisionContext> = {}): ReturnType<ProvisionStep['run']> => {
      const bin = join(folder, 'apt-bin');
      writeProgram(bin, 'apt-get', `echo "$@" >> ${log}\n${script}`);
      writeProgram(bin, 'systemctl', `echo systemctl "$@" >> ${log}`);
      return createAptStep(() => system).run({ ...context({ PATH: `${bin}:/usr/bin:/bin` }), ...more });
    };
    const called = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
    const install = 'install -y --no-install-recommends nats-server';
    const putServer = (): string => {
      const server = writeProgram(folder, 'packaged', sayVersion('2.9.10'));
      return `cp ${server} ${join(system.programFolder, 'nats-server')}`;
    };

    it('installs the package and checks what came', async () => {
      const found = await run(putServer());
      assert.deepEqual(found, { path: join(system.programFolder, 'nats-server'), version: '2.9.10' });
      assert.deepEqual(called(), [install]);
    });

    it('reads the package lists first when the package is not known yet', async () => {
      const known = join(folder, 'known');
      const script = `if [ "$1" = update ]; then touch ${known}; elif [ -e ${known} ]; then ${putServer()}; else exit 100; fi`;
      assert.equal('version' in (await run(script)), true);
      assert.deepEqual(called(), [install, 'update', install]);
    });

    it('switches off the service that the package brings, because it takes the port', async () => {
      system = { ...system, hasServices: true };
      await run(putServer());
      assert.deepEqual(called(), [install, 'systemctl disable --now nats-server']);
    });

    it('says why it failed', async () => {
      assert.deepEqual(await run('echo "E: no network" >&2; exit 100'), {
        reason: 'apt-get update: exit code 100: E: no network',
      });
    });

    it('touches nothing without Debian, without root, for an exact version, or when the package is there', async () => {
      const complete = system;
      system = { ...complete, isDebian: false };
      assert.match(JSON.stringify(await run('')), /not a Debian/);
      system = { ...complete, isRoot: false };
      assert.match(JSON.stringify(await run('')), /only root/);
      system = complete;
      assert.match(JSON.stringify(await run('', { exactVersion: true })), /exactly 2\.14\.2/);
      fakeServer('sbin', '2.8.0');
      assert.match(JSON.stringify(await run('')), /installed already/);
      assert.deepEqual(called(), []);
    });
  });
});
