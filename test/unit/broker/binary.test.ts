/** Versions of nats-server: how they are read, compared and judged. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  compareVersions,
  oldestNatsVersion,
  parseVersion,
  refuseVersion,
} from '../../../src/broker/provision/binary.ts';
import { findChecksum, releaseFile } from '../../../src/broker/provision/download.ts';

describe('a version of nats-server', () => {
  it('is read from what the program says, in each form that it was ever said', () => {
    assert.equal(parseVersion('nats-server: v2.14.2\n'), '2.14.2');
    assert.equal(parseVersion('nats-server: v2.11.0-RC.1\n'), '2.11.0-RC.1');
    assert.equal(parseVersion('nats-server version 2.0.4\n'), '2.0.4');
    assert.equal(parseVersion('some warning\nnats-server: v2.9.10'), '2.9.10');
  });

  it('is not read from what another program says', () => {
    for (const output of ['', '2.14.2', 'nats: v2.14.2', 'nats-server: latest', 'my nats-server: v2.14.2'])
      assert.equal(parseVersion(output), undefined, output);
  });

  it('is compared by numbers, and a pre-release comes before its release', () => {
    const ordered = ['2.8.9', '2.9.4-beta.1', '2.9.4', '2.9.10', '2.11.0-RC.1', '2.11.0', '2.14.2', '10.0.0'];
    for (const [i, a] of ordered.entries())
      for (const [j, b] of ordered.entries())
        assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} ${b}`);
  });

  it('compares like a tuple of numbers for all versions', () => {
    const part = fc.nat(300);
    fc.assert(
      fc.property(fc.tuple(part, part, part), fc.tuple(part, part, part), (a, b) => {
        const expected = a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
        assert.equal(Math.sign(compareVersions(a.join('.'), b.join('.'))), Math.sign(expected));
      }),
    );
  });

  it('is accepted from the oldest one on, or only exactly', () => {
    const any = { version: '2.14.2', exactVersion: false };
    const exact = { version: '2.14.2', exactVersion: true };
    assert.equal(refuseVersion(oldestNatsVersion, any), undefined);
    assert.equal(refuseVersion('2.15.0-dev', any), undefined);
    assert.match(refuseVersion('2.9.3', any) ?? '', /older than 2\.9\.4/);
    assert.match(refuseVersion('2.9.4-beta.1', any) ?? '', /older than 2\.9\.4/);
    assert.equal(refuseVersion('2.14.2', exact), undefined);
    assert.match(refuseVersion('2.14.3', exact) ?? '', /exactly 2\.14\.2/);
  });
});

describe('an official release', () => {
  it('is named as the project names its archives', () => {
    assert.equal(releaseFile('2.14.2', 'linux', 'x64'), 'nats-server-v2.14.2-linux-amd64.tar.gz');
    assert.equal(releaseFile('2.14.2', 'linux', 'arm64'), 'nats-server-v2.14.2-linux-arm64.tar.gz');
    assert.equal(releaseFile('2.14.2', 'darwin', 'arm64'), 'nats-server-v2.14.2-darwin-arm64.tar.gz');
    assert.equal(releaseFile('2.14.2', 'win32', 'x64'), undefined);
    assert.equal(releaseFile('2.14.2', 'linux', 'mips'), undefined);
  });

  it('has its checksum in a list, found by the whole file name', () => {
    const sum = (digit: string): string => digit.repeat(64);
    const list = [
      `${sum('a')}  nats-server-v2.14.2-linux-amd64.tar.gz.sbom`,
      `${sum('B')}  nats-server-v2.14.2-linux-amd64.tar.gz`,
      `${sum('c')} *other.tar.gz`,
      'garbage',
      `${'d'.repeat(63)}  short.tar.gz`,
    ].join('\n');
    assert.equal(findChecksum(list, 'nats-server-v2.14.2-linux-amd64.tar.gz'), sum('b'));
    assert.equal(findChecksum(list, 'other.tar.gz'), sum('c'));
    assert.equal(findChecksum(list, 'short.tar.gz'), undefined);
    assert.equal(findChecksum('<html>not a list</html>', 'other.tar.gz'), undefined);
  });
});
