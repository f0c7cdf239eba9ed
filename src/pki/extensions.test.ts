import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { fromHex, toHex } from '../base/bytes.ts'
import { InvariantError } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { readDer } from './der.ts'
import {
  bitString,
  boolean,
  explicit,
  ia5String,
  implicit,
  integer,
  namedBits,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
} from './der-writer.ts'
import { crlAt, encodeDistributionPoints, parseDistributionPoints } from './distribution-point.ts'
import * as values from './extension-values.ts'
import {
  type ParsedExtensions,
  encodeExtensions,
  findExtension,
  isKnownExtension,
  makeExtension,
  parseExtensions,
} from './extensions.ts'
import { encodeGeneralNames } from './general-name.ts'
import { parseGeneralNameText } from './general-name-text.ts'
import { parseNameText } from './name-text.ts'
import { oids } from './oid.ts'

function parseOne(type: string, value: Uint8Array): ParsedExtensions {
  return parseExtensions(readDer(encodeExtensions([makeExtension(type, value)])))
}

const node = (bytes: Uint8Array) => readDer(bytes)
const uri = (value: string) => ({ kind: 'uri', value }) as const

describe('the list', () => {
  const basic = sequence(oid(oids.basicConstraints), octetString(sequence()))

  test('keeps unknown extensions as they are', () => {
    const unknown = { oid: '1.2.3.4', critical: true, value: Uint8Array.of(1, 2, 3) }
    const parsed = parseExtensions(readDer(encodeExtensions([unknown])))
    assert.deepEqual(parsed.list, [unknown])
    assert.deepEqual(findExtension(parsed.list, '1.2.3.4'), unknown)
    assert.equal(findExtension(parsed.list, oids.keyUsage), null)
    assert.equal(isKnownExtension('1.2.3.4'), false)
    assert.equal(isKnownExtension(oids.nameConstraints), true)
  })

  test('is critical by default where RFC 5280 §4.2.1 says so', () => {
    assert.equal(makeExtension(oids.keyUsage, nullValue()).critical, true)
    assert.equal(makeExtension(oids.subjectAltName, nullValue()).critical, false)
    assert.equal(makeExtension(oids.keyUsage, nullValue(), false).critical, false)
  })

  const invalid: [string, Uint8Array, RegExp][] = [
    ['no extension at all', sequence(), /empty/],
    ['a SET', setOf(basic), /expected sequence/],
    ['the same extension twice', sequence(basic, basic), /basicConstraints occurs twice/],
    [
      'the same unknown extension twice with other values',
      sequence(
        sequence(oid('1.2.3'), octetString(nullValue())),
        sequence(oid('1.2.3'), octetString(sequence())),
      ),
      /1\.2\.3 occurs twice/,
    ],
    [
      'an encoded critical FALSE (X.690 §11.5)',
      sequence(sequence(oid(oids.basicConstraints), boolean(false), octetString(sequence()))),
      /default/,
    ],
    ['an extension without a value', sequence(sequence(oid('1.2.3'))), /extnValue is missing/],
    [
      'a value that is no OCTET STRING',
      sequence(sequence(oid('1.2.3'), nullValue())),
      /expected octetString/,
    ],
    [
      'a field too many',
      sequence(sequence(oid('1.2.3'), octetString(nullValue()), nullValue())),
      /unexpected null/,
    ],
    [
      'two values in a known extension',
      sequence(sequence(oid(oids.keyUsage), octetString(Buffer.from('03020780030207ff', 'hex')))),
      /trailing|unused/,
    ],
    [
      '129 extensions',
      sequence(...Array.from({ length: 129 }, (_, n) => sequence(oid(`1.2.${n}`), octetString(nullValue())))),
      /more than 128/,
    ],
  ]
  for (const [name, der, message] of invalid) {
    test(`refuses ${name}`, () => refuses('malformed', () => parseExtensions(readDer(der)), message))
  }
})

describe('basicConstraints', () => {
  const forms = [
    { ca: false, pathLength: null },
    { ca: true, pathLength: null },
    { ca: true, pathLength: 0 },
    { ca: true, pathLength: 300 },
  ]
  for (const value of forms) {
    test(`${value.ca ? 'CA' : 'no CA'}, ${value.pathLength ?? 'no'} path length`, () => {
      assert.deepEqual(
        parseOne(oids.basicConstraints, values.encodeBasicConstraints(value)).basicConstraints,
        value,
      )
    })
  }
  test('refuses an encoded cA FALSE, a negative or huge path length and more', () => {
    refuses('malformed', () => parseOne(oids.basicConstraints, sequence(boolean(false))), /default/)
    refuses('malformed', () => parseOne(oids.basicConstraints, sequence(boolean(true), integer(-1))))
    refuses('malformed', () => parseOne(oids.basicConstraints, sequence(boolean(true), integer(2n ** 40n))))
    refuses('malformed', () => parseOne(oids.basicConstraints, sequence(integer(1), boolean(true))))
    refuses('malformed', () => parseOne(oids.basicConstraints, nullValue()))
  })
})

describe('keyUsage', () => {
  test('every combination round-trips', () => {
    for (let bits = 1; bits < 512; bits++) {
      const usages = values.keyUsageNames.filter((_, bit) => (bits & (1 << bit)) !== 0)
      assert.deepEqual(parseOne(oids.keyUsage, values.encodeKeyUsage(usages)).keyUsage, usages)
    }
    assert.equal(toHex(values.encodeKeyUsage(['digitalSignature'])), '03020780')
    assert.equal(toHex(values.encodeKeyUsage(['keyCertSign', 'cRLSign'])), '03020106')
    assert.equal(toHex(values.encodeKeyUsage(['decipherOnly'])), '0303070080')
  })
  test('refuses no bit, unknown bits, trailing zeros and other types', () => {
    refuses('malformed', () => parseOne(oids.keyUsage, namedBits(0)), /no bit/)
    refuses('malformed', () => parseOne(oids.keyUsage, namedBits(1 << 9)), /unknown bit/)
    refuses('malformed', () => parseOne(oids.keyUsage, bitString(Uint8Array.of(0x80))), /trailing zero/)
    refuses('malformed', () => parseOne(oids.keyUsage, octetString(Uint8Array.of(0x80))))
    assert.throws(() => values.encodeKeyUsage([]), InvariantError)
  })
})

test('extendedKeyUsage: at least one, none twice', () => {
  const usages = [oids.clientAuth, oids.cmcRA, '1.2.3.4']
  assert.deepEqual(
    parseOne(oids.extendedKeyUsage, values.encodeExtendedKeyUsage(usages)).extendedKeyUsage,
    usages,
  )
  refuses('malformed', () => parseOne(oids.extendedKeyUsage, sequence()), /empty/)
  refuses('malformed', () => parseOne(oids.extendedKeyUsage, sequence(oid('1.2.3'), oid('1.2.3'))), /twice/)
  refuses('malformed', () => parseOne(oids.extendedKeyUsage, sequence(integer(1))))
})

describe('key identifiers', () => {
  test('subjectKeyIdentifier has 1 to 64 octets', () => {
    const identifier = new Uint8Array(64).fill(7)
    assert.deepEqual(
      parseOne(oids.subjectKeyIdentifier, octetString(identifier)).subjectKeyIdentifier,
      identifier,
    )
    refuses('malformed', () => parseOne(oids.subjectKeyIdentifier, octetString(new Uint8Array())))
    refuses('malformed', () => parseOne(oids.subjectKeyIdentifier, octetString(new Uint8Array(65))))
  })

  test('authorityKeyIdentifier: all forms', () => {
    const keyIdentifier = Uint8Array.of(1, 2)
    const issuer = [parseGeneralNameText('dir:CN=a')]
    const serialNumber = '0a0b' as SerialNumber
    for (const value of [
      { keyIdentifier, issuer: null, serialNumber: null },
      { keyIdentifier: null, issuer, serialNumber },
      { keyIdentifier, issuer, serialNumber },
      { keyIdentifier: null, issuer: null, serialNumber: null },
    ]) {
      const parsed = parseOne(oids.authorityKeyIdentifier, values.encodeAuthorityKeyIdentifier(value))
      assert.deepEqual(parsed.authorityKeyIdentifier, value)
    }
  })

  test('refuses an issuer without a serial number and the reverse', () => {
    const names = encodeGeneralNames([parseGeneralNameText('dir:CN=a')])
    refuses(
      'malformed',
      () => parseOne(oids.authorityKeyIdentifier, sequence(implicit(1, names))),
      /together/,
    )
    refuses(
      'malformed',
      () => parseOne(oids.authorityKeyIdentifier, sequence(implicit(2, integer(5)))),
      /together/,
    )
    refuses('malformed', () =>
      parseOne(oids.authorityKeyIdentifier, sequence(implicit(0, octetString(new Uint8Array())))),
    )
    refuses('malformed', () => parseOne(oids.authorityKeyIdentifier, sequence(octetString(Uint8Array.of(1)))))
  })
})

describe('serial numbers', () => {
  test('have a value of up to 20 octets that is not negative', () => {
    for (const hex of ['01', '7f', '80', 'ff'.repeat(20), '0100']) {
      const serialNumber = hex as SerialNumber
      assert.equal(values.readSerialNumber(node(values.encodeSerialNumber(serialNumber)), 'x'), serialNumber)
    }
    refuses('malformed', () => values.readSerialNumber(node(integer(2n ** 160n)), 'x'), /20 octets/)
    assert.equal(values.readSerialNumber(node(integer(0)), 'x'), '00')
    refuses('malformed', () => values.readSerialNumber(node(integer(-1)), 'x'), /negative/)
    assert.throws(() => values.encodeSerialNumber('ff'.repeat(21) as SerialNumber), InvariantError)
    assert.throws(() => values.encodeSerialNumber('xyz' as SerialNumber), InvariantError)
  })
})

describe('distribution points', () => {
  const reasonsOnly = sequence(sequence(implicit(1, namedBits(2))))
  test('every form round-trips', () => {
    const rdn = parseNameText('CN=shard')[0]
    assert.ok(rdn)
    const issuer = [parseGeneralNameText('dir:CN=CRL issuer')]
    const points = [
      crlAt('http://status.example/7.crl'),
      {
        fullName: [uri('http://a/'), uri('ldap://b/')],
        nameRelativeToIssuer: null,
        reasons: 0x102,
        cRLIssuer: issuer,
      },
      { fullName: null, nameRelativeToIssuer: rdn, reasons: null, cRLIssuer: null },
      { fullName: null, nameRelativeToIssuer: null, reasons: null, cRLIssuer: issuer },
    ]
    const der = encodeDistributionPoints(points)
    assert.deepEqual(parseDistributionPoints(node(der)), points)
    assert.deepEqual(parseOne(oids.freshestCRL, der).freshestCRL, points)
    assert.deepEqual(parseOne(oids.cRLDistributionPoints, der).cRLDistributionPoints, points)
  })

  const invalid: [string, Uint8Array, RegExp][] = [
    ['none', sequence(), /empty/],
    ['a point with nothing in it', sequence(sequence()), /without name/],
    ['reasons alone', reasonsOnly, /without name/],
    ['an empty fullName', sequence(sequence(explicit(0, implicit(0, sequence())))), /at least one/],
    ['an unknown form of name', sequence(sequence(explicit(0, implicit(2, sequence())))), /unknown form/],
    ['an empty relative name', sequence(sequence(explicit(0, implicit(1, setOf())))), /empty RDN/],
    [
      'an unknown reason',
      sequence(sequence(implicit(1, namedBits(1 << 9)), implicit(2, encodeGeneralNames([uri('http://a/')])))),
      /unknown reason/,
    ],
    [
      'fields out of order',
      sequence(sequence(implicit(2, encodeGeneralNames([uri('http://a/')])), implicit(1, namedBits(2)))),
      /unexpected/,
    ],
  ]
  for (const [name, der, message] of invalid) {
    test(`refuses ${name}`, () => refuses('malformed', () => parseDistributionPoints(node(der)), message))
  }
})

test('authorityInfoAccess: at least one', () => {
  const descriptions = [
    { method: oids.caIssuers, location: uri('http://status.example/ca.cer') },
    { method: oids.ocsp, location: uri('http://ocsp.example/') },
  ]
  const der = values.encodeInfoAccess(descriptions)
  assert.deepEqual(parseOne(oids.authorityInfoAccess, der).authorityInfoAccess, descriptions)
  assert.deepEqual(parseOne(oids.subjectInfoAccess, der).subjectInfoAccess, descriptions)
  refuses('malformed', () => parseOne(oids.authorityInfoAccess, sequence()), /empty/)
  refuses(
    'malformed',
    () => parseOne(oids.authorityInfoAccess, sequence(sequence(oid(oids.ocsp)))),
    /missing/,
  )
})

test('ocsp-nocheck holds NULL', () => {
  assert.equal(parseOne(oids.ocspNoCheck, nullValue()).ocspNoCheck, true)
  assert.equal(parseOne('1.2.3', nullValue()).ocspNoCheck, false)
  refuses('malformed', () => parseOne(oids.ocspNoCheck, sequence()))
})

test('alternative names are a SEQUENCE of names', () => {
  const names = ['uri:urn:x', 'hw:1.2.3:ff'].map(parseGeneralNameText)
  assert.deepEqual(parseOne(oids.subjectAltName, encodeGeneralNames(names)).subjectAltName, names)
  assert.deepEqual(parseOne(oids.issuerAltName, encodeGeneralNames(names)).issuerAltName, names)
  refuses('malformed', () => parseOne(oids.subjectAltName, sequence()), /at least one/)
  refuses('malformed', () => parseOne(oids.subjectAltName, setOf(implicit(6, ia5String('urn:x')))))
  const hidden = fromHex('300a820861 2e62006578616d'.replace(' ', ''))
  assert.ok(hidden)
  refuses('hostile-name', () => parseOne(oids.subjectAltName, hidden))
})

test('any list of extensions round-trips', () => {
  const type = fc.integer({ min: 1, max: 50 }).map((arc) => `1.3.6.1.4.1.99999.${arc}`)
  const extension = fc
    .tuple(type, fc.boolean(), fc.uint8Array({ maxLength: 300 }))
    .map(([extnId, critical, value]) => ({ oid: extnId, critical, value }))
  fc.assert(
    fc.property(
      fc.uniqueArray(extension, { minLength: 1, maxLength: 20, selector: ({ oid: id }) => id }),
      (list) => {
        assert.deepEqual(parseExtensions(readDer(encodeExtensions(list))).list, list)
      },
    ),
  )
})
