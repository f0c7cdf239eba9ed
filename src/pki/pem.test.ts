import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { refuses } from '../../test/helpers/refuses.ts'
import { decodePem, encodePem } from './pem.ts'

const der = Uint8Array.from({ length: 100 }, (_, index) => index)
const pem = encodePem('CERTIFICATE', der)

test('lines of 64 characters, LF, a final newline (RFC 7468 §3)', () => {
  const lines = pem.split('\n')
  assert.equal(lines[0], '-----BEGIN CERTIFICATE-----')
  assert.equal(lines[1]?.length, 64)
  assert.equal(lines.at(-2), '-----END CERTIFICATE-----')
  assert.equal(lines.at(-1), '')
})

test('any bytes round-trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
      assert.deepEqual(decodePem(encodePem('PRIVATE KEY', bytes)), [{ label: 'PRIVATE KEY', der: bytes }])
    }),
  )
})

describe('reads', () => {
  const readable: [string, string, number][] = [
    ['no block', '', 0],
    ['text without a block', 'hello\nworld', 0],
    ['several blocks with text between', `subject=x\n${pem}\nissuer=y\n${pem}`, 2],
    ['CRLF', pem.replaceAll('\n', '\r\n'), 1],
    ['old Mac line ends', pem.replaceAll('\n', '\r'), 1],
    ['no newline at the end', pem.trimEnd(), 1],
    ['one long line', `-----BEGIN X-----\n${Buffer.from(der).toString('base64')}\n-----END X-----`, 1],
    ['blank lines and spaces inside', pem.replace('CERTIFICATE-----\n', 'CERTIFICATE-----  \n\n \t'), 1],
    ['a label of several words', encodePem('CERTIFICATE REQUEST', der), 1],
  ]
  for (const [name, text, count] of readable) {
    test(name, () => {
      const blocks = decodePem(text)
      assert.equal(blocks.length, count)
      for (const block of blocks) assert.deepEqual(block.der, der)
    })
  }
})

describe('refuses', () => {
  const body = Buffer.from(der).toString('base64')
  const invalid: [string, string, RegExp][] = [
    ['a block without an end', pem.slice(0, 60), /no end/],
    ['an end without a beginning', pem.slice(28), /not begun/],
    ['unlike labels', pem.replace('END CERTIFICATE', 'END X509 CRL'), /not begun/],
    ['a block in a block', `${pem.slice(0, 28)}${pem}`, /inside another/],
    ['an empty block', '-----BEGIN X-----\n-----END X-----', /not base64/],
    ['a character outside base64', pem.replace('AAEC', 'AA*C'), /not base64/],
    ['base64url', '-----BEGIN X-----\n-_-_\n-----END X-----', /not base64/],
    ['missing padding', '-----BEGIN X-----\nAAE\n-----END X-----', /not base64/],
    ['set trailing bits', '-----BEGIN X-----\nAAF=\n-----END X-----', /not base64/],
    [
      'headers of old encrypted keys',
      `-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n\n${body}\n-----END X-----`,
      /not base64/,
    ],
    ['a label in lower case', pem.replaceAll('CERTIFICATE', 'certificate'), /proper BEGIN/],
    ['four dashes at the end', pem.replace('CERTIFICATE-----', 'CERTIFICATE----'), /proper BEGIN/],
    ['an empty label', pem.replaceAll(' CERTIFICATE', ' '), /proper BEGIN/],
    ['a label of 65 characters', pem.replaceAll('CERTIFICATE', 'A'.repeat(65)), /proper BEGIN/],
  ]
  for (const [name, text, message] of invalid)
    test(name, () => refuses('malformed', () => decodePem(text), message))

  test('hostile text in time that grows with its length only', () => {
    refuses('malformed', () => decodePem('-----BEGIN A\n'.repeat(100_000)))
    assert.deepEqual(decodePem('-'.repeat(4).concat('\n').repeat(200_000)), [])
    refuses('malformed', () => decodePem(`-----BEGIN ${'A '.repeat(500_000)}-----`))
  })
})
