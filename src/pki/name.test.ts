import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../base/bytes.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { readDer } from './der.ts'
import { oid, raw, sequence, setOf, utf8String } from './der-writer.ts'
import {
  type AttributeTypeAndValue,
  type Name,
  encodeName,
  equalNames,
  parseName,
  sameRdnSet,
} from './name.ts'
import { formatName, parseNameText } from './name-text.ts'
import { oids } from './oid.ts'

const cn = (value: string): Name => [[{ type: oids.commonName, value }]]
const one = (type: string, value: string): Name => [[{ type, value }]]

/** A name of one attribute whose value is any TLV. */
function nameWith(type: string, value: Uint8Array): Uint8Array {
  return sequence(setOf(sequence(oid(type), value)))
}

function reparse(name: Name): Name {
  return parseName(readDer(encodeName(name)))
}

describe('encodes and reads', () => {
  test('the empty name', () => assert.deepEqual(reparse([]), []))

  test('each attribute in its string type', () => {
    assert.match(toHex(encodeName(one(oids.countryName, 'DE'))), /13024445$/)
    assert.match(toHex(encodeName(one(oids.serialNumber, 'SN-1'))), /1304534e2d31$/)
    assert.match(toHex(encodeName(one(oids.domainComponent, 'example'))), /16076578616d706c65$/)
    assert.match(toHex(encodeName(one(oids.commonName, 'a'))), /0c0161$/)
    assert.match(toHex(encodeName(one(oids.matterVid, 'FFF1'))), /0c0446464631$/)
    assert.match(toHex(encodeName(one('1.2.3.4', 'a'))), /0c0161$/)
  })

  test('any of the four DirectoryString types that we read', () => {
    for (const [kind, content] of [
      ['utf8String', 'x'],
      ['printableString', 'x'],
      ['bmpString', '\0x'],
      ['universalString', '\0\0\0x'],
    ] as const) {
      const der = nameWith(oids.commonName, raw(kind, Buffer.from(content, 'latin1')))
      assert.deepEqual(parseName(readDer(der)), cn('x'))
    }
  })

  test('an RDN of several attributes, sorted by the writer', () => {
    const rdn = [
      { type: oids.serialNumber, value: '1' },
      { type: oids.commonName, value: 'a' },
    ]
    assert.deepEqual(reparse([rdn])[0]?.length, 2)
  })
})

describe('refuses as hostile-name', () => {
  const hostile: [string, string][] = [
    ['NUL', 'a\0b'],
    ['ESC', 'a\x1b[31m'],
    ['DEL', 'a\x7f'],
    ['a C1 control', 'a\u009b'],
    ['CR and LF', 'a\r\nb'],
    ['TAB', 'a\tb'],
    ['right-to-left override', 'a\u202eb'],
    ['a bidi isolate', 'a\u2066b'],
    ['a zero-width space', 'a\u200bb'],
    ['a zero-width joiner', 'a\u200db'],
    ['a soft hyphen', 'a\u00adb'],
    ['a byte order mark', '\ufeffa'],
    ['a line separator', 'a\u2028b'],
    ['a tag character', 'a\u{e0041}b'],
    ['a private-use character', 'a\ue000b'],
    ['a noncharacter', 'a\uffffb'],
  ]
  for (const [name, value] of hostile) {
    test(name, () => {
      refuses('hostile-name', () => encodeName(cn(value)))
      refuses('hostile-name', () => parseName(readDer(nameWith(oids.commonName, utf8String(value)))))
    })
  }

  const bounds: [string, string, number][] = [
    ['commonName', oids.commonName, 64],
    ['organizationName', oids.organizationName, 64],
    ['organizationalUnitName', oids.organizationalUnitName, 64],
    ['title', oids.title, 64],
    ['serialNumber', oids.serialNumber, 64],
    ['localityName', oids.localityName, 128],
    ['stateOrProvinceName', oids.stateOrProvinceName, 128],
    ['pseudonym', oids.pseudonym, 128],
    ['surname', oids.surname, 32_768],
    ['emailAddress', oids.emailAddress, 255],
    ['matterVid', oids.matterVid, 4],
    ['an unknown type', '1.2.3.4', 256],
  ]
  for (const [name, type, max] of bounds) {
    test(`${name} over its upper bound of ${max}`, () => {
      assert.equal(reparse(one(type, 'x'.repeat(max)))[0]?.[0]?.value.length, max)
      refuses('hostile-name', () => encodeName(one(type, 'x'.repeat(max + 1))), /longer than/)
      const kind = ['serialNumber', 'emailAddress'].includes(name) ? 'ia5String' : 'utf8String'
      const string = name === 'serialNumber' ? 'printableString' : kind
      const der = nameWith(type, raw(string, Buffer.alloc(max + 1, 'x')))
      refuses('hostile-name', () => parseName(readDer(der)), /longer than/)
    })
  }

  test('the bound counts characters, not bytes or UTF-16 units', () => {
    assert.equal(reparse(cn('𝄞'.repeat(64))).length, 1)
    refuses('hostile-name', () => encodeName(cn('𝄞'.repeat(65))))
  })
})

describe('refuses as malformed', () => {
  const attribute = (type: string, value: string) => sequence(oid(type), utf8String(value))
  const invalid: [string, Uint8Array][] = [
    ['an empty RDN', sequence(setOf())],
    ['an RDN that is a SEQUENCE', sequence(sequence(attribute(oids.commonName, 'a')))],
    ['a name that is a SET', setOf(setOf(attribute(oids.commonName, 'a')))],
    ['an attribute without a value', sequence(setOf(sequence(oid(oids.commonName))))],
    [
      'an attribute with two values',
      sequence(setOf(sequence(oid(oids.commonName), utf8String('a'), utf8String('b')))),
    ],
    [
      'one type twice in an RDN',
      sequence(setOf(attribute(oids.commonName, 'a'), attribute(oids.commonName, 'b'))),
    ],
    ['an empty value', nameWith(oids.commonName, utf8String(''))],
    ['a country of one letter', nameWith(oids.countryName, raw('printableString', Buffer.from('D')))],
    ['a country in UTF8String', nameWith(oids.countryName, utf8String('DE'))],
    ['a serial number in UTF8String', nameWith(oids.serialNumber, utf8String('1'))],
    ['a mail address in UTF8String', nameWith(oids.emailAddress, utf8String('a@b'))],
    ['a common name in IA5String', nameWith(oids.commonName, raw('ia5String', Buffer.from('a')))],
    ['a common name in TeletexString', nameWith(oids.commonName, raw('teletexString', Buffer.from('a')))],
    ['a value that is no string', nameWith(oids.commonName, raw('octetString', Buffer.from('a')))],
    ['65 RDNs', sequence(...Array.from({ length: 65 }, () => setOf(attribute(oids.commonName, 'a'))))],
  ]
  for (const [name, der] of invalid) test(name, () => refuses('malformed', () => parseName(readDer(der))))

  test('serialNumber text that PrintableString cannot hold', () => {
    refuses('malformed', () => encodeName(one(oids.serialNumber, 'a_b')), /serialNumber/)
    refuses('malformed', () => encodeName(one(oids.domainComponent, 'ä')), /ASCII/)
    refuses('malformed', () => encodeName(one(oids.countryName, 'D')))
    refuses('hostile-name', () => encodeName(one(oids.countryName, 'DEU')))
    refuses('malformed', () => encodeName([[]]), /empty RDN/)
  })
})

describe('compares', () => {
  const equal: [string, string][] = [
    ['CN=Device 1', 'CN=device 1'],
    ['CN=a  b', 'CN=a b'],
    ['CN=\\ a\\ ', 'CN=a'],
    ['CN=straße', 'CN=STRASSE'],
    ['CN=é', 'CN=e\u0301'],
    ['CN=Ａ', 'CN=a'],
    ['CN=a+serialNumber=1', 'serialNumber=1+CN=A'],
    ['', ''],
  ]
  for (const [a, b] of equal) {
    test(`${a || 'nothing'} equals ${b || 'nothing'}`, () => {
      assert.equal(equalNames(parseNameText(a), parseNameText(b)), true)
      assert.equal(sameRdnSet(parseNameText(a), parseNameText(b)), true)
    })
  }

  const unequal: [string, string][] = [
    ['CN=a', 'CN=b'],
    ['CN=a', 'O=a'],
    ['CN=a', 'CN=a,O=b'],
    ['CN=a,O=b', 'CN=a+O=b'],
    ['CN=ab', 'CN=a b'],
    ['CN=a,CN=a', 'CN=a,CN=b'],
    ['CN=a', ''],
  ]
  for (const [a, b] of unequal) {
    test(`${a} differs from ${b || 'nothing'}`, () => {
      assert.equal(equalNames(parseNameText(a), parseNameText(b)), false)
      assert.equal(sameRdnSet(parseNameText(a), parseNameText(b)), false)
    })
  }

  test('order counts for equality, not for the set', () => {
    const [a, b] = [parseNameText('CN=a,O=b'), parseNameText('O=b,CN=a')]
    assert.equal(equalNames(a, b), false)
    assert.equal(sameRdnSet(a, b), true)
    assert.equal(sameRdnSet(parseNameText('CN=a,CN=a,CN=b'), parseNameText('CN=a,CN=b,CN=b')), false)
  })
})

describe('text (RFC 4514)', () => {
  const texts: [string, Name][] = [
    ['CN=a,O=b,C=DE', [...one(oids.countryName, 'DE'), ...one(oids.organizationName, 'b'), ...cn('a')]],
    ['CN=a\\,b', cn('a,b')],
    ['CN=\\#a', cn('#a')],
    ['CN=\\ a\\ ', cn(' a ')],
    ['CN=\\ ', cn(' ')],
    ['CN=a\\+b\\"c\\\\d\\<e\\>f\\;g', cn('a+b"c\\d<e>f;g')],
    ['CN=a=b', cn('a=b')],
    ['CN=Zähler', cn('Zähler')],
    ['1.2.3.4=#0c0161', one('1.2.3.4', 'a')],
    ['matterVid=FFF1', one(oids.matterVid, 'FFF1')],
  ]
  for (const [text, name] of texts) {
    test(text, () => {
      assert.deepEqual(parseNameText(text), name)
      assert.equal(formatName(name), text)
    })
  }

  test('accepts other spellings', () => {
    for (const text of [
      'cn = a , o=b',
      'commonName=a, organizationName=b',
      '2.5.4.3=a,OID.2.5.4.10=b',
      'CN=\\61,O=#130162',
    ]) {
      assert.deepEqual(parseNameText(text), parseNameText('CN=a,O=b'))
    }
    assert.deepEqual(parseNameText('CN=Lu\\C4\\8Di\\C4\\87'), cn('Lučić'))
    assert.deepEqual(parseNameText('  '), [])
  })

  const invalid = [
    'a',
    'CN',
    'CN=',
    'CN=a,',
    ',CN=a',
    'CN=a,,O=b',
    'CN=a+',
    '=a',
    'XX=a',
    '1.2.x=a',
    'CN=a"b"',
    'CN=a;O=b',
    'CN=<a>',
    'CN=a\\',
    'CN=\\zz',
    'CN=\\C4',
    'CN=\\FF',
    'CN=#',
    'CN=#0',
    'CN=#zz',
    'CN=#0c01',
    'CN=#020101',
    'CN=a+CN=b',
    'C=D',
    'serialNumber=a_b',
    'constructor=a',
    'CN=\ud800',
  ]
  for (const text of invalid)
    test(`refuses ${JSON.stringify(text)}`, () => refuses('malformed', () => parseNameText(text)))

  test('refuses hostile text', () => {
    refuses('hostile-name', () => parseNameText('CN=a\u202eb'))
    refuses('hostile-name', () => parseNameText('CN=a\\00b'))
    refuses('hostile-name', () => parseNameText(`CN=${'a'.repeat(65)}`))
    refuses('malformed', () => parseNameText(`CN=${'a'.repeat(70_000)}`))
  })
})

const safeText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => {
  try {
    encodeName(cn(text))
    return true
  } catch {
    return false
  }
})

const anyAttribute: fc.Arbitrary<AttributeTypeAndValue> = fc.oneof(
  fc.record({ type: fc.constantFrom(oids.commonName, oids.organizationName, '1.2.3.4'), value: safeText }),
  fc.record({
    type: fc.constant(oids.serialNumber),
    value: fc.stringMatching(/^[A-Za-z0-9 '()+,\-./:=?]{1,20}$/),
  }),
)

const anyName: fc.Arbitrary<Name> = fc.array(
  fc.uniqueArray(anyAttribute, { minLength: 1, maxLength: 3, selector: ({ type }) => type }),
  { maxLength: 4 },
)

test('any name survives DER and text', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const once = reparse(name)
      assert.ok(equalNames(once, name))
      assert.deepEqual(reparse(once), once)
      assert.deepEqual(parseNameText(formatName(once)), once)
    }),
    { numRuns: 500 },
  )
})

test('a long hostile name is judged in linear time', () => {
  const many = Array.from({ length: 60 }, () => 'CN=' + '\\ '.repeat(30)).join(',')
  const name = parseNameText(many)
  for (let round = 0; round < 200; round++) equalNames(name, name.toReversed())
  assert.equal(name.length, 60)
})
