/** Keys and requests made by OpenSSL, as the device of somebody who types commands would make them. */
import { join } from 'node:path'
import { runOk } from '../helpers/run.ts'

export type OpensslKey = 'ec' | 'rsa' | 'ec-p384' | 'ed25519'

const keyArguments: Readonly<Record<OpensslKey, readonly string[]>> = {
  ec: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ec-p384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ed25519: ['-algorithm', 'ED25519'],
}

export interface OpensslRequest {
  /** File names. */
  readonly key: string
  /** DER. */
  readonly csr: string
}

/**
 * A key and a CSR with the names that the device's certificate has.
 * @param name of the files
 */
export async function opensslRequest(
  directory: string,
  { name, id, kind }: { readonly name: string; readonly id: string; readonly kind: OpensslKey },
): Promise<OpensslRequest> {
  const key = join(directory, `${name}.key`)
  const csr = join(directory, `${name}.csr`)
  await runOk('openssl', ['genpkey', ...keyArguments[kind], '-out', key])
  const names = ['-subj', `/O=Example/CN=${id}`, '-addext', `subjectAltName=URI:urn:perennial:device:${id}`]
  await runOk('openssl', ['req', '-new', '-key', key, ...names, '-outform', 'DER', '-out', csr])
  return { key, csr }
}
