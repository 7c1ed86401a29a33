/**
 * The configuration file of a local nats-server, as text. A pure function: what is written here is all the server is
 * told, apart from the folder for its ports file.
 */
export interface ServerClusterOptions {
  readonly name: string;
  /** Port for the other servers; fixed, because routes name it. */
  readonly port: number;
  /** `nats://host:port` of all servers of the cluster. */
  readonly routes: readonly string[];
}

export interface ServerConfig {
  readonly host: string;
  /** 0 or below: chosen by the system. */
  readonly port: number;
  readonly storeFolder: string;
  readonly logFile: string;
  readonly serverName?: string | undefined;
  readonly cluster?: ServerClusterOptions | undefined;
  readonly maxPayloadBytes?: number | undefined;
  /** Lines for the `jetstream` block, e.g. `sync_interval: always`. */
  readonly jetStreamConfig?: string | undefined;
  /** Lines for the top level, in nats-server's own syntax. */
  readonly extraConfig?: string | undefined;
}

const logFileBytesMax = 16 * 1024 * 1024;

// A quoted string of nats-server knows the escapes that JSON writes for paths, and expands no variables.
const quote = (text: string): string => JSON.stringify(text);

/** `host:port`, with brackets round an IPv6 address. */
export function formatEndpoint(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function buildServerConfig(config: ServerConfig): string {
  const { cluster } = config;
  // JetStream in a cluster refuses to start without a name.
  const serverName = config.serverName ?? (cluster === undefined ? undefined : `${cluster.name}-${cluster.port}`);
  const lines = [
    '# Written anew at every start; changes made here are lost.',
    `listen: ${quote(formatEndpoint(config.host, config.port > 0 ? config.port : -1))}`,
    ...(serverName === undefined ? [] : [`server_name: ${quote(serverName)}`]),
    ...(config.maxPayloadBytes === undefined ? [] : [`max_payload: ${config.maxPayloadBytes}`]),
    `log_file: ${quote(config.logFile)}`,
    `logfile_size_limit: ${logFileBytesMax}`,
    'jetstream {',
    `  store_dir: ${quote(config.storeFolder)}`,
    ...(config.jetStreamConfig === undefined ? [] : [config.jetStreamConfig]),
    '}',
  ];
  if (cluster !== undefined) {
    lines.push(
      'cluster {',
      `  name: ${quote(cluster.name)}`,
      `  listen: ${quote(formatEndpoint(config.host, cluster.port))}`,
      `  routes: [${cluster.routes.map(quote).join(', ')}]`,
      '}',
    );
  }
  if (config.extraConfig !== undefined) lines.push(config.extraConfig);
  return `${lines.join('\n')}\n`;
}
