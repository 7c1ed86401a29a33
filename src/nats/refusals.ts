/**
 * What a server refuses and what TLS refuses, in the words of our settings, so that whoever reads the error knows which of them
 * to look at. Must never hold a secret: only names, addresses and dates.
 */
import { AuthorizationError, PermissionViolationError } from '@nats-io/nats-core';
import { messageOf } from '../errors.ts';

/** What the server does not permit; undefined for any other error. */
export function permissionRefusal(error: unknown): string | undefined {
  const refusal = causesOf(error).find((cause) => cause instanceof PermissionViolationError);
  if (refusal === undefined) return undefined;
  return refusal.operation === 'publish'
    ? 'the server does not permit this connection to publish it'
    : `the server does not permit this connection to receive answers on ${refusal.subject}; nats.inboxPrefix must be the one that it permits`;
}

/** By the codes of OpenSSL and Node; a server that ends the handshake sends an alert, which becomes a code as well. */
const tlsRules: readonly (readonly [RegExp, string])[] = [
  [
    /^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE)$/,
    'the certificate of the server is not signed by an authority of nats.tls.caFile',
  ],
  [/^CERT_HAS_EXPIRED$/, 'the certificate of the server has expired'],
  [/^CERT_NOT_YET_VALID$/, 'the certificate of the server is not valid yet'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'the certificate of the server is for another name than that of nats.servers'],
  [/^ERR_SSL_.*ALERT_CERTIFICATE_EXPIRED$/, 'the server says that the certificate of nats.tls.certFile has expired'],
  [
    /^ERR_SSL_.*(ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE)$/,
    'the server demands a certificate; nats.tls.certFile and nats.tls.keyFile give it',
  ],
  [
    /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED)$/,
    'the server does not accept the certificate of nats.tls.certFile, or none was given',
  ],
];

/** Why a connection could not be made. */
export function connectRefusal(error: unknown): string {
  const causes = causesOf(error);
  const codes = causes.map((cause) => (cause as { readonly code?: unknown }).code);
  for (const [pattern, words] of tlsRules) {
    const code = codes.find((found) => typeof found === 'string' && pattern.test(found));
    if (code !== undefined) return `${words} (${String(code)})`;
  }
  if (causes.some((cause) => cause instanceof AuthorizationError))
    return 'the server refuses the login; check nats.user and nats.password, nats.token or nats.credentialsFile (Authorization Violation)';
  if (causes.some((cause) => /server does not support 'tls'/.test(cause.message)))
    return 'the server offers no TLS, and nats.servers or nats.tls demands it';
  return messageOf(error);
}

/** The error and what it came from. */
function causesOf(error: unknown): Error[] {
  const found: Error[] = [];
  for (let at: unknown = error; at instanceof Error && found.length < 8; at = at.cause) found.push(at);
  return found;
}
