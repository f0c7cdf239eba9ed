import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../base/errors.ts'
import { parseBasicCredentials } from './basic-credentials.ts'

const encode = (text: string) => Buffer.from(text).toString('base64')

test('reads user and password; a password may hold colons and umlauts', () => {
  assert.deepEqual(parseBasicCredentials(`Basic ${encode('d-1:a:b')}`), { username: 'd-1', password: 'a:b' })
  assert.deepEqual(parseBasicCredentials(`bAsIc  ${encode('d-1:schlüssel')}`), {
    username: 'd-1',
    password: 'schlüssel',
  })
  assert.equal(parseBasicCredentials(undefined), null)
})

test('refuses another scheme, bad base64, bad UTF-8, no colon and no user', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['Bearer abc', 'unauthenticated'],
    ['Basic', 'unauthenticated'],
    ['', 'unauthenticated'],
    [`Basic ${encode('a:b')} x`, 'unauthenticated'],
    ['Basic !!!!', 'secret-invalid'],
    ['Basic YTpi\u00e4', 'secret-invalid'],
    [`Basic ${encode('ab')}`, 'secret-invalid'],
    [`Basic ${encode(':b')}`, 'secret-invalid'],
    [`Basic ${Buffer.from([0x61, 0x3a, 0xff]).toString('base64')}`, 'secret-invalid'],
  ]
  for (const [header, code] of cases) {
    assert.throws(
      () => parseBasicCredentials(header),
      (error) => error instanceof Refusal && error.code === code,
      header,
    )
  }
})
