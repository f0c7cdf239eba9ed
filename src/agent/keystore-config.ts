/** Where the keys of a device are, in its configuration. */
import { isAbsolute } from 'node:path'

export type KeystoreConfig =
  /** PKCS #8, mode 0600, in the state directory. */
  | { readonly kind: 'file' }
  | {
      readonly kind: 'pkcs11'
      /** Absolute path of the token's library. */
      readonly module: string
      /** Label of the token. */
      readonly token: string
      /** File whose first line is the user's PIN; null = from the environment, `PERENNIAL_AGENT_PIN`. */
      readonly pinFile: string | null
    }
  /** `tcti`: how to reach the TPM; null = the environment's, else the device's own. */
  | { readonly kind: 'tpm2'; readonly tcti: string | null }

export const keystoreKinds = ['file', 'pkcs11', 'tpm2'] as const

/** @returns the configuration, or what is wrong with it */
export function checkKeystoreConfig(value: unknown): KeystoreConfig | string {
  if (value === undefined) return { kind: 'file' }
  if (typeof value !== 'object' || value === null) return 'keystore is no object'
  const { kind, module, token, pinFile = null, tcti = null }: Record<string, unknown> = { ...value }
  if (kind === 'file') return { kind }
  if (kind === 'tpm2') {
    const isText = tcti === null || (typeof tcti === 'string' && /^[\x21-\x7e]{1,500}$/.test(tcti))
    return isText ? { kind, tcti: tcti as string | null } : 'keystore.tcti is not like device:/dev/tpmrm0'
  }
  if (kind !== 'pkcs11') return `keystore.kind must be one of ${keystoreKinds.join(', ')}`
  // the path is written into a configuration file of OpenSSL, which has a syntax of its own
  if (typeof module !== 'string' || !/^\/[A-Za-z0-9/._+-]{1,500}$/.test(module)) {
    return 'keystore.module must be the absolute path of the library of the token'
  }
  if (typeof token !== 'string' || !/^[\x21-\x7e](?:[\x20-\x7e]{0,30}[\x21-\x7e])?$/.test(token)) {
    return 'keystore.token must be the label of the token: 1 to 32 printable ASCII characters'
  }
  if (pinFile !== null && (typeof pinFile !== 'string' || !isAbsolute(pinFile))) {
    return 'keystore.pinFile must be an absolute path'
  }
  return { kind, module, token, pinFile: pinFile as string | null }
}
