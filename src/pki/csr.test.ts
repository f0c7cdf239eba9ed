import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeCsr, san } from '../../test/helpers/certificates.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { type Csr, buildCsr, parseCsr, verifyCsr } from './csr.ts'
import { readDer } from './der.ts'
import {
  bitString,
  implicit,
  integer,
  nullValue,
  octetString,
  oid,
  printableString,
  raw,
  sequence,
  setOf,
  utf8String,
} from './der-writer.ts'
import { encodeBasicConstraints, encodeKeyUsage } from './extension-values.ts'
import { encodeExtensions, makeExtension } from './extensions.ts'
import { encodeGeneralNames } from './general-name.ts'
import { formatGeneralName, parseGeneralNameText } from './general-name-text.ts'
import { generateKeyPair, keyAlgorithms, parsePublicKey } from './key.ts'
import { encodeName } from './name.ts'
import { formatName, parseNameText } from './name-text.ts'
import { oids } from './oid.ts'
import { encodeAlgorithm } from './signature.ts'

const keys = generateKeyPair('ec-p256')
const keyUsage = makeExtension(oids.keyUsage, encodeKeyUsage(['digitalSignature']))

test('what is built is what is read', () => {
  const extensions = [san('uri:urn:x', 'hw:1.2.3:0a'), keyUsage]
  const der = makeCsr({ subject: 'CN=device-1,O=Example', extensions, challengePassword: 'dGxzLXVuaXF1ZQ==' })
  const csr = parseCsr(der)
  verifyCsr(csr)
  assert.equal(formatName(csr.subject), 'CN=device-1,O=Example')
  assert.equal(csr.challengePassword, 'dGxzLXVuaXF1ZQ==')
  assert.deepEqual(csr.extensionRequest?.list, extensions)
  assert.deepEqual(csr.extensionRequest?.subjectAltName?.map(formatGeneralName), ['uri:urn:x', 'hw:1.2.3:0a'])
  assert.deepEqual(csr.der, Uint8Array.from(der))
  assert.deepEqual(new Set(csr.attributeTypes), new Set([oids.extensionRequest, oids.challengePassword]))
  verifyCsr(csr, parsePublicKey(csr.spki))
})

test('a request without attributes has none of them', () => {
  const csr = parseCsr(makeCsr())
  assert.deepEqual(csr.attributeTypes, [])
  assert.equal(csr.challengePassword, null)
  assert.equal(csr.extensionRequest, null)
  assert.equal(csr.changeSubjectName, null)
  assert.equal(csr.smimeCapabilities, null)
})

test('an empty subject is read: in EST the record decides', () => {
  assert.deepEqual(parseCsr(makeCsr({ subject: '' })).subject, [])
})

for (const keyAlgorithm of keyAlgorithms.filter(
  (algorithm) => algorithm !== 'rsa-4096' && algorithm !== 'rsa-3072',
)) {
  test(`a ${keyAlgorithm} request proves possession of its key`, () => {
    const csr = parseCsr(makeCsr({ keyAlgorithm }))
    verifyCsr(csr)
    const other = parseCsr(makeCsr({ keyAlgorithm }))
    refuses('bad-signature', () => verifyCsr({ ...csr, signature: other.signature }))
    refuses('bad-signature', () => verifyCsr({ ...csr, spki: other.spki }))
    refuses('bad-signature', () => verifyCsr({ ...csr, info: other.info }))
    refuses('bad-signature', () => verifyCsr({ ...csr, signature: new Uint8Array() }))
  })
}

test('refuses a signature by a key of another kind', () => {
  const rsa = parseCsr(makeCsr({ keyAlgorithm: 'rsa-2048' }))
  const ec = parseCsr(makeCsr())
  refuses('bad-signature', () => verifyCsr({ ...ec, signatureAlgorithm: rsa.signatureAlgorithm }))
})

/** The request parts by themselves, so that each can be replaced. */
const parts = {
  version: integer(0),
  subject: encodeName(parseNameText('CN=a')),
  spki: keys.spki,
  attributes: implicit(0, setOf()),
}

function assemble(
  changes: Partial<typeof parts> = {},
  algorithm = encodeAlgorithm('ecdsa-sha256'),
): Uint8Array {
  const { version, subject, spki, attributes } = { ...parts, ...changes }
  return sequence(sequence(version, subject, spki, attributes), algorithm, bitString(Uint8Array.of(1)))
}

function attribute(type: string, ...values: Uint8Array[]): Uint8Array {
  return sequence(oid(type), setOf(...values))
}

/** In the order given: the outer set is implicit, and its order is nobody's business. */
function withAttributes(...attributes: Uint8Array[]): Uint8Array {
  return assemble({ attributes: implicit(0, sequence(...attributes)) })
}

describe('attributes', () => {
  const challenge = attribute(oids.challengePassword, printableString('hello'))
  const request = attribute(oids.extensionRequest, encodeExtensions([san('dns:a.example')]))

  test('are read in either order: strongSwan 5.9.8 does not sort them', () => {
    for (const der of [withAttributes(challenge, request), withAttributes(request, challenge)]) {
      const csr = parseCsr(der)
      assert.equal(csr.challengePassword, 'hello')
      assert.equal(csr.extensionRequest?.subjectAltName?.length, 1)
    }
  })

  test('unknown ones are listed and ignored, whatever they hold', () => {
    const csr = parseCsr(withAttributes(attribute('1.2.3.4', nullValue(), integer(5)), challenge))
    assert.deepEqual(csr.attributeTypes, ['1.2.3.4', oids.challengePassword])
  })

  test('challengePassword may be UTF-8 and has 1 to 255 characters', () => {
    const read = (value: Uint8Array) => parseCsr(withAttributes(attribute(oids.challengePassword, value)))
    assert.equal(read(utf8String('ä'.repeat(255))).challengePassword, 'ä'.repeat(255))
    refuses('malformed', () => read(utf8String('ä'.repeat(256))), /1 to 255/)
    refuses('malformed', () => read(utf8String('')), /1 to 255/)
    refuses('malformed', () => read(octetString(Buffer.from('a'))), /expected printableString/)
    refuses('malformed', () => read(utf8String('a\u202eb')), /control or format/)
    refuses('malformed', () => makeCsr({ challengePassword: '' }), /1 to 255/)
  })

  test('the challenge password is never part of a refusal', () => {
    const value = utf8String('s3cret\u0000')
    assert.throws(
      () => parseCsr(withAttributes(attribute(oids.challengePassword, value))),
      (error) => error instanceof Error && !error.message.includes('s3cret'),
    )
  })

  test('changeSubjectName holds a subject, alternative names or both (RFC 6402)', () => {
    const subject = encodeName(parseNameText('CN=new'))
    const names = encodeGeneralNames([parseGeneralNameText('dns:new.example')])
    const read = (...fields: Uint8Array[]): Csr['changeSubjectName'] =>
      parseCsr(withAttributes(attribute(oids.changeSubjectName, sequence(...fields)))).changeSubjectName
    assert.deepEqual(read(subject), { subject: parseNameText('CN=new'), subjectAltName: null })
    assert.deepEqual(read(names), { subject: null, subjectAltName: [{ kind: 'dns', value: 'new.example' }] })
    assert.equal(read(subject, names)?.subjectAltName?.length, 1)
    assert.deepEqual(read(sequence()), { subject: [], subjectAltName: null })
    refuses('malformed', () => read(), /must hold/)
    refuses('malformed', () => read(names, subject))
    refuses('malformed', () => read(subject, names, names), /must hold/)
    refuses('malformed', () => read(integer(1)))
  })

  test('serverkeygen: capabilities and key identifiers (RFC 7030 §4.4.1)', () => {
    const capabilities = sequence(sequence(oid(oids.aes256Cbc)), sequence(oid(oids.rsaesOaep), sequence()))
    const csr = parseCsr(
      withAttributes(
        attribute(oids.smimeCapabilities, capabilities),
        attribute(oids.decryptKeyIdentifier, octetString(Uint8Array.of(1, 2))),
        attribute(oids.asymmetricDecryptKeyIdentifier, octetString(Uint8Array.of(3))),
      ),
    )
    assert.deepEqual(csr.smimeCapabilities, [
      { capability: oids.aes256Cbc, parameters: null },
      { capability: oids.rsaesOaep, parameters: sequence() },
    ])
    assert.deepEqual(csr.decryptKeyIdentifier, Uint8Array.of(1, 2))
    assert.deepEqual(csr.asymmetricDecryptKeyIdentifier, Uint8Array.of(3))
    const empty = octetString(new Uint8Array())
    refuses(
      'malformed',
      () => parseCsr(withAttributes(attribute(oids.decryptKeyIdentifier, empty))),
      /1 to 255/,
    )
    refuses('malformed', () =>
      parseCsr(withAttributes(attribute(oids.smimeCapabilities, sequence(sequence())))),
    )
  })
})

describe('refuses', () => {
  const extension = sequence(
    oid(oids.subjectAltName),
    octetString(encodeGeneralNames([{ kind: 'dns', value: 'a' }])),
  )
  const invalid: [string, () => Uint8Array, RegExp][] = [
    ['version 1', () => assemble({ version: integer(1) }), /version/],
    ['a negative version', () => assemble({ version: integer(-1) }), /version/],
    ['a subject that is a SET', () => assemble({ subject: setOf() }), /subject: expected sequence/],
    ['a key that is no SEQUENCE', () => assemble({ spki: nullValue() }), /subjectPKInfo/],
    ['an empty key', () => assemble({ spki: sequence() }), /subjectPKInfo: algorithm is missing/],
    [
      'a key without an algorithm',
      () => assemble({ spki: sequence(sequence(), bitString(Uint8Array.of(1))) }),
      /algorithm is missing/,
    ],
    [
      'a key of three parts',
      () => assemble({ spki: sequence(sequence(oid('1.2.3')), bitString(Uint8Array.of(1)), nullValue()) }),
      /unexpected null/,
    ],
    [
      'an algorithm with two parameters',
      () =>
        assemble({
          spki: sequence(sequence(oid('1.2.3'), nullValue(), nullValue()), bitString(Uint8Array.of(1))),
        }),
      /unexpected null/,
    ],
    [
      'missing attributes (RFC 2986 §4.1)',
      () => assemble({ attributes: new Uint8Array() }),
      /attributes are missing/,
    ],
    ['attributes with another tag', () => assemble({ attributes: implicit(1, setOf()) }), /unexpected/],
    [
      'primitive attributes',
      () => assemble({ attributes: implicit(0, octetString(new Uint8Array())) }),
      /must be a SET/,
    ],
    ['an attribute without values', () => withAttributes(sequence(oid('1.2.3'), setOf())), /no value/],
    ['an attribute without a set', () => withAttributes(sequence(oid('1.2.3'))), /missing/],
    ['an attribute that is no SEQUENCE', () => withAttributes(nullValue()), /expected sequence/],
    [
      'unsorted values of an attribute',
      () => withAttributes(sequence(oid('1.2.3'), raw('set', Buffer.from('020102020101', 'hex')))),
      /not sorted/,
    ],
    [
      'an attribute twice, which hides one value from one reader',
      () => withAttributes(attribute('1.2.3', nullValue()), attribute('1.2.3', nullValue())),
      /1\.2\.3 occurs twice/,
    ],
    [
      'two extension requests',
      () =>
        withAttributes(
          attribute(oids.extensionRequest, encodeExtensions([keyUsage])),
          attribute(oids.extensionRequest, encodeExtensions([san('dns:a')])),
        ),
      /extensionRequest occurs twice/,
    ],
    [
      'an extension request with two values',
      () =>
        withAttributes(
          attribute(oids.extensionRequest, encodeExtensions([keyUsage]), encodeExtensions([san('dns:a')])),
        ),
      /several values/,
    ],
    [
      'two challenge passwords in one attribute',
      () => withAttributes(attribute(oids.challengePassword, utf8String('a'), utf8String('b'))),
      /several values/,
    ],
    [
      'the same extension twice',
      () => withAttributes(attribute(oids.extensionRequest, sequence(extension, extension))),
      /subjectAltName occurs twice/,
    ],
    [
      'an empty extension request',
      () => withAttributes(attribute(oids.extensionRequest, sequence())),
      /empty/,
    ],
    [
      'a requested extension that is broken inside',
      () =>
        withAttributes(
          attribute(
            oids.extensionRequest,
            encodeExtensions([{ ...keyUsage, value: Uint8Array.of(3, 1, 0) }]),
          ),
        ),
      /keyUsage/,
    ],
  ]
  for (const [name, build, message] of invalid) {
    test(name, () => refuses('malformed', () => parseCsr(build()), message))
  }

  test('nothing, when nothing is wrong', () => {
    parseCsr(assemble())
    const wanted = makeExtension(
      oids.basicConstraints,
      encodeBasicConstraints({ ca: true, pathLength: null }),
    )
    // CA:TRUE in a request is read; that it is not granted is the profile's business.
    assert.equal(parseCsr(makeCsr({ extensions: [wanted] })).extensionRequest?.basicConstraints?.ca, true)
  })

  test('weak and unknown signature algorithms', () => {
    for (const hex of [
      '300d06092a864886f70d0101050500',
      '300d06092a864886f70d0101040500',
      '300506032a0304',
    ]) {
      refuses('bad-algorithm', () => parseCsr(assemble({}, Buffer.from(hex, 'hex'))))
    }
  })

  test('hostile subjects', () => {
    for (const value of ['a\0b', 'a\u202eb', 'a\x1b[2J', 'x'.repeat(65)]) {
      const subject = sequence(setOf(sequence(oid(oids.commonName), utf8String(value))))
      refuses('hostile-name', () => parseCsr(assemble({ subject })))
    }
  })

  test('a certificate, truncation, trailing bytes, and more than 64 KiB', () => {
    const der = makeCsr()
    refuses('malformed', () => parseCsr(der.subarray(0, -1)))
    refuses('malformed', () => parseCsr(Buffer.concat([der, Uint8Array.of(0)])), /trailing/)
    refuses('malformed', () => parseCsr(readDer(der).children[0]?.raw ?? der))
    const large = attribute('1.2.3', octetString(new Uint8Array(66_000)))
    refuses('malformed', () => parseCsr(withAttributes(large)), /limit is 65536/)
  })

  test('a key that is none, when it is verified', () => {
    const unknown = sequence(sequence(oid('1.2.3')), bitString(Uint8Array.of(1)))
    refuses('bad-algorithm', () => verifyCsr(parseCsr(assemble({ spki: unknown }))))
    const offCurve = Uint8Array.from(keys.spki)
    offCurve[offCurve.length - 1] = (offCurve.at(-1) as number) ^ 1
    refuses('malformed', () => verifyCsr(parseCsr(assemble({ spki: offCurve }))))
  })
})

test('further attributes can be built in', () => {
  const der = buildCsr(
    {
      subject: [],
      spki: keys.spki,
      attributes: [{ type: oids.decryptKeyIdentifier, value: octetString(Uint8Array.of(9)) }],
    },
    () => ({ algorithm: 'ecdsa-sha256', signature: Uint8Array.of(1) }),
  )
  assert.deepEqual(parseCsr(der).decryptKeyIdentifier, Uint8Array.of(9))
})
