/** curl and openssl by hand: TLS 1.2 and 1.3, several kinds of key, and the pipelines that people copy from manuals. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { contentInfo } from '../../src/pki/cms.ts'
import { readDer } from '../../src/pki/der.ts'
import { octetString } from '../../src/pki/der-writer.ts'
import { oids } from '../../src/pki/oid.ts'
import { makeCsr } from '../helpers/certificates.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { missing } from '../helpers/require.ts'
import { run, runOk } from '../helpers/run.ts'
import { type OpensslKey, opensslRequest } from './openssl-device.ts'

const skip = missing('curl', 'openssl')

let rig: EstRig
before(async () => {
  if (skip) return
  rig = await startEstRig({ limits: { headersTimeoutMs: 20_000, requestTimeoutMs: 20_000 } })
  writeFileSync(file('root.pem'), rig.rootPem)
  writeFileSync(file('issuing.pem'), rig.issuingPem)
})
after(() => rig?.close())

function file(name: string): string {
  return join(rig.directory, name)
}

const versions = { '1.2': ['--tlsv1.2', '--tls-max', '1.2'], '1.3': ['--tlsv1.3'] } as const

/** @returns status and body */
async function curl(path: string, ...args: string[]): Promise<{ status: number; body: Buffer }> {
  const url = `${rig.url}/.well-known/est/${path}`
  const common = ['--silent', '--show-error', '--http1.1', '--cacert', file('root.pem')]
  const answer = await runOk('curl', [...common, '--write-out', '\n%{http_code}', ...args, url])
  const end = answer.lastIndexOf('\n')
  return { status: Number(answer.subarray(end + 1).toString()), body: answer.subarray(0, end) }
}

/** Sends a DER request as base64, wrapped as `openssl base64` wraps it. */
async function enrol(
  operation: string,
  csr: string,
  ...args: string[]
): Promise<{ status: number; body: Buffer }> {
  const body = await runOk('openssl', ['base64', '-in', csr])
  writeFileSync(`${csr}.b64`, body)
  return await curl(
    operation,
    ...args,
    '-H',
    'Content-Type: application/pkcs10',
    '--data-binary',
    `@${csr}.b64`,
  )
}

/** What a person would pipe the answer through. @returns PEM */
async function certificatesIn(body: Buffer): Promise<string> {
  const der = await runOk('openssl', ['base64', '-d', '-A'], { input: body })
  return (await runOk('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], { input: der })).toString()
}

for (const version of ['1.2', '1.3'] as const) {
  for (const kind of ['ec', 'rsa', 'ec-p384', 'ed25519'] as const satisfies OpensslKey[]) {
    test(`enrols and renews: TLS ${version}, ${kind}`, { skip }, async () => {
      const id = `curl-${kind}-${version}`
      const { username, password } = await rig.addDevice({ id })
      const first = await opensslRequest(rig.directory, { name: `${id}-1`, id, kind })
      const basic = ['--user', `${username}:${password}`]
      const enrolled = await enrol('simpleenroll', first.csr, ...versions[version], ...basic)
      assert.equal(enrolled.status, 200, enrolled.body.toString())
      const pem = await certificatesIn(enrolled.body)
      assert.match(pem, new RegExp(`subject=.*CN ?= ?${id}`))
      writeFileSync(file(`${id}.pem`), pem + readFileSync(file('issuing.pem'), 'utf8'))

      const second = await opensslRequest(rig.directory, { name: `${id}-2`, id, kind })
      const identity = ['--cert', file(`${id}.pem`), '--key', first.key]
      const renewed = await enrol('simplereenroll', second.csr, ...versions[version], ...identity)
      assert.equal(renewed.status, 200, renewed.body.toString())
      writeFileSync(file(`${id}-new.pem`), await certificatesIn(renewed.body))
      const anchors = ['-CAfile', file('root.pem'), '-untrusted', file('issuing.pem')]
      await runOk('openssl', [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslclient',
        ...anchors,
        file(`${id}-new.pem`),
      ])
    })
  }
}

test('the device certificate alone, without the issuing CA, is enough to renew', { skip }, async () => {
  const id = 'curl-leaf'
  const { username, password } = await rig.addDevice({ id })
  const first = await opensslRequest(rig.directory, { name: `${id}-1`, id, kind: 'ec' })
  const enrolled = await enrol('simpleenroll', first.csr, '--user', `${username}:${password}`)
  writeFileSync(file('leaf.pem'), await certificatesIn(enrolled.body))
  const second = await opensslRequest(rig.directory, { name: `${id}-2`, id, kind: 'ec' })
  const renewed = await enrol('simplereenroll', second.csr, '--cert', file('leaf.pem'), '--key', first.key)
  assert.equal(renewed.status, 200, renewed.body.toString())
})

test('cacerts is what openssl pkcs7 reads, and curl trusts the server with it', { skip }, async () => {
  const { status, body } = await curl('cacerts')
  assert.equal(status, 200)
  writeFileSync(file('bundle.pem'), await certificatesIn(body))
  const again = await curl('cacerts', '--cacert', file('bundle.pem'))
  assert.equal(again.status, 200)
})

test('a CSR as PEM is refused with a text that says what to send', { skip }, async () => {
  const id = 'curl-pem'
  const { username, password } = await rig.addDevice({ id })
  const { csr } = await opensslRequest(rig.directory, { name: id, id, kind: 'ec' })
  const pem = await runOk('openssl', ['req', '-inform', 'DER', '-in', csr])
  writeFileSync(file('csr.pem'), pem)
  const sent = ['--data-binary', `@${file('csr.pem')}`, '-H', 'Content-Type: application/pkcs10']
  const answer = await curl('simpleenroll', ...sent, '--user', `${username}:${password}`)
  assert.equal(answer.status, 400)
  assert.match(answer.body.toString(), /base64 of a DER certificate request, without PEM lines/)
})

test('a large upload is told 413 before curl sends it', { skip }, async () => {
  writeFileSync(file('large'), Buffer.alloc(10_000_000, 'A'))
  const sent = ['--data-binary', `@${file('large')}`, '-H', 'Content-Type: application/pkcs10']
  const answer = await curl('simpleenroll', ...sent)
  assert.equal(answer.status, 413)
})

test('an encrypted server-generated key opens with the key of the client certificate', { skip }, async () => {
  const id = 'curl-keygen'
  const { username, password } = await rig.addDevice({ id, profile: 'made' })
  const own = await opensslRequest(rig.directory, { name: id, id, kind: 'rsa' })
  const enrolled = await enrol('simpleenroll', own.csr, '--user', `${username}:${password}`)
  const pem = await certificatesIn(enrolled.body)
  writeFileSync(file('own.pem'), pem)
  const text = (
    await runOk('openssl', ['x509', '-in', file('own.pem'), '-noout', '-ext', 'subjectKeyIdentifier'])
  ).toString()
  const identifier = text.match(/[0-9A-F]{2}(?::[0-9A-F]{2})+/)?.[0]?.replaceAll(':', '')
  assert.ok(identifier, text)
  const value = octetString(Buffer.from(identifier, 'hex'))
  const attributes = [{ type: oids.asymmetricDecryptKeyIdentifier, value }]
  writeFileSync(file('keygen.csr'), makeCsr({ attributes }))
  const answer = await enrol('serverkeygen', file('keygen.csr'), '--cert', file('own.pem'), '--key', own.key)
  assert.equal(answer.status, 200, answer.body.toString())
  const [, keyPart = '', certificatePart = ''] = answer.body.toString().split(/--perennial-\S+\r\n/)
  assert.match(keyPart, /^Content-Type: application\/pkcs7-mime; smime-type=server-generated-key\r\n/)
  const envelope = Buffer.from(keyPart.split('\r\n\r\n')[1] ?? '', 'base64')
  const recipient = ['-inkey', own.key, '-recip', file('own.pem')]
  const signed = await runOk('openssl', ['cms', '-decrypt', '-inform', 'DER', '-binary', ...recipient], {
    input: envelope,
  })
  // inside: a bare SignedData of the server over an AsymmetricKeyPackage, a SEQUENCE of one PKCS #8 key
  const anchors = ['-CAfile', file('root.pem'), '-purpose', 'any']
  const input = contentInfo(oids.signedData, signed)
  const keyPackage = await runOk('openssl', ['cms', '-verify', '-inform', 'DER', '-binary', ...anchors], {
    input,
  })
  writeFileSync(file('made.key'), readDer(keyPackage).children[0]?.raw ?? '')
  const made = await runOk('openssl', ['pkey', '-inform', 'DER', '-in', file('made.key'), '-pubout'])
  writeFileSync(
    file('made.pem'),
    await certificatesIn(Buffer.from(certificatePart.split('\r\n\r\n')[1] ?? '')),
  )
  const certified = await runOk('openssl', ['x509', '-in', file('made.pem'), '-noout', '-pubkey'])
  assert.equal(made.toString(), certified.toString())
})

test('a handshake with TLS 1.1 fails', { skip }, async () => {
  const old = ['--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0', '--cacert', file('root.pem')]
  const { exitCode } = await run('curl', ['--silent', ...old, `${rig.url}/.well-known/est/cacerts`])
  assert.equal(exitCode, 35)
  assert.equal((await curl('cacerts')).status, 200)
})
