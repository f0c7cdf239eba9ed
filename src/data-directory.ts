/** The directory that holds an installation. Nothing outside this file builds a path inside it. */

export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  readonly configFile: string
  readonly databaseFile: string
  readonly keysDirectory: string
  readonly passphraseFile: string
  /** Certificate chain (PEM) and private key (PKCS#8 PEM, 0600) of the EST endpoint. */
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  /** Last signed checkpoint: finds a database that was rolled back behind it. */
  readonly auditCheckpointFile: string
  readonly auditKeyFile: string
}
