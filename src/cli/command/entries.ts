/** put, get, delete: one entry, straight from and to the log. */
import { writeFile } from 'node:fs/promises';
import { Option } from 'commander';
import { SluiceError } from '../../errors.ts';
import { validateKey } from '../../events/key.ts';
import { fileError } from '../file-error.ts';
import { isoTime, jsonValue, showKey } from '../terminal/text.ts';
import { connectionNotes, connectionOptions, withCache } from './connection.ts';
import type { CommandSpec } from './context.ts';
import { countOption, durationOption, hasOption, listOption, textOption, textsOption } from './options.ts';
import { readValue } from './value-input.ts';

const ifRevision = (): Option =>
  new Option('--if-revision <revision>', 'only if the key has this revision; else exit 1');

export const putCommand: CommandSpec = {
  usage: 'put <cache> <key> [value]',
  summary: 'write an entry; the value comes from the argument, --file, or standard input',
  options: [
    new Option('--file <path>', 'read the value from a file (-: standard input)'),
    new Option('--ttl <duration>', 'life of the entry, e.g. 30s or 24h [that of the cache]'),
    listOption('--tag <tag>', 'tag to invalidate it by; may be repeated, or have commas', true),
    new Option('--type <type>', 'content type, e.g. text/plain'),
    ifRevision(),
    new Option('--if-absent', 'only if the key does not exist; else exit 1'),
    ...connectionOptions(),
  ],
  notes: `Prints the revision. ${connectionNotes}`,
  async run(call) {
    const [cacheName = '', key = '', argument] = call.words;
    const { given, terminal, signal } = call;
    validateKey(key);
    const options = {
      ttlMs: durationOption(given, 'ttl'),
      tags: textsOption(given, 'tag'),
      contentType: textOption(given, 'type'),
      ifRevision: countOption(given, 'ifRevision', 1),
      ifAbsent: hasOption(given, 'ifAbsent'),
    };
    if (options.ifAbsent && options.ifRevision !== undefined)
      throw new SluiceError('bad-request', '--if-absent and --if-revision: only one of both can be demanded');
    return withCache(call, cacheName, async ({ host }) => {
      const file = textOption(given, 'file');
      const value = await readValue(call, { argument, file, bytesMax: host.settings.valueBytesMax });
      const { revision, partition } = await host.cache.put(key, value, { ...options, signal });
      const written = { cache: cacheName, key, revision, partition, bytes: value.length };
      if (terminal.isJson) terminal.printJson(written);
      else terminal.print(`${showKey(key)}: revision ${revision}`);
      return 'ok';
    });
  },
};

export const getCommand: CommandSpec = {
  usage: 'get <cache> <key>',
  summary: 'write the value of an entry to standard output, as it is; exit 1 when there is none',
  options: [new Option('--output <path>', 'write the value to a file instead'), ...connectionOptions()],
  notes: `Reads from the leader of the log, so it sees every acknowledged write. With --json: value and what is known of it.
${connectionNotes}`,
  async run(call) {
    const [cacheName = '', key = ''] = call.words;
    const { given, terminal, signal } = call;
    validateKey(key);
    return withCache(call, cacheName, async ({ host }) => {
      const { found } = await host.cache.get(key, { signal });
      if (found === undefined) {
        if (terminal.isJson) terminal.printJson({ cache: cacheName, key, found: false });
        else terminal.note(`sluice: ${cacheName} has no ${showKey(key)}`);
        return 'negative';
      }
      const output = textOption(given, 'output');
      if (output !== undefined) await save(output, found.value);
      if (terminal.isJson) {
        terminal.printJson({
          cache: cacheName,
          key,
          found: true,
          revision: found.revision,
          at: isoTime(found.atMs),
          expires: isoTime(found.expiresAtMs),
          type: found.contentType,
          tags: found.tags,
          bytes: found.value.length,
          ...(output === undefined ? jsonValue(found.value) : { output }),
        });
      } else if (output === undefined) {
        await terminal.writeBytes(found.value);
      }
      return 'ok';
    });
  },
};

async function save(path: string, value: Uint8Array): Promise<void> {
  try {
    await writeFile(path, value);
  } catch (error) {
    throw fileError('--output', error);
  }
}

export const deleteCommand: CommandSpec = {
  usage: 'delete <cache> <key>',
  summary: 'delete an entry; also good when there is none',
  options: [ifRevision(), ...connectionOptions()],
  notes: `Prints the position of the delete. ${connectionNotes}`,
  async run(call) {
    const [cacheName = '', key = ''] = call.words;
    const { given, terminal, signal } = call;
    validateKey(key);
    const revision = countOption(given, 'ifRevision', 1);
    return withCache(call, cacheName, async ({ host }) => {
      const deleted = await host.cache.delete(key, { ifRevision: revision, signal });
      if (terminal.isJson) {
        terminal.printJson({ cache: cacheName, key, position: deleted.revision, partition: deleted.partition });
      } else {
        terminal.print(`${showKey(key)}: deleted at position ${deleted.revision}`);
      }
      return 'ok';
    });
  },
};
