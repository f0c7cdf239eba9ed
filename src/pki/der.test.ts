import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { fromHex, toHex } from '../base/bytes.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { DerFields, type DerNode, explicitInner, implicitAs, readDer } from './der.ts'
import * as write from './der-writer.ts'

function hex(text: string): Uint8Array {
  const bytes = fromHex(text.replaceAll(' ', ''))
  assert.ok(bytes, `test data ${text}`)
  return Uint8Array.from(bytes)
}

describe('reads', () => {
  const valid: [name: string, der: string][] = [
    ['NULL', '0500'],
    ['BOOLEAN TRUE', '0101ff'],
    ['BOOLEAN FALSE', '010100'],
    ['INTEGER 0', '020100'],
    ['INTEGER 127', '02017f'],
    ['INTEGER 128 with its sign octet', '02020080'],
    ['INTEGER -128', '020180'],
    ['INTEGER -129', '0202ff7f'],
    ['BIT STRING without bits', '030100'],
    ['BIT STRING with unused bits', '030206c0'],
    ['empty OCTET STRING', '0400'],
    ['OBJECT IDENTIFIER 2.5.4.3', '0603550403'],
    ['OBJECT IDENTIFIER with an arc of two octets', '06028100'],
    ['empty SEQUENCE', '3000'],
    ['sorted SET', '3106 020101 020102'],
    ['SET with the same value twice', '3106 020101 020101'],
    ['BMPString', '1e020041'],
    ['primitive context tag', '80017f'],
    ['constructed context tag', 'a003020101'],
    ['application and private class', '6003 c00141'],
    ['tag number 31', '9f1f00'],
    ['tag number 128', '9f810000'],
    ['length of 128 in two octets', `048180${'00'.repeat(128)}`],
    ['length of 256 in three octets', `04820100${'00'.repeat(256)}`],
  ]
  for (const [name, der] of valid) {
    test(name, () => {
      const bytes = hex(der)
      const node = readDer(bytes)
      assert.equal(toHex(node.raw), toHex(bytes))
      assert.equal(node.raw.buffer, bytes.buffer, 'a view, not a copy')
    })
  }
})

describe('refuses', () => {
  const invalid: [name: string, der: string, message: RegExp][] = [
    ['no input at all', '', /truncated/],
    ['a tag alone', '30', /truncated/],
    ['a value shorter than its length', '040201', /past the end/],
    ['a child that runs out of its parent', '3003 040201 00', /past the end/],
    ['trailing bytes', '050000', /1 trailing bytes/],
    ['end-of-contents octets', '0000', /universal tag 0/],
    ['indefinite length', '3080 0000', /indefinite/],
    ['indefinite length in a string', '2480 040100 0000', /indefinite/],
    ['the reserved length octet ff', `04ff${'00'.repeat(127)}`, /four octets/],
    ['a length of five octets', '04850000000001ff', /four octets/],
    ['a short length in the long form', '04810100', /shortest form/],
    ['127 in the long form', `04817f${'00'.repeat(127)}`, /shortest form/],
    ['a long length with a leading zero', `04820080${'00'.repeat(128)}`, /shortest form/],
    ['a length that exceeds what is there by far', '0484ffffffff', /past the end/],
    ['BOOLEAN 01', '010101', /BOOLEAN/],
    ['BOOLEAN of two octets', '0102ffff', /BOOLEAN/],
    ['empty BOOLEAN', '0100', /BOOLEAN/],
    ['empty INTEGER', '0200', /empty INTEGER/],
    ['INTEGER with a needless zero', '0202007f', /shortest form/],
    ['negative INTEGER with a needless ff', '0202ff80', /shortest form/],
    ['ENUMERATED with a needless zero', '0a020001', /shortest form/],
    ['BIT STRING without its first octet', '0300', /first octet/],
    ['BIT STRING with eight unused bits', '03020800', /unused/],
    ['unused bits of an empty BIT STRING', '030101', /unused/],
    ['BIT STRING with a set unused bit', '03020601', /unused part/],
    ['NULL with content', '050100', /NULL/],
    ['empty OBJECT IDENTIFIER', '0600', /OBJECT IDENTIFIER empty/],
    ['an arc that starts with 80', '0603558001', /leading zeros/],
    ['a first arc that starts with 80', '06028001', /leading zeros/],
    ['an arc without an end', '06025581', /inside an arc/],
    ['an arc of twenty octets', `061555${'81'.repeat(19)}01`, /arc too large/],
    ['an identifier of 65 octets', `0641${'01'.repeat(65)}`, /too long/],
    ['BMPString of odd length', '1e0141', /BMPString/],
    ['UniversalString of three octets', '1c03000041', /UniversalString/],
    ['UTCTime that holds no digits', '180801020304050607 08', /time not in the form/],
    ['UTCTime without seconds', '170b323631313230303030305a', /time not in the form/],
    ['constructed OCTET STRING', '2403 040100', /constructed string/],
    ['constructed BIT STRING', '2304 03020001', /constructed string/],
    ['constructed UTF8String', '2c03 0c0141', /constructed string/],
    ['primitive SEQUENCE', '1000', /primitive SEQUENCE/],
    ['primitive SET', '1100', /primitive SEQUENCE/],
    ['REAL', '0900', /universal tag 9/],
    ['EXTERNAL', '2800', /universal tag 8/],
    ['RELATIVE-OID', '0d0101', /universal tag 13/],
    ['a universal tag in the long form', '1f2000', /unknown universal type/],
    ['tag 30 in the long form', '9f1e00', /low tag number/],
    ['a long tag with leading zeros', '9f801f00', /leading zeros/],
    ['a tag number of four octets', '9f8181810100', /too large/],
    ['a tag number without an end', '9f81', /truncated/],
    ['an unsorted SET', '3106 020102 020101', /not sorted/],
    ['an unsorted SET where one value is a prefix', '3107 04020100 040101', /not sorted/],
    ['bad DER below context tags', 'a0 04 a1 02 0101', /past the end|truncated/],
    ['bad DER inside a sequence', '3003 010101', /BOOLEAN/],
  ]
  for (const [name, der, message] of invalid) {
    test(name, () => refuses('malformed', () => readDer(hex(der)), message))
  }
})

describe('limits', () => {
  const nested = (depth: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array()
    for (let level = 0; level < depth; level++) bytes = write.raw('sequence', bytes)
    return bytes
  }

  test('32 levels are read, 33 are refused', () => {
    readDer(nested(32))
    refuses('malformed', () => readDer(nested(33)), /deeper than 32/)
    readDer(nested(33), { maxDepth: 33 })
  })

  test('a bomb of 15,000 levels is refused without recursion to match', () => {
    refuses('malformed', () => readDer(nested(15_000)), /deeper than/)
  })

  test('10,000 values are read, 10,001 are refused', () => {
    const flat = (count: number): Uint8Array => write.raw('sequence', hex('0500'.repeat(count - 1)))
    readDer(flat(10_000))
    refuses('malformed', () => readDer(flat(10_001)), /too many values/)
  })

  test('65,536 bytes are read, one more is refused', () => {
    const ofLength = (length: number): Uint8Array => write.octetString(new Uint8Array(length - 4))
    readDer(ofLength(65_536))
    refuses('malformed', () => readDer(write.octetString(new Uint8Array(65_533 + 1))), /65539 bytes|limit/)
    refuses('malformed', () => readDer(new Uint8Array(65_537)), /limit is 65536/)
  })
})

test('an implicit tag is held to the rules of the type that it stands for', () => {
  assert.equal(implicitAs(readDer(hex('80017f')), 'integer', 'field').tag, 2)
  refuses('malformed', () => implicitAs(readDer(hex('8002007f')), 'integer', 'field'), /shortest/)
  refuses('malformed', () => implicitAs(readDer(hex('800101')), 'boolean', 'field'), /BOOLEAN/)
  refuses('malformed', () => implicitAs(readDer(hex('a003020101')), 'integer', 'field'), /cannot hold/)
  refuses('malformed', () => implicitAs(readDer(hex('8000')), 'sequence', 'field'), /cannot hold/)
  refuses('malformed', () => implicitAs(readDer(hex('a006 020102 020101')), 'set', 'field'), /not sorted/)
})

test('an explicit tag holds exactly one value', () => {
  assert.equal(explicitInner(readDer(hex('a003020105')), 'field').tag, 2)
  refuses('malformed', () => explicitInner(readDer(hex('a000')), 'field'), /one value/)
  refuses('malformed', () => explicitInner(readDer(hex('a006020105020105')), 'field'), /one value/)
  refuses('malformed', () => explicitInner(readDer(hex('800105')), 'field'), /one value/)
})

test('fields are taken in order and none is left over', () => {
  const fields = new DerFields(readDer(hex('300a 020101 a000 0101ff 0500')), 'Thing')
  assert.equal(fields.optional('boolean'), null)
  assert.equal(fields.take('integer', 'version').tag, 2)
  assert.equal(fields.context(1), null)
  assert.equal(fields.context(0)?.tag, 0)
  refuses('malformed', () => fields.end(), /Thing: unexpected boolean/)
  assert.equal(fields.optional('boolean')?.tag, 1)
  refuses('malformed', () => fields.take('integer', 'last'), /Thing.last: expected integer, found null/)
  refuses('malformed', () => fields.take('integer', 'more'), /more is missing/)
  fields.end()
  refuses('malformed', () => new DerFields(readDer(hex('3100')), 'Thing'), /expected sequence, found set/)
})

test('a Buffer from the pool is read at its own place', () => {
  const pooled = Buffer.from([0x30, 3, 2, 1, 5])
  assert.equal(toHex(readDer(pooled).raw), '3003020105')
})

/** Any tree of values that DER can express, as the writer makes it. */
const anyDer = fc.letrec<{ node: Uint8Array }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      fc.boolean().map(write.boolean),
      fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map(write.integer),
      fc.uint8Array({ maxLength: 200 }).map(write.octetString),
      fc.uint8Array({ maxLength: 20 }).map((bytes) => write.bitString(bytes)),
      fc.integer({ min: 0, max: 511 }).map(write.namedBits),
      fc.string({ unit: 'binary' }).map(write.utf8String),
      fc.constantFrom('1.2.840.113549', '2.5.4.3', '2.999.1').map(write.oid),
    ),
    fc.array(tie('node'), { maxLength: 5 }).map((parts) => write.sequence(...parts)),
    fc.array(tie('node'), { maxLength: 5 }).map((parts) => write.setOf(...parts)),
    fc.tuple(fc.integer({ min: 0, max: 30 }), tie('node')).map(([tag, inner]) => write.explicit(tag, inner)),
  ),
})).node

function rebuild(node: DerNode): string {
  const content = node.constructed ? node.children.map(rebuild).join('') : toHex(node.content)
  return toHex(node.raw.subarray(0, node.contentStart - node.start)) + content
}

test('reads whatever the writer writes, and children tile the content', () => {
  fc.assert(
    fc.property(anyDer, (bytes) => rebuild(readDer(bytes)) === toHex(bytes)),
    { numRuns: 500 },
  )
})

test('refuses every truncation of what the writer writes', () => {
  fc.assert(
    fc.property(anyDer, fc.nat(), (bytes, cut) => {
      refuses('malformed', () => readDer(bytes.subarray(0, cut % bytes.length)))
    }),
    { numRuns: 300 },
  )
})
