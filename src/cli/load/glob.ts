/** Patterns for paths, as shells have them: `*` and `?` within a name, `**` across folders. */

/** A pattern without a slash is about the file's own name, wherever it is. */
export function createMatcher(pattern: string): (path: string) => boolean {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|[^*?]+/g, (part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part === '**') return '.*';
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    return part.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  const expression = new RegExp(`^${source}$`, 's');
  const isOfName = !pattern.includes('/');
  return (path) => expression.test(isOfName ? path.slice(path.lastIndexOf('/') + 1) : path);
}
