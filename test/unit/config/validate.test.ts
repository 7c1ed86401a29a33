/** Relations between settings: each can be broken, is reported with its rule, and holds at its boundary. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadSettings } from '../../../src/config/load.ts';
import { settingEntries } from '../../../src/config/schema.ts';
import { relations } from '../../../src/config/validate.ts';
import { isSluiceError } from '../../../src/errors.ts';

type Env = Readonly<Record<string, string>>;

/** For the field of each relation: settings that just hold, settings that just do not, and what is said. */
const cases: readonly { readonly field: string; readonly holds: Env; readonly breaks: Env; readonly says: string }[] = [
  {
    field: 'http.headersTimeout',
    holds: { SLUICE_HTTP_HEADERS_TIMEOUT: '30s' },
    breaks: { SLUICE_HTTP_HEADERS_TIMEOUT: '30001ms' },
    says: 'http.headersTimeout: 30001ms: must be at most http.requestTimeout (http.requestTimeout is 30s)',
  },
  {
    field: 'http.bodyBytesMax',
    holds: { SLUICE_HTTP_BODY_BYTES_MAX: '1MiB' },
    breaks: { SLUICE_HTTP_BODY_BYTES_MAX: '1023KiB' },
    says: 'http.bodyBytesMax: 1023KiB: must be at least cacheDefaults.valueBytesMax (cacheDefaults.valueBytesMax is 1MiB)',
  },
  {
    field: 'nats.password',
    holds: { SLUICE_NATS_USER: 'me', SLUICE_NATS_PASSWORD: 'p' },
    breaks: { SLUICE_NATS_USER: 'me' },
    says: 'nats.password: none: must be given together with nats.user, or neither (nats.user is me)',
  },
  {
    field: 'nats.credentialsFile',
    holds: { SLUICE_NATS_CREDENTIALS_FILE: 'x.creds' },
    breaks: { SLUICE_NATS_CREDENTIALS_FILE: 'x.creds', SLUICE_NATS_TOKEN: 't' },
    says:
      'nats.credentialsFile: x.creds: must be the only way to log in, where more than one of nats.user, nats.token and ' +
      'nats.credentialsFile is given (nats.user is none, nats.token is (hidden))',
  },
  {
    field: 'nats.tls.keyFile',
    holds: { SLUICE_NATS_TLS_KEY_FILE: 'k', SLUICE_NATS_TLS_CERT_FILE: 'c' },
    breaks: { SLUICE_NATS_TLS_KEY_FILE: 'k' },
    says: 'nats.tls.keyFile: k: must be given together with nats.tls.certFile, or neither (nats.tls.certFile is none)',
  },
  {
    field: 'log.silence',
    holds: { SLUICE_LOG_SILENCE: '1001ms' },
    breaks: { SLUICE_LOG_SILENCE: '1s' },
    says: 'log.silence: 1s: must be more than 2 × log.heartbeat (log.heartbeat is 500ms)',
  },
  {
    field: 'log.bytesInFlightMax',
    holds: { SLUICE_LOG_BYTES_IN_FLIGHT_MAX: '1MiB' },
    breaks: { SLUICE_LOG_BYTES_IN_FLIGHT_MAX: '1048575' },
    says: 'log.bytesInFlightMax: 1048575B: must be at least cacheDefaults.valueBytesMax (cacheDefaults.valueBytesMax is 1MiB)',
  },
  {
    field: 'membership.suspectAfter',
    holds: { SLUICE_MEMBERSHIP_PULSE: '499ms' },
    breaks: { SLUICE_MEMBERSHIP_PULSE: '500ms' },
    says: 'membership.suspectAfter: 1s: must be more than 2 × membership.pulse (membership.pulse is 500ms)',
  },
  {
    field: 'membership.evictAfter',
    holds: { SLUICE_MEMBERSHIP_EVICT_AFTER: '1001ms' },
    breaks: { SLUICE_MEMBERSHIP_EVICT_AFTER: '1s' },
    says: 'membership.evictAfter: 1s: must be more than membership.suspectAfter (membership.suspectAfter is 1s)',
  },
  {
    field: 'cacheDefaults.bytesMax',
    holds: { SLUICE_CACHE_DEFAULTS_BYTES_MAX: '1MiB' },
    breaks: { SLUICE_CACHE_DEFAULTS_BYTES_MAX: '1MB' },
    says: 'cacheDefaults.bytesMax: 1000000B: must be at least valueBytesMax (cacheDefaults.valueBytesMax is 1MiB)',
  },
  {
    field: 'cacheDefaults.logBytesMax',
    holds: { SLUICE_CACHE_DEFAULTS_PARTITIONS: '512' },
    breaks: { SLUICE_CACHE_DEFAULTS_PARTITIONS: '513' },
    says:
      'cacheDefaults.logBytesMax: 1GiB: must be at least 2 × partitions × valueBytesMax, or none ' +
      '(cacheDefaults.partitions is 513, cacheDefaults.valueBytesMax is 1MiB)',
  },
];

function problemsOf(env: Env): readonly string[] {
  try {
    loadSettings({ env });
    return [];
  } catch (error) {
    assert.ok(isSluiceError(error, 'bad-config'));
    return (error.details as { readonly problems: readonly string[] }).problems;
  }
}

describe('relations between settings', () => {
  it('are each covered by a case below', () => {
    assert.deepEqual(cases.map(({ field }) => field).sort(), relations.map(({ fields }) => fields[0]).sort());
  });

  for (const { field, holds, breaks, says } of cases) {
    it(`accept ${field} at its boundary and refuse it beyond`, () => {
      assert.deepEqual(problemsOf(holds), []);
      assert.deepEqual(problemsOf(breaks), [says]);
    });
  }

  it('speak of settings that exist', () => {
    const paths = new Set(settingEntries.map(({ path }) => path));
    assert.deepEqual(
      relations.flatMap(({ fields }) => fields.filter((field) => !paths.has(field))),
      [],
    );
  });

  it('are not judged while one of their settings is wrong by itself', () => {
    assert.deepEqual(problemsOf({ SLUICE_LOG_HEARTBEAT: '2s', SLUICE_LOG_SILENCE: '300ms' }).length, 1);
  });
});
