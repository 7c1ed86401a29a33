/** cache declare, drop, show, list: what caches there are, and how they are set up. */
import { Option } from 'commander';
import { openLogRegistry } from '../../cluster/log-registry.ts';
import { parseCacheSettings, validateCacheName } from '../../config/cache-settings.ts';
import { cacheTree } from '../../config/schema.ts';
import type { Form } from '../../config/setting.ts';
import { formatBytes, formatDuration } from '../../config/units.ts';
import type { CacheDeclaration } from '../../events/control.ts';
import { formatTable } from '../terminal/table.ts';
import { formatCount } from '../terminal/text.ts';
import { connectionNotes, connectionOptions, withCache, withSession } from './connection.ts';
import type { CommandSpec, GivenOptions } from './context.ts';
import { textOption } from './options.ts';

const forms: Readonly<Record<string, Form<unknown> & { readonly says: string }>> = cacheTree;
const flagOf = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export const declareCommand: CommandSpec = {
  usage: 'declare <cache>',
  summary: 'declare a cache, or change what may change of its settings',
  options: [
    ...Object.entries(forms).map(([name, { says, type }]) => new Option(`--${flagOf(name)} <${type}>`, says)),
    ...connectionOptions(),
  ],
  notes: `What is left out has the default of the section cacheDefaults. Says created, changed or unchanged, and the position.
Partitions, replicas of the log, its size and what happens when it is full cannot change (exit 65). ${connectionNotes}`,
  async run(call) {
    const [cacheName = ''] = call.words;
    const name = validateCacheName(cacheName);
    return withSession(call, async (session, settings) => {
      const registry = openLogRegistry(session, settings);
      try {
        const declaration = parseCacheSettings(declarationOf(call.given), settings.cacheDefaults);
        const outcome = await registry.declare(name, declaration);
        if (call.terminal.isJson) call.terminal.printJson({ cache: name, outcome, settings: declaration });
        else call.terminal.print(`${name}: ${outcome}`);
        return 'ok';
      } finally {
        await registry.stop();
      }
    });
  },
};

/** The declaration as a door would get it: texts of options become JSON values in the way of variables. */
export function declarationOf(given: GivenOptions): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(forms).flatMap(([name, form]) => {
      const text = textOption(given, name);
      return text === undefined ? [] : [[name, form.fromText(text)]];
    }),
  );
}

export const dropCommand: CommandSpec = {
  usage: 'drop <cache>',
  summary: 'drop a cache with all its entries; exit 1 when none of that name is declared',
  options: connectionOptions(),
  notes: connectionNotes,
  async run(call) {
    const [cacheName = ''] = call.words;
    const name = validateCacheName(cacheName);
    return withSession(call, async (session, settings) => {
      const registry = openLogRegistry(session, settings);
      try {
        const dropped = await registry.drop(name);
        if (call.terminal.isJson) call.terminal.printJson({ cache: name, dropped });
        else if (dropped) call.terminal.print(`${name}: dropped`);
        else call.terminal.note(`sluice: no cache ${name} is declared`);
        return dropped ? 'ok' : 'negative';
      } finally {
        await registry.stop();
      }
    });
  },
};

export const showCommand: CommandSpec = {
  usage: 'show <cache>',
  summary: 'show the settings of a cache and where its logs stand',
  options: connectionOptions(),
  notes: connectionNotes,
  async run(call) {
    const [cacheName = ''] = call.words;
    return withCache(call, cacheName, async ({ host, session }) => {
      const logs = await Promise.all(
        host.partitions.map(async ({ log, subjects }, partition) => {
          const { first, last, messages } = await log.bounds(call.signal);
          return { partition, bucket: subjects.bucket, first, last, messages };
        }),
      );
      const by = session.control.state.caches.caches.get(cacheName)?.by;
      const { terminal } = call;
      if (terminal.isJson) {
        const { name, kind, declaredAt, settings } = host;
        terminal.printJson({ cache: name, kind, declaredAt, by, settings, logs });
        return 'ok';
      }
      terminal.print(
        host.kind === 'adopted'
          ? `${cacheName}: a bucket made by others`
          : `${cacheName}: declared at position ${host.declaredAt}${by === undefined ? '' : ` by ${by}`}`,
      );
      for (const [name, text] of settingRows(host.settings)) terminal.print(`  ${name.padEnd(14)} ${text}`);
      const rows = logs.map((log) => [log.bucket, ...[log.first, log.last, log.messages].map(formatCount)]);
      const head = ['bucket', 'first', 'last', 'messages'];
      for (const line of formatTable(head, rows, head.slice(1))) terminal.print(`  ${line}`);
      return 'ok';
    });
  },
};

export const cachesCommand: CommandSpec = {
  usage: 'list',
  summary: 'list the declared caches',
  options: connectionOptions(),
  notes: `A bucket made by others is a cache without a declaration, and is not listed. ${connectionNotes}`,
  async run(call) {
    return withSession(call, async (session) => {
      const caches = [...session.control.state.caches.caches].sort(([a], [b]) => (a < b ? -1 : 1));
      const { terminal } = call;
      if (terminal.isJson) {
        for (const [cache, { settings, declaredAt, by }] of caches)
          terminal.printJson({ cache, declaredAt, by, settings });
        return 'ok';
      }
      const rows = caches.map(([name, { settings, declaredAt, by }]) => [
        name,
        String(settings.partitions),
        String(settings.replicas),
        settings.ttlMs === null ? 'none' : formatDuration(settings.ttlMs),
        String(declaredAt),
        by ?? '-',
      ]);
      const head = ['cache', 'partitions', 'replicas', 'ttl', 'declared at', 'by'];
      for (const line of formatTable(head, rows)) terminal.print(line);
      return 'ok';
    });
  },
};

/** Settings with their units, in the order of the schema. */
function settingRows(settings: CacheDeclaration): (readonly [name: string, text: string])[] {
  const orNone = (value: number | null, format: (value: number) => string): string =>
    value === null ? 'none' : format(value);
  return [
    ['partitions', String(settings.partitions)],
    ['replicas', String(settings.replicas)],
    ['logReplicas', String(settings.logReplicas)],
    ['entriesMax', formatCount(settings.entriesMax)],
    ['bytesMax', formatBytes(settings.bytesMax)],
    ['ttl', orNone(settings.ttlMs, formatDuration)],
    ['valueBytesMax', formatBytes(settings.valueBytesMax)],
    ['logBytesMax', orNone(settings.logBytesMax, formatBytes)],
    ['whenFull', settings.whenFull],
  ];
}
