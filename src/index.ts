/** Sluice, in process: the public list of names. */
export { type ErrorCode, type ErrorDetails, errorTable, isSluiceError, SluiceError } from './errors.ts';
export { bytes, type Codec, json, text } from './library/codec.ts';
export type {
  CacheChange,
  CacheStats,
  ClearOptions,
  CoherentCache,
  DeleteOptions,
  EntryView,
  Lag,
  Loader,
  LoadOptions,
  MemoizeOptions,
  WriteOptions,
} from './library/coherent-cache.ts';
export { type ConnectOptions, connect, type OpenOptions, type Sluice } from './library/connect.ts';
export type { Written } from './service/cache-service.ts';
