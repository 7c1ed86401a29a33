/** The content type of a file by the end of its name, for the common ones. */

const text = (type: string): string => `text/${type}; charset=utf-8`;

const types: Readonly<Record<string, string>> = {
  avif: 'image/avif',
  bin: 'application/octet-stream',
  cjs: text('javascript'),
  css: text('css'),
  csv: text('csv'),
  gif: 'image/gif',
  gz: 'application/gzip',
  htm: text('html'),
  html: text('html'),
  ico: 'image/x-icon',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: text('javascript'),
  json: 'application/json',
  map: 'application/json',
  md: text('markdown'),
  mjs: text('javascript'),
  mp3: 'audio/mpeg',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  tar: 'application/x-tar',
  toml: 'application/toml',
  ts: text('plain'),
  ttf: 'font/ttf',
  txt: text('plain'),
  wasm: 'application/wasm',
  webm: 'video/webm',
  webp: 'image/webp',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xml: 'application/xml',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  zip: 'application/zip',
};

/** Undefined for an end that is not known: then it is plain bytes. */
export function contentTypeOf(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  const end = dot > 0 ? name.slice(dot + 1).toLowerCase() : '';
  return Object.hasOwn(types, end) ? types[end] : undefined;
}
