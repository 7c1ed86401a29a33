/** Who joined and left, as the control log has it, noted in the history of the first cache. */
import { faultCaches } from './caches.ts';
import type { Histories } from './histories.ts';
import type { LogReader } from './log-reader.ts';

export async function noteMembers(log: LogReader, histories: Histories): Promise<void> {
  const [cache] = faultCaches;
  if (cache === undefined) return;
  const recorder = histories.of(cache.name);
  const { messages } = await log.readMessages('SLUICE');
  for (const { subject, seq } of messages) {
    const [, kind, node = '', nodeIncarnation = '', event] = subject.split('.');
    if (kind !== 'member' || (event !== 'joined' && event !== 'left')) continue;
    recorder.observe({ type: 'member', process: 'control log', event, node, nodeIncarnation, position: seq });
  }
}
