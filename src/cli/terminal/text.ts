/**
 * How things look to people: keys, values, times, amounts. Nothing from a cache reaches a terminal as it is: a key or value
 * may hold anything, and a terminal obeys control characters.
 */
import { asBuffer } from '../../base/bytes.ts';

const unsafe = /[\p{C}\u2028\u2029]/u;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const previewCharactersMax = 60;
/** Enough for the preview of a value; the rest needs not be decoded. */
const previewBytesMax = 1024;

/** The key as it is, or as a JSON string when it holds what a terminal or a line must not see. */
export function showKey(key: string): string {
  return unsafe.test(key) || key.startsWith('"') || key !== key.trim() ? escapeText(key) : key;
}

/** JSON with every character escaped that a terminal could obey. */
function escapeText(text: string): string {
  return JSON.stringify(text).replace(/[\p{C}\u2028\u2029]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** The text of a value, or undefined when it is no UTF-8. */
export function textOf(value: Uint8Array): string | undefined {
  try {
    return utf8.decode(value);
  } catch {
    return undefined;
  }
}

/** The beginning of a value as a JSON string, or nothing when it is not text. */
export function previewValue(value: Uint8Array): string {
  const head = value.subarray(0, previewBytesMax);
  const text = textOf(head) ?? textOf(head.subarray(0, lastBoundary(head)));
  if (text === undefined || (value.length > 0 && text === '')) return '';
  const characters = [...text];
  const isWhole = characters.length <= previewCharactersMax && head.length === value.length;
  return escapeText(characters.slice(0, previewCharactersMax).join('')) + (isWhole ? '' : '…');
}

/** Where the last, possibly cut, character of UTF-8 begins. */
function lastBoundary(bytes: Uint8Array): number {
  let at = bytes.length - 1;
  while (at > 0 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return Math.max(0, at);
}

/** A value in JSON: text where it is text, else base64. */
export function jsonValue(value: Uint8Array): { readonly encoding: 'text' | 'base64'; readonly value: string } {
  const text = textOf(value);
  if (text !== undefined) return { encoding: 'text', value: text };
  return { encoding: 'base64', value: asBuffer(value).toString('base64') };
}

/** ISO 8601 in UTC, or undefined for never. */
export function isoTime(ms: number): string | undefined {
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined;
}

export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** About three digits: `512 B`, `1.5 KiB`, `64.0 MiB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let amount = bytes / 1024;
  for (const unit of ['KiB', 'MiB', 'GiB']) {
    if (amount < 1024) return `${amount.toFixed(1)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}

/** About two digits: `120 ms`, `3.4 s`, `2 min 5 s`, `3 h 12 min`. */
export function formatSpan(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `1 file`, `2 files`. */
export const plural = (count: number, word: string): string => `${formatCount(count)} ${word}${count === 1 ? '' : 's'}`;

const lineCharactersMax = 80;

/** One paragraph, broken into lines at spaces. */
export function wrapText(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= lineCharactersMax) lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines.join('\n');
}
