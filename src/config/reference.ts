/**
 * The texts that come from the schema: the configuration page, the help of a program, and the commented default file.
 * A test keeps the files equal to what is built here, so they are never edited by hand.
 */
import { otherVariables, type Program, type SettingEntry, settingEntries, settingTree } from './schema.ts';
import { isSetting, type SettingTree } from './setting.ts';
import { relations } from './validate.ts';

const sectionTitles: Readonly<Record<string, string>> = {
  cluster: 'The cluster',
  node: 'The node',
  http: 'The HTTP door',
  nats: 'NATS',
  log: 'The log',
  membership: 'Membership',
  read: 'Reading',
  cacheDefaults: 'Defaults of caches',
  watch: 'Change streams',
  limits: 'Limits',
  controller: 'The controller',
  audit: 'Audits of the controller',
  logging: 'Logging',
};

const introduction = `# Configuration

This page is made from the schema in \`src/config/schema.ts\`; a test keeps them equal.

A setting comes from, weakest first: its default, the file (\`--config FILE\` or the variable \`SLUICE_CONFIG\`), an
environment variable, a flag. The file is JSON in which comments and a comma after the last element are allowed;
\`config/cache-node.json\` holds every setting with its default, and \`config/examples/\` has complete examples.

- **Durations** are texts with a unit: \`500ms\`, \`30s\`, \`5m\`, \`24h\`, \`7d\`; a number counts milliseconds.
- **Sizes** are texts or numbers: \`64MiB\` (KiB = 1,024), \`1kB\` (kB = 1,000), \`1024\` (bytes).
- **None** is \`null\` in the file, and \`none\` in a variable or flag. An empty variable counts as not given.
- **Lists** are arrays in the file; in a variable or flag the elements are separated by commas.
- **Paths** are relative to the working directory.

A program that refuses its settings lists all problems at once, each as \`field: value: rule\`, and ends with exit code 78.
An unknown setting is a problem too, also a flag, and also a variable that begins with \`SLUICE_\`. Variables that Kubernetes
sets for a service called \`sluice\` are left alone; a service called \`sluice-http\` would set \`SLUICE_HTTP_PORT\`, so give its pods
\`enableServiceLinks: false\`. Secrets are never shown.

\`cache-controller\` and \`sluice\` read the same file and variables, and use the sections marked with their names; those of the\ncontroller alone are left alone by \`cache-node\`.
`;

/** The text of docs/configuration.md. */
export function buildReference(): string {
  const sections = Object.keys(settingTree).map((section) => {
    const entries = settingEntries.filter(({ path }) => path.split('.')[0] === section);
    const users = entries[0]?.programs.map((program) => `\`${program}\``).join(', ') ?? '';
    const rows = entries.map((entry) => {
      const { path, env, flag, setting } = entry;
      const names = `\`${env}\` \`${flag}\``;
      return `| \`${path}\` | ${setting.type} | ${setting.range} | \`${writtenDefault(entry)}\` | ${setting.says} | ${names} |`;
    });
    return [
      `## ${sectionTitles[section] ?? section}`,
      '',
      `Used by ${users}.`,
      '',
      '| setting | type | range | default | meaning | variable and flag |',
      '| --- | --- | --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n');
  });
  const rules = relations.map(({ fields, rule }) => `- \`${fields[0]}\` must be ${rule}.`);
  const others = Object.entries(otherVariables).map(
    ([name, says]) => `- \`${name}${name.endsWith('_') ? '…' : ''}\`: ${says}.`,
  );
  const tail = ['## Between settings', '', ...rules, '', '## Variables that are no settings', '', ...others, ''];
  return [introduction, ...sections, ...tail].join('\n').replace(/\n{3,}/g, '\n\n');
}

/** The options of a program, one setting each, for its --help. */
export function buildHelp(program: Program = 'cache-node'): string {
  const head = [
    `  --config <file>`,
    '      JSON with comments; flags and SLUICE_… variables are stronger than the file (SLUICE_CONFIG)',
  ];
  const options = settingEntries
    .filter(({ programs }) => programs.includes(program))
    .flatMap((entry) => [
      `  ${entry.flag} <${entry.setting.type}>`,
      `      ${entry.setting.says} [${writtenDefault(entry)}] (${entry.env})`,
    ]);
  return [...head, ...options].join('\n');
}

/** The text of config/cache-node.json: every setting with its default and its sentence. */
export function buildDefaultFile(): string {
  const head = [
    '// The settings of cache-node, and of the controller, with their defaults. Made from the schema; docs/configuration.md says more.',
    '// Comments and a comma after the last element are allowed. What is left out has its default.',
  ];
  return `${[...head, ...branchLines(settingTree, '', '')].join('\n')}\n`;
}

function branchLines(tree: SettingTree, prefix: string, indent: string): string[] {
  const inner = `${indent}  `;
  const body = Object.entries(tree).flatMap(([name, node]) => {
    if (!isSetting(node)) {
      const [open, ...rest] = branchLines(node, `${prefix}${name}.`, inner);
      return [`${inner}${JSON.stringify(name)}: ${open?.trim() ?? ''}`, ...rest];
    }
    return [
      `${inner}// ${node.says} (${node.range})`,
      `${inner}${JSON.stringify(name)}: ${JSON.stringify(node.written)},`,
    ];
  });
  return [`${indent}{`, ...body, indent === '' ? '}' : `${indent}},`];
}

function writtenDefault({ setting }: SettingEntry): string {
  return setting.written === null ? 'none' : String(setting.written);
}
