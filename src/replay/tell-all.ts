/**
 * Telling listeners of one event. One that throws must not keep the others from hearing it: its error is thrown after all were
 * told, so that the follower counts it. A listener that stops meanwhile is not told any more; a new one hears the next event.
 */
export function tellAll<Listener>(listeners: ReadonlySet<Listener>, tell: (listener: Listener) => void): void {
  if (listeners.size === 0) return;
  const errors: unknown[] = [];
  for (const listener of [...listeners]) {
    if (!listeners.has(listener)) continue;
    try {
      tell(listener);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
