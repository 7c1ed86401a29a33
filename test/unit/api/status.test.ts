/**
 * The table of error codes on all transports, and its page. `UPDATE_DOCS=1` rewrites docs/errors.md instead of comparing it.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { STATUS_CODES } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { grpcName, statusTable } from '../../../src/api/status.ts';
import { type ErrorCode, errorTable } from '../../../src/errors.ts';
import { projectRoot } from '../../support/project.ts';

const page = join(projectRoot, 'docs', 'errors.md');
const codes = Object.keys(errorTable) as ErrorCode[];

function buildRow(code: ErrorCode): string {
  const { meaning, retryable } = errorTable[code];
  const { http, grpc, jsonRpc } = statusTable[code];
  const cells = [
    `\`${code}\``,
    meaning,
    retryable ? 'yes' : 'no',
    String(http),
    `${grpc} ${grpcName(grpc)}`,
    String(jsonRpc),
  ];
  return `| ${cells.join(' | ')} |`;
}

const tableStart = '| code | meaning | retry | HTTP | gRPC | JSON-RPC |\n| --- | --- | --- | --- | --- | --- |\n';
const buildTable = (): string => `${tableStart}${codes.map(buildRow).join('\n')}\n`;

/** The page with its table replaced by the one of the code. */
function withTable(text: string): string {
  const from = text.indexOf(tableStart);
  assert.ok(from >= 0, 'docs/errors.md has no table of codes');
  const rest = text.slice(from).split('\n');
  const end = rest.findIndex((line) => !line.startsWith('|'));
  return text.slice(0, from) + buildTable() + rest.slice(end).join('\n');
}

describe('the table of error codes', () => {
  it('is docs/errors.md', () => {
    const text = readFileSync(page, 'utf8');
    const wanted = withTable(text);
    const { UPDATE_DOCS } = process.env;
    if (UPDATE_DOCS === '1') writeFileSync(page, wanted);
    assert.ok(
      readFileSync(page, 'utf8') === wanted,
      'docs/errors.md differs from the tables; rewrite it: UPDATE_DOCS=1 node .ci/test.mjs unit/api/status',
    );
  });

  it('has the same codes on all transports', () => {
    assert.deepEqual(Object.keys(statusTable).sort(), [...codes].sort());
  });

  it('uses statuses that exist, and JSON-RPC codes of its own', () => {
    const used = new Set<number>();
    for (const code of codes) {
      const { http, grpc, jsonRpc } = statusTable[code];
      assert.ok(http >= 400 && (http in STATUS_CODES || code === 'aborted'), code);
      assert.match(grpcName(grpc), /^[A-Z_]+$/, code);
      assert.notEqual(grpcName(grpc), 'UNKNOWN', code);
      const isStandard = [-32600, -32601, -32602, -32603].includes(jsonRpc);
      assert.ok(isStandard || (jsonRpc <= -32000 && jsonRpc >= -32099), code);
      assert.equal(used.has(jsonRpc), false, `${code}: ${jsonRpc} is used twice`);
      used.add(jsonRpc);
    }
  });

  it('blames the client only for what the client can change', () => {
    for (const code of codes) {
      const { http, grpc } = statusTable[code];
      if (errorTable[code].retryable) assert.ok(http >= 500 || [421, 429, 499].includes(http), code);
      if (grpcName(grpc) === 'INVALID_ARGUMENT') assert.equal(http, 400, code);
      if (grpcName(grpc) === 'UNAVAILABLE') assert.equal(http, 503, code);
    }
  });
});
