import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCa, createKey } from '../../test/helpers/ca.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { certsOnly } from '../pki/cms.ts'
import { encodePem } from '../pki/pem.ts'
import { readCertificates, readCredentials } from './credential-file.ts'

const ca = createCa('CN=CA', Date.parse('2026-11-20T12:00:00Z'))
const leaf = ca.issue({ subject: 'CN=leaf' })
const csr = createKey().csr()
const bytes = (text: string) => Buffer.from(text)

const good: readonly [string, Uint8Array, readonly string[]][] = [
  [
    'PEM with a key beside it',
    bytes(`text\n${leaf.keyPem}${leaf.pem}${ca.pem}`),
    ['certificate', 'certificate'],
  ],
  ['DER', leaf.der, ['certificate']],
  [
    'base64 without armour, as EST sends it',
    bytes(Buffer.from(leaf.der).toString('base64')),
    ['certificate'],
  ],
  ['a request as PEM', bytes(encodePem('CERTIFICATE REQUEST', csr)), ['csr']],
  ['a request as DER', csr, ['csr']],
  ['a CMS bundle as DER', certsOnly([leaf.der, ca.der]), ['certificate', 'certificate']],
  ['a CMS bundle as PEM', bytes(encodePem('PKCS7', certsOnly([leaf.der]))), ['certificate']],
  ['a CMS bundle as base64', bytes(Buffer.from(certsOnly([leaf.der])).toString('base64')), ['certificate']],
]
for (const [name, input, kinds] of good) {
  test(`reads ${name}`, () => {
    assert.deepEqual(
      readCredentials(input, 'x').map(({ kind }) => kind),
      kinds,
    )
  })
}

const bad: readonly [string, Uint8Array, RegExp][] = [
  ['text', bytes('hello'), /^x is neither PEM nor DER/],
  ['an empty file', bytes(''), /^x is neither PEM nor DER/],
  ['a key alone', bytes(leaf.keyPem), /^x has no certificate and no request/],
  ['an INTEGER', Uint8Array.of(2, 1, 1), /^x is neither a certificate, a request nor a bundle/],
  ['an unfinished PEM block', bytes(leaf.pem.slice(0, 200)), /PEM: block CERTIFICATE has no end/],
]
for (const [name, input, message] of bad) {
  test(`refuses ${name}, with the name of the file`, () => {
    refuses('malformed', () => readCredentials(input, 'x'), message)
  })
}

test('refuses a request where a certificate is wanted', () => {
  refuses('malformed', () => readCertificates(csr, 'x'), /certification request where a certificate/)
})
