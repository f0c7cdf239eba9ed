/** Which certificates make the path (RFC 4158); path.test.ts asks whether a path is valid. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCertificate, type TestCertificate, testNow } from '../../test/helpers/certificates.ts'
import { accepts, certificates, device, issuing, rejects, root } from '../../test/helpers/paths.ts'
import { nullValue, sequence } from './der-writer.ts'
import { type Extension, makeExtension } from './extensions.ts'
import { oids } from './oid.ts'

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
