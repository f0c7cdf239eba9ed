import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../base/clock.ts'
import {
  makeCertificate,
  san,
  signTbs,
  type TestCertificate,
  testNow,
} from '../../test/helpers/certificates.ts'
import {
  accepts,
  type Case,
  certificates,
  chain,
  device,
  issuing,
  pathLength,
  rejects,
  root,
} from '../../test/helpers/paths.ts'
import { encodePolicyConstraints } from './certificate-policies.ts'
import { noExpiry, parseCertificate } from './certificate.ts'
import { integer, nullValue, sequence, time } from './der-writer.ts'
import { encodeExtendedKeyUsage, encodeKeyUsage } from './extension-values.ts'
import { type Extension, makeExtension } from './extensions.ts'
import { encodeNameConstraints } from './name-constraints.ts'
import { encodeName } from './name.ts'
import { parseNameText } from './name-text.ts'
import { oids } from './oid.ts'
import { encodeAlgorithm } from './signature.ts'

test('refuses a changed certificate at each place', () => {
  const changed = ({ certificate, ...rest }: TestCertificate): TestCertificate => {
    const der = Uint8Array.from(certificate.der)
    der[der.length - 1] = (der[der.length - 1] as number) ^ 1
    return { ...rest, certificate: parseCertificate(der) }
  }
  // what was good before stays good, and makes nothing else good
  accepts({})
  rejects({ leaf: changed(device) }, /the signature of CN=device-1 is not by/)
  rejects({ intermediates: [changed(issuing)] }, /the signature of CN=Issuing,O=Example is not by/)
  accepts({})
})

test('validity counts for each certificate, both ends included, the last second as a whole', () => {
  const from = testNow
  const until = testNow + 10 * dayMs
  const wide = { notBefore: from - dayMs, notAfter: until + dayMs }
  const tight = { notBefore: from, notAfter: until }
  for (const which of ['root', 'ca', 'leaf'] as const) {
    const anchor = makeCertificate({ subject: 'CN=R', ...(which === 'root' ? tight : wide) })
    const ca = makeCertificate({
      subject: 'CN=C',
      issuer: anchor,
      ca: true,
      ...(which === 'ca' ? tight : wide),
    })
    const leaf = makeCertificate({ subject: 'CN=L', issuer: ca, ...(which === 'leaf' ? tight : wide) })
    const given = { leaf, intermediates: [ca], anchors: [anchor] }
    accepts({ ...given, at: from })
    accepts({ ...given, at: until + 999 })
    rejects({ ...given, at: from - 1 }, /not valid before/)
    rejects({ ...given, at: until + 1000 }, /expired on/)
  }
})

test('9999-12-31T23:59:59Z is valid for as long as anyone asks', () => {
  const anchor = makeCertificate({ subject: 'CN=R', notAfter: noExpiry })
  const leaf = makeCertificate({ issuer: anchor, notAfter: noExpiry })
  accepts({ leaf, intermediates: [], anchors: [anchor], at: Date.UTC(9000, 0, 1) })
})

test('refuses an issuer that is no CA or may not sign certificates', () => {
  const notCa = makeCertificate({ subject: 'CN=Leaf', issuer: root })
  rejects(
    { leaf: makeCertificate({ issuer: notCa }), intermediates: [notCa] },
    /CN=Leaf: not a CA certificate/,
  )
  rejects(
    chain([makeExtension(oids.keyUsage, encodeKeyUsage(['cRLSign']))]),
    /key usage does not allow signing/,
  )
  const anchor = makeCertificate({ subject: 'CN=R', ca: false, issuer: root })
  rejects({ leaf: makeCertificate({ issuer: anchor }), intermediates: [], anchors: [anchor] }, /not a CA/)
})

test('a version 1 certificate is a CA only as a self-signed anchor', () => {
  const versionOne = (subject: string, signer: TestCertificate, keys: TestCertificate): TestCertificate => {
    const tbs = sequence(
      integer(7),
      encodeAlgorithm('ecdsa-sha256'),
      encodeName(signer.certificate.subject),
      sequence(time(testNow - dayMs), time(testNow + dayMs)),
      encodeName(parseNameText(subject)),
      keys.certificate.spki,
    )
    return { ...keys, certificate: parseCertificate(signTbs(tbs, signer)) }
  }
  const old = makeCertificate({ subject: 'CN=Old' })
  const oldRoot = versionOne('CN=Old', old, old)
  const leaf = makeCertificate({ issuer: oldRoot })
  accepts({ leaf, intermediates: [], anchors: [oldRoot] })
  rejects({ leaf, intermediates: [oldRoot] }, /CN=Old/)
  const oldCa = versionOne('CN=Old CA', root, makeCertificate())
  rejects({ leaf: makeCertificate({ issuer: oldCa }), intermediates: [oldCa] }, /not a CA/)
  rejects({ leaf: makeCertificate({ issuer: oldCa }), intermediates: [], anchors: [oldCa] }, /not a CA/)
})

test('the path length of each CA counts the CAs below it, the anchor’s own included', () => {
  for (const limit of [0, 1, 2]) {
    const anchor = makeCertificate({ subject: 'CN=R', extensions: [pathLength(limit)] })
    let issuer = anchor
    const intermediates: TestCertificate[] = []
    for (let count = 0; count <= limit + 1; count++) {
      const leaf = makeCertificate({ issuer })
      const given = { leaf, intermediates: [...intermediates], anchors: [anchor] }
      if (count <= limit) accepts(given)
      else rejects(given, new RegExp(`allows ${limit} CAs below, there are ${limit + 1}`))
      issuer = makeCertificate({ subject: `CN=CA ${count}`, issuer, ca: true })
      intermediates.push(issuer)
    }
  }
})

test('a CA as the leaf is no intermediate', () => {
  const anchor = makeCertificate({ subject: 'CN=R', extensions: [pathLength(0)] })
  accepts({
    leaf: makeCertificate({ subject: 'CN=C', issuer: anchor, ca: true }),
    intermediates: [],
    anchors: [anchor],
  })
})

test('a self-issued certificate (key rollover) does not use up the path length', () => {
  const oldKey = makeCertificate({ subject: 'CN=R', extensions: [pathLength(0)] })
  const newKey = makeCertificate({ subject: 'CN=R', issuer: oldKey, ca: true })
  const leaf = makeCertificate({ issuer: newKey })
  assert.deepEqual(
    accepts({ leaf, intermediates: [newKey], anchors: [oldKey] }),
    certificates([leaf, newKey, oldKey]),
  )
})

test('refuses critical extensions that are not processed, wherever they are', () => {
  const unknown = makeExtension('1.2.3.4', nullValue(), true)
  rejects(chain([unknown]), /CN=CA: critical extension 1\.2\.3\.4 is not supported/)
  rejects(chain([], [unknown]), /CN=device-1: critical extension/)
  accepts(chain([makeExtension('1.2.3.4', nullValue(), false)]))
  const anchor = makeCertificate({ subject: 'CN=R', extensions: [unknown] })
  rejects({ leaf: makeCertificate({ issuer: anchor }), intermediates: [], anchors: [anchor] }, /critical/)
})

test('policy constraints are accepted only where they cannot matter', () => {
  const constraints = (explicit: number | null, mapping: number | null): Extension =>
    makeExtension(
      oids.policyConstraints,
      encodePolicyConstraints({ requireExplicitPolicy: explicit, inhibitPolicyMapping: mapping }),
    )
  accepts(chain([constraints(null, 0)]))
  rejects(chain([constraints(0, null)]), /requireExplicitPolicy is not supported/)
  accepts(chain([makeExtension(oids.inhibitAnyPolicy, integer(0))]))
})

test('the purpose must be named by the leaf, and left open by every CA', () => {
  const usage = (...purposes: string[]): Extension =>
    makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(purposes))
  const { clientAuth, serverAuth, anyExtendedKeyUsage } = oids
  const purpose = clientAuth
  accepts({ ...chain([], [usage(serverAuth, clientAuth)]), purpose })
  rejects({ ...chain([], [usage(serverAuth)]), purpose }, /CN=device-1: not for clientAuth/)
  rejects({ ...chain([], [usage(anyExtendedKeyUsage)]), purpose }, /not for clientAuth/)
  accepts({ ...chain([], [usage(serverAuth)]) })
  accepts({ ...chain([usage(clientAuth)]), purpose })
  accepts({ ...chain([usage(anyExtendedKeyUsage)]), purpose })
  rejects({ ...chain([usage(serverAuth)]), purpose }, /CN=CA: it may not issue for clientAuth/)
  accepts(chain([usage(serverAuth)]))
})

test('a leaf without extended key usage serves any purpose, as far as its key usage goes', () => {
  const keyUsage = (...usages: Parameters<typeof encodeKeyUsage>[0]): Extension =>
    makeExtension(oids.keyUsage, encodeKeyUsage(usages))
  const given = (extension: Extension): Case => {
    const ca = makeCertificate({ subject: 'CN=CA', issuer: root, ca: true })
    // a CA certificate of the helper has no extended key usage
    const leaf = makeCertificate({ subject: 'CN=L', issuer: ca, ca: true, extensions: [extension] })
    return { leaf, intermediates: [ca], purpose: oids.clientAuth }
  }
  accepts(given(keyUsage('digitalSignature')))
  accepts(given(keyUsage('keyAgreement')))
  rejects(given(keyUsage('keyEncipherment')), /key usage does not allow clientAuth/)
  accepts({ ...given(keyUsage('keyEncipherment')), purpose: oids.serverAuth })
  rejects(given(keyUsage('keyCertSign')), /key usage does not allow clientAuth/)
})

test('name constraints of every CA above count, for every certificate below but self-issued CAs', () => {
  const only = (text: string): Extension =>
    makeExtension(
      oids.nameConstraints,
      encodeNameConstraints({
        permitted: [{ kind: 'directoryName', name: parseNameText(text) }],
        excluded: [],
      }),
    )
  const anchor = makeCertificate({ subject: 'CN=R,O=Example', extensions: [only('O=Example')] })
  const ca = makeCertificate({
    subject: 'CN=C,O=Example',
    issuer: anchor,
    ca: true,
    extensions: [only('OU=A,O=Example')],
  })
  const given = (subject: string, above: TestCertificate[] = [ca]): Case => ({
    leaf: makeCertificate({ subject, issuer: above[0] as TestCertificate }),
    intermediates: above,
    anchors: [anchor],
  })
  accepts(given('CN=L,OU=A,O=Example'))
  rejects(given('CN=L,OU=B,O=Example'), /outside the permitted names/)
  rejects(given('CN=L,O=Other'), /outside the permitted names/)
  const outside = makeCertificate({ subject: 'CN=X,O=Other', issuer: anchor, ca: true })
  rejects(given('CN=L,O=Example', [outside]), /outside the permitted names/)
  // self-issued: the CA's own name is not within its constraint, and need not be
  const odd = makeCertificate({ subject: 'CN=Odd', extensions: [only('O=Example')] })
  const next = makeCertificate({ subject: 'CN=Odd', issuer: odd, ca: true })
  accepts({
    leaf: makeCertificate({ subject: 'CN=L,O=Example', issuer: next }),
    intermediates: [next],
    anchors: [odd],
  })
  rejects({ leaf: next, intermediates: [], anchors: [odd] }, /outside the permitted names/)
})

test('name constraints look at alternative names', () => {
  const constraint = makeExtension(
    oids.nameConstraints,
    encodeNameConstraints({ permitted: [{ kind: 'dns', value: 'example.com' }], excluded: [] }),
  )
  accepts(chain([constraint], [san('dns:a.example.com', 'uri:urn:x')]))
  rejects(
    chain([constraint], [san('dns:a.example.com', 'dns:a.example.org')]),
    /dns:a\.example\.org is outside/,
  )
})
