import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { makeCertificate, testNow, type TestCertificate } from '../../test/helpers/certificates.ts'
import { makeCrl } from '../../test/helpers/crl.ts'
import { toBase64 } from '../base/bytes.ts'
import { hourMs, VirtualClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseCrl } from '../pki/crl-read.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { writeFile } from './agent-directory.ts'
import { parseVerifierConfig, type VerifierConfig } from './verifier-config.ts'
import { VerifierWatch, type VerifierPass } from './verifier-watch.ts'

const root = makeCertificate({ subject: 'CN=Root' })
const issuing = makeCertificate({ subject: 'CN=Issuing', issuer: root, ca: true })
const stranger = makeCertificate({ subject: 'CN=Stranger' })
const never = new AbortController().signal

/** What the network says, by path. */
let answers = new Map<string, Uint8Array | string>()
let asked: string[] = []
const server: Server = createServer(({ url = '', headers }, response) => {
  const body = answers.get(url)
  const etag = `"${Buffer.from(body ?? '')
    .toString('base64')
    .slice(-20)}"`
  asked.push(`${url} ${headers['if-none-match'] === etag ? 304 : 200}`)
  if (body === undefined) return void response.writeHead(404).end()
  if (headers['if-none-match'] === etag) return void response.writeHead(304).end()
  response.writeHead(200, { ETag: etag }).end(body)
})
before(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)))
after(() => new Promise((done) => server.close(done)))

class Field {
  readonly clock = new VirtualClock(testNow)
  readonly directory = mkdtempSync(join(tmpdir(), 'perennial-verifier-'))
  reloads = 0
  fails = false

  async open(crls: VerifierConfig['crls'] = 'chain'): Promise<VerifierWatch> {
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const text = JSON.stringify({
      v: 1,
      statusUrl: `http://127.0.0.1:${port}`,
      anchors: [encodePem('CERTIFICATE', root.certificate.der)],
      crls,
      reload: 'true',
    })
    return await VerifierWatch.open(parseVerifierConfig(text), {
      clock: this.clock,
      directory: this.directory,
      write: writeFile,
      reload: async () => {
        if (this.fails) throw new Refusal('server-refused', 'the reload command ended with 1')
        this.reloads += 1
      },
    })
  }

  /** CRL numbers in the file, in order. */
  numbers(): number[] {
    const pem = readFileSync(join(this.directory, 'crl.pem'), 'utf8')
    return decodePem(pem).map(({ der }) => Number(parseCrl(der).crlNumber))
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

interface Says {
  readonly rootCrl?: Uint8Array
  readonly issuingCrl?: Uint8Array
  readonly cas?: readonly (readonly [string, TestCertificate])[]
}

function say({
  rootCrl,
  issuingCrl,
  cas = [
    ['root', root],
    ['issuing', issuing],
  ],
}: Says): void {
  const issuers = cas.map(([id, { certificate }]) => ({ id, certificate: toBase64(certificate.der) }))
  answers = new Map<string, Uint8Array | string>([
    ['/verifier.json', JSON.stringify({ v: 1, issuers })],
    ['/crl/root.crl', rootCrl ?? makeCrl(root, [], { crlNumber: 5 })],
    ['/crl/issuing.crl', issuingCrl ?? makeCrl(issuing, [], { crlNumber: 7 })],
  ])
}

async function rounds(
  check: (field: Field, pass: () => Promise<VerifierPass>) => Promise<void>,
): Promise<void> {
  const field = new Field()
  asked = []
  say({})
  const watch = await field.open()
  try {
    await check(field, () => watch.pass(never))
  } finally {
    field.close()
  }
}

test('fetches once, asks again with the entity tag, reloads only for what is new', async () => {
  await rounds(async (field, pass) => {
    assert.deepEqual(await pass(), { isChanged: true, problems: [], nextUpdate: testNow + 24 * hourMs })
    assert.deepEqual(field.numbers(), [5, 7])
    asked = []
    assert.equal((await pass()).isChanged, false)
    assert.ok(
      asked.every((line) => line.endsWith('304')),
      asked.join(),
    )
    assert.equal(field.reloads, 1)
    say({ issuingCrl: makeCrl(issuing, [{ serial: '5a01' }], { crlNumber: 8 }) })
    assert.equal((await pass()).isChanged, true)
    assert.deepEqual([field.numbers(), field.reloads], [[5, 8], 2])
  })
})

for (const [what, says, problem] of [
  [
    'an older CRL',
    { issuingCrl: makeCrl(issuing, [], { crlNumber: 6 }) },
    /its number is 6, the one in use has 7/,
  ],
  [
    'another CRL of the same number',
    { issuingCrl: makeCrl(issuing, [{ serial: '01' }], { crlNumber: 7 }) },
    /two with the number 7/,
  ],
  ['a CRL of a stranger', { issuingCrl: makeCrl(stranger, [], { crlNumber: 9 }) }, /of another CA/],
  [
    'a CRL that another key signed',
    { issuingCrl: makeCrl({ ...issuing, keys: stranger.keys }, [], { crlNumber: 9 }) },
    /not signed by its key/,
  ],
  ['a delta CRL', { issuingCrl: makeCrl(issuing, [], { crlNumber: 9, baseCrlNumber: 7 }) }, /a delta CRL/],
  [
    'a CRL of the future',
    { issuingCrl: makeCrl(issuing, [], { crlNumber: 9, thisUpdate: testNow + hourMs }) },
    /of the future/,
  ],
  ['no CRL', { issuingCrl: Buffer.from('hello') }, /CertificateList/],
  [
    'a CA that leads to no pinned root',
    {
      cas: [
        ['root', root],
        ['issuing', issuing],
        ['stranger', stranger],
      ],
    },
    /Stranger|no certificate of/,
  ],
  ['no list', { cas: Array.from({ length: 65 }, () => ['root', root]) }, /more than 64/],
] as readonly (readonly [string, Says, RegExp])[]) {
  test(`keeps the last good files when it is given ${what}`, async () => {
    await rounds(async (field, pass) => {
      await pass()
      const earlier = ['trust.pem', 'crl.pem'].map((name) =>
        readFileSync(join(field.directory, name), 'utf8'),
      )
      say(says)
      const { isChanged, problems } = await pass()
      assert.equal(isChanged, false)
      assert.match(problems.join('\n'), problem)
      const standing = ['trust.pem', 'crl.pem'].map((name) =>
        readFileSync(join(field.directory, name), 'utf8'),
      )
      assert.deepEqual(standing, earlier)
      // numbers only grow also after a restart: what is in use is in the file
      const again = await (await field.open()).pass(never)
      assert.equal(again.isChanged, false)
    })
  })
}

test('a CA that the CRL of its root lists leaves the trust bundle, also where the server checks the leaf alone', async () => {
  const field = new Field()
  say({})
  const watch = await field.open('leaf')
  await watch.pass(never)
  const trust = (): number => decodePem(readFileSync(join(field.directory, 'trust.pem'), 'utf8')).length
  assert.deepEqual([trust(), field.numbers()], [2, [7]])
  say({ rootCrl: makeCrl(root, [{ serial: issuing.certificate.serialNumber }], { crlNumber: 6 }) })
  assert.equal((await watch.pass(never)).isChanged, true)
  assert.equal(trust(), 1)
  field.close()
})

test('a reload that fails is a problem and is tried again', async () => {
  await rounds(async (field, pass) => {
    field.fails = true
    assert.match((await pass()).problems.join(), /reload command/)
    field.fails = false
    assert.deepEqual((await pass()).problems, [])
    assert.equal(field.reloads, 1)
  })
})

test('warns in the last quarter of a CRL, and says when it has lapsed', async () => {
  await rounds(async (field, pass) => {
    await pass()
    await field.clock.advance(17 * hourMs)
    assert.deepEqual((await pass()).problems, [])
    await field.clock.advance(2 * hourMs)
    assert.match((await pass()).problems.join(), /lapses at .* no newer one has come/)
    await field.clock.advance(6 * hourMs)
    assert.match((await pass()).problems.join(), /devices are refused/)
    assert.deepEqual(
      field.numbers(),
      [5, 7],
      'it stays: without it the server would let everybody in or nobody',
    )
  })
})

test('a configuration that is none is refused', () => {
  for (const text of [
    '',
    '{}',
    '{"v":2}',
    '{"v":1,"statusUrl":"http://a/","anchors":["x"],"crls":"chain"}',
  ]) {
    assert.throws(() => parseVerifierConfig(text), { code: 'configuration-invalid' })
  }
})
