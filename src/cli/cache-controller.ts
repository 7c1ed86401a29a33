#!/usr/bin/env node
/**
 * The place of the controller: in this version it has no duties, and says so. Starting it by mistake must not look like a
 * running controller.
 */
import { loadSettings } from '../config/load.ts';
import { buildHelp } from '../config/reference.ts';
import { exitCodeOf, exitTable } from './exit-code.ts';
import { parseFlags } from './flags.ts';
import { loadPackageVersion } from './package-version.ts';
import { formatError } from './terminal/report-error.ts';

const programName = 'cache-controller';
const about = `The controller of a Sluice cluster will answer JSON-RPC, program OpenFlow switches and keep statistics.
This version has no controller duties yet: nodes agree on members and caches through the log, without one.`;

const help = `Usage: cache-controller [--config FILE] [--SETTING VALUE …]

${about}
It checks its settings, says this, and ends with exit code ${exitTable.unavailable.code}.

Settings (weakest first: default, file, variable, flag):
${buildHelp(programName)}

  --help, --version
`;

process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

try {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.wantsHelp) process.stdout.write(help);
  else if (flags.wantsVersion) process.stdout.write(`${loadPackageVersion()}\n`);
  else {
    loadSettings({ flags: flags.values, program: programName });
    process.stderr.write(`${programName}: unsupported: ${about.replace('\n', ' ')} Nothing was started.\n`);
    process.exitCode = exitTable.unavailable.code;
  }
} catch (error) {
  process.stderr.write(`${formatError(programName, error, false)}\n`);
  process.exitCode = exitCodeOf(error);
}
