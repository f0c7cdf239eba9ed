import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { fromHex, toHex } from '../base/bytes.ts'
import { InvariantError } from '../base/errors.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { readDer } from './der.ts'
import * as read from './der-values.ts'
import * as write from './der-writer.ts'

const node = (bytes: Uint8Array) => readDer(bytes)
const text = (kind: Parameters<typeof write.raw>[0], content: string | Uint8Array) =>
  node(write.raw(kind, typeof content === 'string' ? Buffer.from(content, 'latin1') : content))

describe('INTEGER', () => {
  test('reads back every number that is written', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), (value) => {
        assert.equal(read.readInteger(node(write.integer(value)), 'x'), value)
      }),
    )
    for (const value of [0, 1, 127, 128, 255, 256, -1, -128, -129, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      assert.equal(read.readInteger(node(write.integer(value)), 'x'), BigInt(value))
    }
  })

  test('a magnitude gets a sign octet exactly when it needs one', () => {
    assert.equal(toHex(write.unsignedInteger(Uint8Array.of(0x7f))), '02017f')
    assert.equal(toHex(write.unsignedInteger(Uint8Array.of(0x80))), '02020080')
    assert.equal(toHex(write.unsignedInteger(Uint8Array.of(0, 0, 1))), '020101')
    assert.equal(toHex(write.unsignedInteger(Uint8Array.of(0, 0))), '020100')
    assert.equal(toHex(write.unsignedInteger(new Uint8Array())), '020100')
  })

  test('small integers end at their bound', () => {
    assert.equal(read.readSmallInteger(node(write.integer(255)), 'x', 255), 255)
    refuses('malformed', () => read.readSmallInteger(node(write.integer(256)), 'x', 255), /outside 0\.\.255/)
    assert.equal(read.readSmallInteger(node(write.integer(2 ** 31 - 1)), 'x'), 2 ** 31 - 1)
    refuses('malformed', () => read.readSmallInteger(node(write.integer(2 ** 31)), 'x'))
    refuses('malformed', () => read.readSmallInteger(node(write.integer(-1)), 'x'))
    refuses('malformed', () => read.readSmallInteger(node(write.integer(2n ** 64n)), 'x'))
    refuses('malformed', () => read.readSmallInteger(node(write.boolean(true)), 'x'), /expected integer/)
  })

  test('positive numbers only', () => {
    assert.equal(toHex(read.readPositiveBytes(node(write.integer(128)), 'x')), '80')
    refuses('malformed', () => read.readPositiveBytes(node(write.integer(0)), 'x'), /positive/)
    refuses('malformed', () => read.readPositiveBytes(node(write.integer(-5)), 'x'), /positive/)
  })

  test('the writer refuses bytes that are not in shortest form', () => {
    for (const bytes of [[], [0, 1], [0xff, 0x80]]) {
      assert.throws(() => write.integer(Uint8Array.from(bytes)), InvariantError)
    }
    assert.throws(() => write.integer(1.5), InvariantError)
  })
})

describe('BIT STRING', () => {
  test('named bits round-trip and have no trailing zeros', () => {
    for (let bits = 0; bits < 512; bits++) {
      assert.equal(read.readNamedBits(node(write.namedBits(bits)), 'x'), bits)
    }
    assert.equal(toHex(write.namedBits(0)), '030100')
    assert.equal(toHex(write.namedBits(1)), '03020780')
    assert.equal(toHex(write.namedBits(0x100)), '0303070080')
  })

  test('refuses named bits with trailing zero bits (X.690 §11.2.2)', () => {
    for (const der of ['03020080', '03020000', '0303008000', '03020680']) {
      const bytes = fromHex(der)
      assert.ok(bytes)
      refuses('malformed', () => read.readNamedBits(node(bytes), 'x'), /trailing zero/)
    }
  })

  test('keys and signatures hold whole octets', () => {
    assert.equal(toHex(read.readBitStringBytes(node(write.bitString(Uint8Array.of(1, 2))), 'x')), '0102')
    refuses(
      'malformed',
      () => read.readBitStringBytes(node(write.bitString(Uint8Array.of(0x80), 7)), 'x'),
      /whole/,
    )
    assert.throws(() => write.bitString(Uint8Array.of(1), 1), InvariantError)
  })
})

describe('strings', () => {
  const all = [
    'utf8String',
    'printableString',
    'ia5String',
    'numericString',
    'visibleString',
    'bmpString',
    'universalString',
  ] as const

  test('each kind is decoded by its own rules', () => {
    assert.equal(read.readString(text('utf8String', Buffer.from('Zähler €𝄞')), all, 'x'), 'Zähler €𝄞')
    assert.equal(read.readString(text('utf8String', ''), all, 'x'), '')
    assert.equal(read.readString(text('printableString', "A-z 0'()+,./:=?"), all, 'x'), "A-z 0'()+,./:=?")
    assert.equal(read.readString(text('ia5String', 'a@b*'), all, 'x'), 'a@b*')
    assert.equal(read.readString(text('numericString', '12 3'), all, 'x'), '12 3')
    assert.equal(read.readString(text('visibleString', 'a_b~'), all, 'x'), 'a_b~')
    assert.equal(read.readString(text('bmpString', Uint8Array.of(0x20, 0xac, 0, 0x41)), all, 'x'), '€A')
    assert.equal(read.readString(text('universalString', Uint8Array.of(0, 1, 0xd1, 0x1e)), all, 'x'), '𝄞')
  })

  test('a byte order mark is kept, so that it is seen and refused as a format character', () => {
    assert.equal(read.readString(text('utf8String', Buffer.from('\ufeffa')), all, 'x'), '\ufeffa')
  })

  const invalid: [string, Parameters<typeof write.raw>[0], number[]][] = [
    ['UTF-8 cut short', 'utf8String', [0xc3]],
    ['UTF-8 in a longer form than needed', 'utf8String', [0xc0, 0xaf]],
    ['a UTF-8 surrogate', 'utf8String', [0xed, 0xa0, 0x80]],
    ['UTF-8 beyond U+10FFFF', 'utf8String', [0xf4, 0x90, 0x80, 0x80]],
    ['a lone continuation octet', 'utf8String', [0x80]],
    ['an asterisk in PrintableString', 'printableString', [0x2a]],
    ['an underscore in PrintableString', 'printableString', [0x5f]],
    ['an at sign in PrintableString', 'printableString', [0x40]],
    ['Latin-1 in PrintableString', 'printableString', [0xe4]],
    ['Latin-1 in IA5String', 'ia5String', [0xe4]],
    ['a letter in NumericString', 'numericString', [0x41]],
    ['a control in VisibleString', 'visibleString', [0x07]],
    ['a surrogate pair in BMPString', 'bmpString', [0xd8, 0x34, 0xdd, 0x1e]],
    ['a surrogate in UniversalString', 'universalString', [0, 0, 0xd8, 0]],
    ['UniversalString beyond U+10FFFF', 'universalString', [0, 0x11, 0, 0]],
    ['TeletexString, whose meaning readers disagree on', 'teletexString', [0x41]],
    ['a type that is no string', 'octetString', [0x41]],
  ]
  for (const [name, kind, octets] of invalid) {
    test(`refuses ${name}`, () => {
      refuses('malformed', () => read.readString(text(kind, Uint8Array.from(octets)), all, 'x'))
    })
  }

  test('refuses a kind that the field does not have', () => {
    refuses(
      'malformed',
      () => read.readString(text('utf8String', 'a'), ['printableString'], 'x'),
      /expected printable/,
    )
  })

  test('UTF8String round-trips any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        assert.equal(read.readString(node(write.utf8String(value)), all, 'x'), value)
      }),
    )
  })

  test('the writer does not write what has no form', () => {
    assert.throws(() => write.utf8String('\ud800'), InvariantError)
    assert.throws(() => write.printableString('a_b'), InvariantError)
    assert.throws(() => write.ia5String('ä'), InvariantError)
  })
})

describe('times', () => {
  const valid: [string, string, string][] = [
    ['utcTime', '500101000000Z', '1950-01-01T00:00:00Z'],
    ['utcTime', '491231235959Z', '2049-12-31T23:59:59Z'],
    ['utcTime', '000229120000Z', '2000-02-29T12:00:00Z'],
    ['generalizedTime', '20500101000000Z', '2050-01-01T00:00:00Z'],
    ['generalizedTime', '99991231235959Z', '9999-12-31T23:59:59Z'],
    ['generalizedTime', '00500101000000Z', '0050-01-01T00:00:00Z'],
    ['generalizedTime', '24000229000000Z', '2400-02-29T00:00:00Z'],
  ]
  for (const [kind, digits, instant] of valid) {
    test(`reads ${digits} as ${instant}`, () => {
      const at = read.readTime(text(kind as 'utcTime', digits), 'x')
      assert.equal(new Date(at).toISOString(), instant.replace('Z', '.000Z'))
    })
  }

  const invalid: [string, string, string][] = [
    ['no seconds', 'utcTime', '2611200000Z'],
    ['no zone', 'utcTime', '261120000000'],
    ['an offset', 'utcTime', '261120000000+0100'],
    ['a lower-case z', 'utcTime', '261120000000z'],
    ['four-digit year in UTCTime', 'utcTime', '20261120000000Z'],
    ['two-digit year in GeneralizedTime', 'generalizedTime', '261120000000Z'],
    ['a fraction', 'generalizedTime', '20261120000000.5Z'],
    ['a fraction of zero', 'generalizedTime', '20261120000000.0Z'],
    ['month 0', 'utcTime', '260020000000Z'],
    ['month 13', 'utcTime', '261320000000Z'],
    ['day 0', 'utcTime', '261100000000Z'],
    ['31 November', 'utcTime', '261131000000Z'],
    ['29 February 2027', 'utcTime', '270229000000Z'],
    ['29 February 2100', 'generalizedTime', '21000229000000Z'],
    ['hour 24', 'utcTime', '261120240000Z'],
    ['minute 60', 'utcTime', '261120006000Z'],
    ['a leap second', 'utcTime', '261231235960Z'],
    ['a space', 'utcTime', '26112 000000Z'],
    ['a minus sign', 'generalizedTime', '-0261120000000Z'],
    ['nothing', 'utcTime', ''],
  ]
  for (const [name, kind, digits] of invalid) {
    test(`refuses ${name}`, () => {
      refuses('malformed', () => read.readTime(text(kind as 'utcTime', digits), 'x'))
    })
  }

  test('refuses a number where a time stands', () => {
    refuses('malformed', () => read.readTime(node(write.integer(1)), 'x'), /expected a time/)
  })

  test('UTCTime ends with 2049 (RFC 5280 §4.1.2.5)', () => {
    assert.equal(write.time(Date.UTC(2049, 11, 31, 23, 59, 59))[0], 0x17)
    assert.equal(write.time(Date.UTC(2050, 0, 1))[0], 0x18)
    assert.equal(write.time(Date.UTC(1950, 0, 1))[0], 0x17)
    assert.equal(write.time(Date.UTC(1949, 11, 31, 23, 59, 59))[0], 0x18)
  })

  test('round-trips every second from 1900 to 9999', () => {
    const seconds = fc.integer({
      min: Date.UTC(1900, 0, 1) / 1000,
      max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000,
    })
    fc.assert(
      fc.property(seconds, (second) => {
        assert.equal(read.readTime(node(write.time(second * 1000)), 'x'), second * 1000)
        assert.equal(read.readTime(node(write.generalizedTime(second * 1000)), 'x'), second * 1000)
      }),
      { numRuns: 500 },
    )
  })

  test('the writer takes whole seconds only', () => {
    assert.throws(() => write.time(1500), InvariantError)
    assert.throws(() => write.time(Date.UTC(10_000, 0, 1)), InvariantError)
    assert.throws(() => write.time(Number.NaN), InvariantError)
  })
})

test('ENUMERATED and BOOLEAN', () => {
  assert.equal(read.readEnumerated(node(write.enumerated(10)), 'x'), 10)
  refuses('malformed', () => read.readEnumerated(node(write.raw('enumerated', Uint8Array.of(0, 0x80))), 'x'))
  refuses('malformed', () => read.readEnumerated(node(write.raw('enumerated', Uint8Array.of(0xff))), 'x'))
  assert.equal(read.readBoolean(node(write.boolean(true)), 'x'), true)
  assert.equal(read.readBoolean(node(write.boolean(false)), 'x'), false)
  refuses('malformed', () => read.readBoolean(node(write.integer(1)), 'x'))
})
