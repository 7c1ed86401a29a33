/** The two verdicts of a check of histories. */
import assert from 'node:assert/strict';
import type { Finding } from '../../src/testing/history/finding.ts';
import type { History } from '../../src/testing/history/record.ts';

type Check = (history: History) => Finding[];

export function holds(check: Check, history: History): void {
  assert.deepEqual(check(history), []);
}

export function breaks(check: Check, history: History, message: RegExp): void {
  const findings = check(history);
  assert.equal(findings.length, 1, JSON.stringify(findings));
  assert.match(findings[0]?.message ?? '', message);
  assert.ok((findings[0]?.records.length ?? 0) > 0);
}
