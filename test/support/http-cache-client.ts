/** A minimal client of the HTTP door for tests: plain fetch with the headers spelled out. */

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly revision: number | undefined;
  readonly position: number | undefined;
  readonly headers: Headers;
}

async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const etag = /^"(\d+)"$/.exec(response.headers.get('etag') ?? '')?.[1];
  const position = response.headers.get('sluice-position');
  return {
    status: response.status,
    text,
    revision: etag === undefined ? undefined : Number(etag),
    position: position === null ? undefined : Number(position),
    headers: response.headers,
  };
}

const keyUrl = (base: string, cache: string, key: string, query: string): string =>
  `${base}/v1/caches/${cache}/keys/${encodeURIComponent(key)}${query}`;

export async function getKey(
  base: string,
  cache: string,
  key: string,
  headers: Record<string, string> = {},
  query = '',
): Promise<Answer> {
  return toAnswer(await fetch(keyUrl(base, cache, key, query), { headers }));
}

export async function putKey(
  base: string,
  cache: string,
  key: string,
  value: string | Uint8Array,
  headers: Record<string, string> = {},
  query = '',
): Promise<Answer> {
  const body = typeof value === 'string' ? value : Buffer.from(value);
  return toAnswer(
    await fetch(keyUrl(base, cache, key, query), {
      method: 'PUT',
      body,
      headers: { 'content-type': 'text/plain', ...headers },
    }),
  );
}

export async function deleteKey(base: string, cache: string, key: string): Promise<Answer> {
  return toAnswer(await fetch(keyUrl(base, cache, key, ''), { method: 'DELETE' }));
}

export async function declareCache(base: string, cache: string, settings: object = {}): Promise<Answer> {
  return toAnswer(
    await fetch(`${base}/v1/caches/${cache}`, {
      method: 'PUT',
      body: JSON.stringify(settings),
      headers: { 'content-type': 'application/json' },
    }),
  );
}

export async function postJson(base: string, path: string, body: unknown = {}): Promise<Answer> {
  return toAnswer(
    await fetch(`${base}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  );
}

export async function getJson<Body>(base: string, path: string): Promise<Body> {
  return (await (await fetch(`${base}${path}`)).json()) as Body;
}
