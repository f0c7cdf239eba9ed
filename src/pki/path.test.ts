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
import { refuses } from '../../test/helpers/refuses.ts'
import { encodePolicyConstraints } from './certificate-policies.ts'
import { type Certificate, noExpiry, parseCertificate } from './certificate.ts'
import { integer, nullValue, sequence, time } from './der-writer.ts'
import { encodeBasicConstraints, encodeExtendedKeyUsage, encodeKeyUsage } from './extension-values.ts'
import { type Extension, makeExtension } from './extensions.ts'
import { encodeNameConstraints } from './name-constraints.ts'
import { encodeName } from './name.ts'
import { parseNameText } from './name-text.ts'
import { oids } from './oid.ts'
import { validatePath, type PathRequest } from './path.ts'
import { encodeAlgorithm } from './signature.ts'

const root = makeCertificate({ subject: 'CN=Root,O=Example' })
const issuing = makeCertificate({ subject: 'CN=Issuing,O=Example', issuer: root, ca: true })
const device = makeCertificate({ subject: 'CN=device-1', issuer: issuing })

function certificates(list: readonly TestCertificate[]): Certificate[] {
  return list.map(({ certificate }) => certificate)
}

interface Case {
  readonly leaf?: TestCertificate
  readonly intermediates?: readonly TestCertificate[]
  readonly anchors?: readonly TestCertificate[]
  readonly at?: number
  readonly purpose?: string
}

function request({
  leaf = device,
  intermediates = [issuing],
  anchors = [root],
  at = testNow,
  purpose,
}: Case): PathRequest {
  return {
    leaf: leaf.certificate,
    intermediates: certificates(intermediates),
    anchors: certificates(anchors),
    at,
    ...(purpose === undefined ? {} : { purpose }),
  }
}

function accepts(given: Case): Certificate[] {
  return validatePath(request(given))
}

function rejects(given: Case, message: RegExp): void {
  refuses('path-invalid', () => validatePath(request(given)), message)
}

function pathLength(length: number): Extension {
  return makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: true, pathLength: length }))
}

/** root → ca → leaf, with extensions put into the CA and the leaf. */
function chain(inCa: readonly Extension[], inLeaf: readonly Extension[] = [], subject = 'CN=device-1'): Case {
  const ca = makeCertificate({ subject: 'CN=CA', issuer: root, ca: true, extensions: inCa })
  const leaf = makeCertificate({ subject, issuer: ca, extensions: inLeaf })
  return { leaf, intermediates: [ca] }
}

test('gives the path from the leaf to the anchor', () => {
  assert.deepEqual(accepts({}), certificates([device, issuing, root]))
  assert.deepEqual(accepts({ leaf: issuing, intermediates: [] }), certificates([issuing, root]))
})

test('intermediates may come in any order, with some that do not belong and the anchor among them', () => {
  const second = makeCertificate({ subject: 'CN=Second', issuer: issuing, ca: true })
  const leaf = makeCertificate({ issuer: second })
  const stranger = makeCertificate({ subject: 'CN=Stranger' })
  for (const intermediates of [
    [issuing, second, stranger, root],
    [root, second, issuing],
    [second, stranger, root, issuing],
  ]) {
    assert.deepEqual(accepts({ leaf, intermediates }), certificates([leaf, second, issuing, root]))
  }
})

test('an anchor need not be self-signed, and the shortest path to one is taken', () => {
  assert.deepEqual(accepts({ anchors: [root, issuing] }), certificates([device, issuing]))
  assert.deepEqual(accepts({ anchors: [issuing], intermediates: [] }), certificates([device, issuing]))
})

test('a leaf that is itself an anchor is a path of its own, inside its validity', () => {
  assert.deepEqual(accepts({ leaf: root, intermediates: [] }), certificates([root]))
  assert.deepEqual(accepts({ leaf: device, anchors: [device] }), certificates([device]))
  rejects({ leaf: root, at: root.certificate.notBefore - 1 }, /not valid before/)
})

test('refuses a path whose issuer is missing, and names it', () => {
  rejects({ intermediates: [] }, /no certificate of CN=Issuing,O=Example is known/)
  rejects({ anchors: [] }, /no certificate of CN=Root,O=Example is known/)
})

test('of several CAs of one name the one that signed is found, with and without key identifiers', () => {
  const noIdentifiers = (options: Parameters<typeof makeCertificate>[0]): TestCertificate =>
    makeCertificate({
      ...options,
      extensions: [
        makeExtension(oids.authorityKeyIdentifier, sequence(), false),
        makeExtension('1.2.3.4', nullValue(), false),
      ],
    })
  for (const make of [makeCertificate, noIdentifiers]) {
    const roots = [1, 2, 3].map(() => make({ subject: 'CN=Same', ca: true }))
    const cas = roots.map((issuer) => make({ subject: 'CN=Same CA', issuer, ca: true }))
    for (const [index, issuer] of cas.entries()) {
      const leaf = make({ issuer })
      const path = accepts({ leaf, intermediates: cas, anchors: roots })
      assert.deepEqual(path, certificates([leaf, issuer, roots[index] as TestCertificate]))
    }
  }
})

test('refuses an issuer of the right name with another key', () => {
  const impostor = makeCertificate({ subject: 'CN=Issuing,O=Example', issuer: root, ca: true })
  rejects({ intermediates: [impostor] }, /no certificate of CN=Issuing/)
  const sameIdentifier = impostor.certificate.extensions.list.map((extension) =>
    extension.oid === oids.subjectKeyIdentifier
      ? (issuing.certificate.extensions.list.find(
          ({ oid }) => oid === oids.subjectKeyIdentifier,
        ) as Extension)
      : extension,
  )
  const better = makeCertificate({
    subject: 'CN=Issuing,O=Example',
    issuer: root,
    ca: true,
    extensions: sameIdentifier,
  })
  rejects({ intermediates: [better] }, /the signature of CN=device-1 is not by CN=Issuing/)
})

test('refuses a changed certificate at each place', () => {
  const changed = ({ certificate, ...rest }: TestCertificate): TestCertificate => {
    const der = Uint8Array.from(certificate.der)
    der[der.length - 1] = (der[der.length - 1] as number) ^ 1
    return { ...rest, certificate: parseCertificate(der) }
  }
  rejects({ leaf: changed(device) }, /the signature of CN=device-1 is not by/)
  rejects({ intermediates: [changed(issuing)] }, /the signature of CN=Issuing,O=Example is not by/)
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

test('cross certificates: finds the way to either root, and circles end', () => {
  const a = makeCertificate({ subject: 'CN=A' })
  const b = makeCertificate({ subject: 'CN=B' })
  const aByB = makeCertificate({ subject: 'CN=A', issuer: b, ca: true, keys: a.keys })
  const bByA = makeCertificate({ subject: 'CN=B', issuer: a, ca: true, keys: b.keys })
  const leaf = makeCertificate({ issuer: a })
  const intermediates = [bByA, aByB, a]
  assert.deepEqual(accepts({ leaf, intermediates, anchors: [b] }), certificates([leaf, aByB, b]))
  assert.deepEqual(accepts({ leaf, intermediates, anchors: [a, b] }), certificates([leaf, a]))
  rejects({ leaf, intermediates, anchors: [root] }, /no certificate of/)
})

test('a way that fails does not hide another that is good', () => {
  const keys = makeCertificate({ subject: 'CN=CA', ca: true }).keys
  const expired = makeCertificate({
    subject: 'CN=CA',
    issuer: root,
    ca: true,
    keys,
    notAfter: testNow - 1000,
  })
  const good = makeCertificate({ subject: 'CN=CA', issuer: root, ca: true, keys })
  const leaf = makeCertificate({ issuer: good })
  assert.deepEqual(accepts({ leaf, intermediates: [expired, good] }), certificates([leaf, good, root]))
  assert.deepEqual(accepts({ leaf, intermediates: [good, expired] }), certificates([leaf, good, root]))
  rejects({ leaf, intermediates: [expired] }, /expired on/)
})

test('refuses more than 8 CAs above a leaf', () => {
  let issuer = root
  const intermediates: TestCertificate[] = []
  for (let count = 1; count <= 8; count++) {
    issuer = makeCertificate({ subject: `CN=CA ${count}`, issuer, ca: true })
    intermediates.push(issuer)
    const given = { leaf: makeCertificate({ issuer }), intermediates: [...intermediates] }
    if (count <= 7) assert.equal(accepts(given).length, count + 2)
    else rejects(given, /longer than 8 CA certificates/)
  }
})

test('hostile sets of certificates cost a bounded number of signatures', () => {
  const noIdentifier = [makeExtension(oids.authorityKeyIdentifier, sequence(), false)]
  const same = (issuer?: TestCertificate, keys?: TestCertificate['keys']): TestCertificate =>
    makeCertificate({
      subject: 'CN=Same',
      ca: true,
      extensions: noIdentifier,
      ...(issuer ? { issuer } : {}),
      ...(keys ? { keys } : {}),
    })
  const cas = Array.from({ length: 8 }, () => same())
  // every one certifies every other, all with one name: 8! paths, none of which ends at an anchor
  const clique = cas.flatMap((issuer) => cas.map(({ keys }) => same(issuer, keys)))
  const leaf = makeCertificate({ issuer: cas[0] as TestCertificate, extensions: noIdentifier })
  rejects({ leaf, intermediates: clique }, /too many possible issuers/)
  rejects({ leaf, intermediates: [...clique, root] }, /more than 64 intermediate/)
  const strangers = Array.from({ length: 65 }, () => same())
  rejects(
    { leaf, intermediates: [], anchors: strangers.slice(0, 64) },
    /the signature of CN=device-1,O=Example is not by/,
  )
  rejects({ leaf, intermediates: [], anchors: strangers }, /too many possible issuers/)
})
