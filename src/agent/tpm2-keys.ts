/**
 * Keys in a TPM 2.0, through OpenSSL's provider `tpm2` (tpm2-openssl). The slot's file holds the key wrapped by this TPM,
 * which is of no use to any other; so a key is replaced by replacing its file, as with keys in files.
 */
import { Refusal } from '../base/errors.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import type { SignatureAlgorithm } from '../pki/signature.ts'
import type { WriteFile } from './agent-directory.ts'
import { runProgram } from './openssl-program.ts'
import { opensslTls } from './openssl-tls.ts'
import { publicKeyIn, type HeldKey, type KeyKind } from './slot-keys.ts'
import type { TlsKey } from './tls-key.ts'

export interface Tpm2Options {
  readonly directory: string
  readonly write: WriteFile
  /** How to reach the TPM, such as `tabrmd:bus_type=session`; null = the environment's, else the device's own. */
  readonly tcti: string | null
}

/** The order matters: with `default` first, TLS does not find the key. */
const provider = ['-provider', 'tpm2', '-provider', 'default', '-propquery', '?provider=tpm2']

/** What TPMs of the field can make. */
const makers: Partial<Record<KeyAlgorithm, readonly string[]>> = {
  'ec-p256': ['-algorithm', 'EC', '-pkeyopt', 'group:P-256'],
  'ec-p384': ['-algorithm', 'EC', '-pkeyopt', 'group:P-384'],
  'rsa-2048': ['-algorithm', 'RSA', '-pkeyopt', 'bits:2048'],
}

export function tpm2Keys({ directory, write, tcti }: Tpm2Options): KeyKind {
  const env: Record<string, string> = tcti === null ? {} : { TPM2OPENSSL_TCTI: tcti }
  const openssl = async (args: readonly string[], input?: Uint8Array) =>
    await runProgram('openssl', { args, env, ...(input ? { input } : {}) })

  return {
    kind: 'tpm2',

    async create(algorithm: KeyAlgorithm): Promise<string> {
      const maker = makers[algorithm]
      if (!maker) {
        throw new Refusal('bad-algorithm', `a TPM makes ${Object.keys(makers).join(', ')}, not ${algorithm}`)
      }
      const key = await openssl(['genpkey', ...provider, ...maker])
      const publicKey = await openssl(['pkey', ...provider, '-pubout'], key)
      return `${key.toString()}${publicKey.toString()}`
    },

    spkiOf: (text: string): Uint8Array | null =>
      text.startsWith('-----BEGIN TSS2 PRIVATE KEY-----') ? publicKeyIn(text) : null,

    async sign({ path }: HeldKey, algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array> {
      return await openssl(['dgst', ...provider, digestOption(algorithm), '-sign', path], data)
    },

    async tls({ path, slot }: HeldKey): Promise<TlsKey> {
      return { tls: opensslTls({ keyArgs: [...provider, '-key', path], env, directory, slot, write }) }
    },

    // the key is the file, and the file was replaced
    sweep: async () => undefined,
  }
}

/** `ecdsa-sha256` → `-sha256` */
export function digestOption(algorithm: SignatureAlgorithm): string {
  return `-${algorithm.slice(algorithm.lastIndexOf('-') + 1)}`
}
