/** What `perennial verifier config` writes. */
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import { currentCrl } from '../engine/revocation/crl.ts'
import { encodePem } from '../pki/pem.ts'
import { verifierConf, type VerifierServer } from '../protocols/verifier-conf.ts'

export interface VerifierFilesOptions {
  readonly server: VerifierServer
  /** Where they will be on the server, absolute. */
  readonly path: string
  /** In place of the usual command. */
  readonly reload: string | null
}

/**
 * By name, the directives first.
 * @throws Refusal `not-found` when a CA has published no CRL: a server with these files would refuse every device
 */
export async function verifierFiles(
  engine: Engine,
  { server, path, reload }: VerifierFilesOptions,
): Promise<Map<string, string>> {
  const conf = verifierConf(server, path)
  const trust: string[] = []
  const anchors: string[] = []
  const crls: string[] = []
  for (const { id, kind, certificate } of await engine.issuers.list()) {
    if ((kind !== 'root' && kind !== 'intermediate') || certificate === null) continue
    const pem = encodePem('CERTIFICATE', certificate)
    trust.push(pem)
    if (kind === 'root') anchors.push(pem)
    if (kind === 'root' && conf.crls === 'leaf') continue
    const crl = await currentCrl(engine, { issuerId: id, kind: 'complete', shard: 0 })
    if (!crl) throw new Refusal('not-found', `${id} has published no CRL; run: perennial crl publish`)
    crls.push(encodePem('X509 CRL', crl.der))
  }
  const { statusUrl } = engine.settings
  const settings = { v: 1, server, statusUrl, anchors, crls: conf.crls, reload: reload ?? conf.reload }
  return new Map([
    [conf.file, conf.text],
    ['trust.pem', trust.join('')],
    ['crl.pem', crls.join('')],
    ['verifier.json', `${JSON.stringify(settings, null, 2)}\n`],
  ])
}
