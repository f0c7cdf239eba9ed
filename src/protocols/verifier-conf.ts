/**
 * What servers of others need to check device certificates: which directives, which CRLs, and how they are made to read
 * their files again. Each was tried with the real server but for Envoy.
 */

export const verifierServers = ['nginx', 'haproxy', 'mosquitto', 'envoy'] as const
export type VerifierServer = (typeof verifierServers)[number]

export interface VerifierConf {
  /** Name of the file that holds the directives. */
  readonly file: string
  readonly text: string
  /**
   * Which CRLs it wants in its file. `chain`: of every CA, because it checks the whole chain and refuses everybody when one
   * lacks. `leaf`: of the issuing CAs, because it checks the device certificate alone.
   */
  readonly crls: 'chain' | 'leaf'
  /** Shell command after which it uses new files; null when it watches them. */
  readonly reload: string | null
}

/** @param path directory of the files on the server, absolute */
export function verifierConf(server: VerifierServer, path: string): VerifierConf {
  const trust = `${path}/trust.pem`
  const crl = `${path}/crl.pem`
  switch (server) {
    case 'nginx':
      return {
        file: 'nginx.conf',
        crls: 'chain',
        reload: 'nginx -s reload',
        text: [
          '# In a server block that listens with ssl.',
          '# nginx wants the CRL of every CA of the chain, and refuses every device (400) when one lacks or has lapsed.',
          `ssl_client_certificate ${trust};`,
          `ssl_crl ${crl};`,
          'ssl_verify_client on;',
          'ssl_verify_depth 3;',
          '# A resumed session is not checked against a new CRL.',
          'ssl_session_cache off;',
          'ssl_session_tickets off;',
          '',
        ].join('\n'),
      }
    case 'haproxy':
      return {
        file: 'haproxy.cfg',
        crls: 'chain',
        reload: 'systemctl reload haproxy',
        text: [
          '# Beside the certificate of the server, in a bind line.',
          '# haproxy wants the CRL of every CA of the chain, and ends the handshake of every device when one has lapsed.',
          '# no-tls-tickets: a resumed session is not checked against a new CRL.',
          `bind :443 ssl crt /etc/haproxy/certs/server.pem ca-file ${trust} crl-file ${crl} verify required no-tls-tickets`,
          '',
        ].join('\n'),
      }
    case 'mosquitto':
      return {
        file: 'mosquitto.conf',
        crls: 'leaf',
        reload: 'systemctl kill --signal=HUP mosquitto',
        text: [
          '# Beside certfile and keyfile of a listener.',
          '# Mosquitto checks the device certificate alone, and refuses every device when its CRL has lapsed. A new CRL ends no',
          '# session that is there: `perennial revoke` disconnects those (docs/mqtt.md).',
          `cafile ${trust}`,
          `crlfile ${crl}`,
          'require_certificate true',
          'use_identity_as_username true',
          '',
        ].join('\n'),
      }
    case 'envoy':
      return {
        file: 'envoy-validation.yaml',
        crls: 'chain',
        reload: null,
        text: envoySecret(path, trust, crl),
      }
  }
}

/** An SDS file: Envoy watches the directory and reads both files again when one is moved into it. */
function envoySecret(path: string, trust: string, crl: string): string {
  return `# Named in a downstream_tls_context with require_client_certificate: true, as
#   validation_context_sds_secret_config:
#     name: perennial
#     sds_config: { path_config_source: { path: ${path}/envoy-validation.yaml } }
# Envoy wants the CRL of every CA of the chain once there is one.
resources:
  - "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: perennial
    validation_context:
      trusted_ca: { filename: ${trust} }
      crl: { filename: ${crl} }
      watched_directory: { path: ${path} }
`
}
