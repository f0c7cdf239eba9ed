/** Hostile input for everything in src/pki that reads bytes: a Refusal or a sound value, quickly, and nothing else. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { stopwatch } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { isUnsafeText } from '../../src/base/text.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { certsOnly, parseCertsOnly } from '../../src/pki/cms.ts'
import { encodeCsrAttributes, parseCsrAttributes } from '../../src/pki/csr-attributes.ts'
import { parseCsr, verifyCsr } from '../../src/pki/csr.ts'
import { type DerNode, readDer } from '../../src/pki/der.ts'
import { readOid } from '../../src/pki/der-values.ts'
import * as write from '../../src/pki/der-writer.ts'
import { encodeExtensions } from '../../src/pki/extensions.ts'
import { encodeGeneralNames, parseGeneralNames } from '../../src/pki/general-name.ts'
import { formatGeneralName } from '../../src/pki/general-name-text.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { type Name, encodeName, equalNames, parseName } from '../../src/pki/name.ts'
import { formatName, parseNameText } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { encodeAlgorithm, signData } from '../../src/pki/signature.ts'
import { missing } from '../helpers/require.ts'
import { certificates, csrs, keys } from './pki-corpus.ts'
import { chanceFrom, mutateDer } from './der-mutator.ts'

const corpus = [
  ...certificates,
  ...csrs,
  certsOnly(certificates.slice(0, 3)),
  encodeCsrAttributes({
    identifiers: [oids.challengePassword],
    key: { kind: 'ec', curve: oids.prime256v1 },
    template: { subject: [{ type: oids.commonName, value: null }], key: { kind: 'rsa', bits: 2048 } },
  }),
]

/** A mutated value; fast-check prints seed and index of a failure, which give the same bytes again. */
function mutated(sources: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.nat(sources.length - 1), fc.integer())
    .map(([index, seed]) => mutateDer(sources[index] ?? new Uint8Array(), corpus, chanceFrom(seed)))
}

/** The value, or null when it was refused. Any other failure is a bug. */
function readOrRefuse<Value>(read: () => Value): Value | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

/** The only DER encoding of what was read, written by other code than the reader's. */
function canonical(node: DerNode): Uint8Array {
  if (node.class !== 'universal') {
    const identifier =
      { application: 0x40, context: 0x80, private: 0xc0 }[node.class] | (node.constructed ? 0x20 : 0)
    const tag = node.tag < 31 ? [identifier | node.tag] : [identifier | 31, ...base128(node.tag)]
    const content = node.constructed ? Buffer.concat(node.children.map(canonical)) : node.content
    // The length octets are those of an OCTET STRING of the same content.
    return Buffer.concat([Uint8Array.from(tag), write.octetString(content).subarray(1)])
  }
  if (node.tag === 16) return write.sequence(...node.children.map(canonical))
  if (node.tag === 17) return write.setOf(...node.children.map(canonical))
  if (node.tag === 2) return write.integer(numberOf(node.content))
  if (node.tag === 6) return write.oid(readOid(node, 'x'))
  return node.raw
}

/** Of any length: the reader of DER has no limit for a number, only those who ask for its value have. */
function numberOf(content: Uint8Array): bigint {
  return BigInt.asIntN(content.length * 8, BigInt(`0x${toHex(content)}`))
}

/** Seven bits an octet, all but the last marked. */
function base128(value: number): number[] {
  const octets = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) octets.unshift(0x80 | (left & 0x7f))
  return octets
}

/** What may be shown and compared later must survive being written and read again. */
function checkName(name: Name): void {
  const again = parseName(readDer(encodeName(name)))
  assert.equal(equalNames(again, name), true)
  const text = formatName(name)
  assert.equal(isUnsafeText(text), false, 'no control or format character reaches a terminal')
  assert.equal(equalNames(parseNameText(text), name), true)
}

describe('DER', () => {
  test('what is accepted is the one DER encoding of its meaning', () => {
    let accepted = 0
    fc.assert(
      fc.property(mutated(corpus), (bytes) => {
        const node = readOrRefuse(() => readDer(bytes))
        if (node === null) return
        accepted += 1
        assert.equal(toHex(canonical(node)), toHex(bytes))
      }),
      { numRuns: 6000 },
    )
    assert.ok(accepted > 600, `only ${accepted} mutations were accepted: the mutator breaks too much`)
  })

  test('random bytes are refused or read', () => {
    const short = fc.uint8Array({ maxLength: 64 })
    fc.assert(
      fc.property(short, (bytes) => {
        const node = readOrRefuse(() => readDer(bytes))
        if (node) assert.equal(toHex(canonical(node)), toHex(bytes))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('certificates', () => {
  test('are refused or sound, and OpenSSL (in node) does not refuse what we accept', () => {
    let accepted = 0
    fc.assert(
      fc.property(mutated(certificates), (bytes) => {
        const certificate = readOrRefuse(() => parseCertificate(bytes))
        if (certificate === null) return
        accepted += 1
        checkName(certificate.subject)
        checkName(certificate.issuer)
        const { list, subjectAltName } = certificate.extensions
        if (list.length > 0) assert.ok(readDer(encodeExtensions(list)))
        if (subjectAltName) {
          assert.equal(isUnsafeText(subjectAltName.map(formatGeneralName).join(' ')), false)
          assert.deepEqual(
            parseGeneralNames(readDer(encodeGeneralNames(subjectAltName)), 'x'),
            subjectAltName,
          )
        }
        const openssl = new X509Certificate(bytes)
        assert.equal(BigInt(`0x${openssl.serialNumber}`), BigInt(`0x${certificate.serialNumber}`))
        assert.equal(openssl.validToDate.getTime(), certificate.notAfter)
      }),
      { numRuns: 6000 },
    )
    assert.ok(accepted > 200, `only ${accepted} mutations were accepted`)
  })
})

describe('requests', () => {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-fuzz-'))
  after(() => rmSync(directory, { recursive: true, force: true }))

  /** The signature made anew over mutated content: without it every mutation ends at the signature. */
  function resign(bytes: Uint8Array): Uint8Array {
    const info = readOrRefuse(() => readDer(bytes))?.children[0]?.raw
    if (info === undefined) return bytes
    const signature = write.bitString(signData(keys.privateKey, 'ecdsa-sha256', info))
    return write.sequence(info, encodeAlgorithm('ecdsa-sha256'), signature)
  }

  function accept(bytes: Uint8Array): boolean {
    const csr = readOrRefuse(() => parseCsr(bytes))
    if (csr === null) return false
    checkName(csr.subject)
    if (csr.challengePassword !== null) assert.equal(isUnsafeText(csr.challengePassword), false)
    return readOrRefuse(() => (verifyCsr(csr), true)) ?? false
  }

  test('are refused or sound', () => {
    let accepted = 0
    fc.assert(
      fc.property(mutated(csrs), (bytes) => {
        if (accept(resign(bytes))) accepted += 1
        accept(bytes)
      }),
      { numRuns: 4000 },
    )
    assert.ok(accepted > 100, `only ${accepted} mutations were accepted`)
  })

  test('OpenSSL verifies each request that we accept', { skip: missing('openssl') }, async () => {
    const chance = chanceFrom(20_261_120)
    const sample = new Map<string, Uint8Array>()
    for (let round = 0; round < 20_000 && sample.size < 150; round++) {
      const source = csrs[chance(csrs.length)] ?? new Uint8Array()
      const bytes = resign(mutateDer(source, corpus, chance))
      if (accept(bytes)) sample.set(toHex(bytes), bytes)
    }
    assert.equal(sample.size, 150)
    const files = Array.from(sample.values(), (bytes, index) => {
      const path = join(directory, `${index}.der`)
      writeFileSync(path, bytes)
      return path
    })
    const refused: string[] = []
    // Four at a time keep two cores busy.
    await Promise.all(
      Array.from({ length: 4 }, async (_, worker) => {
        for (const path of files.filter((__, index) => index % 4 === worker)) {
          const output = await opensslVerify(path)
          if (!output.includes('verify OK'))
            refused.push(`${output} ${toHex(sample.get(path) ?? new Uint8Array())}`)
        }
      }),
    )
    assert.deepEqual(refused, [], 'no difference is known; one that is found needs its reason written here')
  })

  function opensslVerify(path: string): Promise<string> {
    return new Promise((resolve) => {
      const args = ['req', '-inform', 'DER', '-in', path, '-verify', '-noout']
      execFile('openssl', args, (_error, stdout, stderr) => resolve(stdout + stderr))
    })
  }
})

test('bundles, CSR attributes and PEM are refused or read', () => {
  fc.assert(
    fc.property(mutated(corpus), (bytes) => {
      readOrRefuse(() => parseCertsOnly(bytes))
      readOrRefuse(() => parseCsrAttributes(bytes))
      readOrRefuse(() => parseCsr(bytes))
      readOrRefuse(() => parseCertificate(bytes))
    }),
    { numRuns: 3000 },
  )
  const line = fc.constantFrom(
    '-----BEGIN X-----',
    '-----END X-----',
    '-----BEGIN Y-----',
    'AAAA',
    'AAE=',
    '-----',
    ' ',
    'x',
  )
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      readOrRefuse(() => decodePem(lines.join('\n')))
    }),
  )
})

test('name text is refused or survives', () => {
  const piece = fc.constantFrom(
    'CN',
    '=',
    ',',
    '+',
    '\\',
    '#',
    ' ',
    'a',
    '0c0161',
    '"',
    'O',
    'é',
    '\u202e',
    '1.2.3',
    '\\C3',
    '\\A9',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const name = readOrRefuse(() => parseNameText(pieces.join('')))
      if (name) checkName(name)
    }),
    { numRuns: 5000 },
  )
})

describe('input of 64 KiB made to be slow is answered within a second', () => {
  /** As many copies as fit into the size limit and the count limit: beyond either the input is refused at once. */
  const repeat = (bytes: Uint8Array, size = 60_000, count = 9000): Uint8Array[] =>
    Array.from({ length: Math.min(count, Math.floor(size / bytes.length)) }, () => bytes)
  const attribute = write.sequence(write.oid(oids.commonName), write.utf8String('a'))
  const { spki } = generateKeyPair('ec-p256')
  const algorithm = encodeAlgorithm('ecdsa-sha256')
  const csr = (subject: Uint8Array, ...attributes: Uint8Array[]): Uint8Array =>
    write.sequence(
      write.sequence(write.integer(0), subject, spki, write.implicit(0, write.sequence(...attributes))),
      algorithm,
      write.bitString(new Uint8Array(70)),
    )
  const requested = (type: string, value: Uint8Array): Uint8Array =>
    csr(
      write.sequence(),
      write.sequence(
        write.oid(oids.extensionRequest),
        write.setOf(encodeExtensions([{ oid: type, critical: false, value }])),
      ),
    )
  const dns = write.implicit(2, write.ia5String('a'))
  const nestedSets = (depth: number): Uint8Array => {
    let value: Uint8Array = write.setOf(...repeat(write.octetString(new Uint8Array(30)), 60_000))
    for (let level = 0; level < depth; level++) value = write.setOf(value)
    return value
  }

  const slow: [string, Uint8Array][] = [
    ['RDNs', csr(write.sequence(...repeat(write.setOf(attribute))))],
    ['attributes in one RDN', csr(write.sequence(write.setOf(...repeat(attribute))))],
    [
      'one long value',
      csr(
        write.sequence(write.setOf(write.sequence(write.oid('1.2.3'), write.utf8String('é'.repeat(32_000))))),
      ),
    ],
    [
      'one long BMPString',
      csr(
        write.sequence(
          write.setOf(
            write.sequence(
              write.oid(oids.commonName),
              write.raw('bmpString', new Uint8Array(64_000).fill(0x41)),
            ),
          ),
        ),
      ),
    ],
    [
      'CSR attributes of one type',
      csr(write.sequence(), ...repeat(write.sequence(write.oid('1.2.3'), write.setOf(write.nullValue())))),
    ],
    [
      'CSR attributes of many types',
      csr(
        write.sequence(),
        ...Array.from({ length: 2400 }, (_, n) =>
          write.sequence(write.oid(`1.2.${n}`), write.setOf(write.nullValue())),
        ),
      ),
    ],
    ['alternative names', requested(oids.subjectAltName, write.sequence(...repeat(dns)))],
    [
      'a long URI',
      requested(
        oids.subjectAltName,
        write.sequence(write.implicit(6, write.ia5String(`urn:${'%41'.repeat(20_000)}`))),
      ),
    ],
    [
      'a long host name',
      requested(oids.subjectAltName, write.sequence(write.implicit(2, write.ia5String('a-'.repeat(30_000))))),
    ],
    [
      'a long mailbox',
      requested(oids.subjectAltName, write.sequence(write.implicit(1, write.ia5String('a@'.repeat(30_000))))),
    ],
    [
      'usages',
      requested(
        oids.extendedKeyUsage,
        write.sequence(...Array.from({ length: 9000 }, (_, n) => write.oid(`1.2.${n}`))),
      ),
    ],
    [
      'identifiers of 64 octets',
      requested(
        oids.extendedKeyUsage,
        write.sequence(
          ...repeat(
            write.raw(
              'oid',
              Uint8Array.from({ length: 64 }, (_, n) => (n % 19 === 18 || n === 63 ? 0x7f : 0xff)),
            ),
            64_000,
          ),
        ),
      ),
    ],
    [
      'a large INTEGER',
      requested(oids.inhibitAnyPolicy, write.unsignedInteger(new Uint8Array(60_000).fill(0xff))),
    ],
    ['nested sets', nestedSets(20)],
    ['zeros', new Uint8Array(65_000)],
    ['ones', new Uint8Array(65_000).fill(0xff)],
    ['sequences without end', new Uint8Array(65_000).fill(0x30)],
  ]
  for (const [name, bytes] of slow) {
    test(name, () => {
      const elapsedMs = stopwatch()
      readOrRefuse(() => parseCsr(bytes))
      readOrRefuse(() => readDer(bytes))
      assert.ok(elapsedMs() < 1000)
    })
  }
})
