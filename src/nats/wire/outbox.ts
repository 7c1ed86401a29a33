/**
 * Memory for the commands of writes, and their way to the driver.
 *
 * A buffer of its own for each write, thousands of which are alive at a time, is what the garbage collector would be most busy
 * with. So commands that are sent at once lie one behind the other in shared chunks, and all that were sent in one turn of the
 * event loop go to the driver as one piece. A chunk's bytes are never used again: whoever still has them reads what they were.
 *
 * The driver's way of queueing bytes is not part of its public interface, so this file alone touches it, says when it cannot be
 * used, and a test pins the shape.
 */
import type { NatsConnection } from '@nats-io/nats-core';
import type { Chunk, ReadyCommand } from './ready-command.ts';

export interface Outbox {
  /** Where a command of up to so many bytes is to be written. */
  chunkFor(bytesMax: number): Chunk;
  /** Sends the command with this token, once: its bytes are the driver's from then on. False: it must be sent in the public way. */
  send(command: ReadyCommand, token: number): boolean;
}

interface DriverProtocol {
  outBytes?: number;
  outMsgs?: number;
  readonly connected?: boolean;
  readonly noMorePublishing?: boolean;
  readonly info?: { readonly headers?: boolean; readonly max_payload?: number };
  sendCommand?(command: Uint8Array): void;
}

/** What the driver sends at once. */
const chunkBytes = 32 * 1_024;
/** Above this a command has memory of its own. */
const sharedBytesMax = chunkBytes / 4;

const createChunk = (bytes: number): Chunk => ({ memory: Buffer.allocUnsafeSlow(bytes), filled: 0 });

export function createOutbox(connection: NatsConnection): Outbox {
  let chunk = createChunk(chunkBytes);
  /** The piece that was sent in this turn and is not with the driver yet. */
  let piece: Buffer | undefined;
  let start = 0;
  let end = 0;

  function handOver(protocol: DriverProtocol): void {
    if (piece === undefined) return;
    const bytes = piece.subarray(start, end);
    piece = undefined;
    protocol.sendCommand?.(bytes);
  }

  return {
    chunkFor(bytesMax) {
      if (bytesMax > sharedBytesMax) return createChunk(bytesMax);
      if (chunk.filled + bytesMax > chunkBytes) chunk = createChunk(chunkBytes);
      return chunk;
    },
    send(command, token) {
      const { protocol } = connection as unknown as { readonly protocol?: DriverProtocol };
      if (
        protocol?.sendCommand === undefined ||
        protocol.connected !== true ||
        protocol.noMorePublishing !== false ||
        protocol.outBytes === undefined ||
        protocol.outMsgs === undefined
      )
        return false;
      const { bytes } = command;
      // What the driver refuses, it shall refuse in its own words.
      if (protocol.info?.headers !== true || bytes > (protocol.info.max_payload ?? 0)) return false;
      if (connection.isClosed() || !command.isWellFormed) return false;
      command.setToken(token);
      protocol.outBytes += bytes;
      protocol.outMsgs += 1;
      if (piece !== command.memory || end !== command.start) {
        if (piece === undefined) queueMicrotask(() => handOver(protocol));
        else handOver(protocol);
        piece = command.memory;
        start = command.start;
      }
      end = command.end;
      return true;
    },
  };
}
