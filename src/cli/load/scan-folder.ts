/**
 * The regular files below a folder, always in the same order. Links are not followed: they may lead out of the folder, or in
 * circles.
 */
import type { Dirent } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SluiceError } from '../../errors.ts';
import { fileError } from '../file-error.ts';

export interface FoundFile {
  /** Relative to the folder, with slashes. */
  readonly path: string;
  readonly bytes: number;
}

export interface ScanLimits {
  /** Which paths count. */
  readonly matches: (path: string) => boolean;
  readonly filesMax: number;
  /** Of all files together. */
  readonly bytesMax: number;
  /** A larger file is passed over, and counted. */
  readonly fileBytesMax: number;
}

export interface Scan {
  readonly files: readonly FoundFile[];
  readonly bytes: number;
  readonly tooLarge: number;
  readonly links: number;
  /** Paths and reasons. */
  readonly unreadable: readonly string[];
  /** True when a limit ended it before the folder did. */
  readonly isCut: boolean;
}

/** Throws `not-found` when the folder is not there, `bad-request` when it is none. */
export async function scanFolder(folder: string, limits: ScanLimits, signal: AbortSignal): Promise<Scan> {
  await requireFolder(folder);
  const files: FoundFile[] = [];
  const unreadable: string[] = [];
  let bytes = 0;
  let tooLarge = 0;
  let links = 0;
  let isCut = false;

  async function visit(relative: string): Promise<void> {
    for (const entry of await list(relative)) {
      if (isCut || signal.aborted) return;
      const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isSymbolicLink()) links += limits.matches(path) ? 1 : 0;
      else if (entry.isFile() && limits.matches(path)) await take(path);
    }
  }

  async function list(relative: string): Promise<Dirent[]> {
    try {
      const entries = await readdir(join(folder, relative), { withFileTypes: true });
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      unreadable.push(`${relative === '' ? '.' : relative}: ${messageOf(error)}`);
      return [];
    }
  }

  async function take(path: string): Promise<void> {
    let size: number;
    try {
      size = (await lstat(join(folder, path))).size;
    } catch (error) {
      unreadable.push(`${path}: ${messageOf(error)}`);
      return;
    }
    if (size > limits.fileBytesMax) {
      tooLarge += 1;
    } else if (files.length >= limits.filesMax || bytes + size > limits.bytesMax) {
      isCut = true;
    } else {
      files.push({ path, bytes: size });
      bytes += size;
    }
  }

  await visit('');
  return { files, bytes, tooLarge, links, unreadable, isCut };
}

async function requireFolder(folder: string): Promise<void> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(folder)).isDirectory();
  } catch (error) {
    throw fileError('folder', error);
  }
  if (!isFolder) throw new SluiceError('bad-request', `folder: ${folder} is a file; sluice put takes files`);
}
