/** Chains of certificates, sound ones and ones with a defect, for verifiers that nobody here wrote. */
import assert from 'node:assert/strict'
import { dayMs, systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts'
import { nullValue } from '../../src/pki/der-writer.ts'
import {
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeKeyUsage,
} from '../../src/pki/extension-values.ts'
import { type Extension, makeExtension } from '../../src/pki/extensions.ts'
import { generateKeyPair, type KeyAlgorithm, type KeyPair } from '../../src/pki/key.ts'
import { encodeNameConstraints } from '../../src/pki/name-constraints.ts'
import { oids } from '../../src/pki/oid.ts'
import { makeCertificate, san, type TestCertificate, type TestCertificateOptions } from './certificates.ts'

/** The system's clock, whole seconds: certtool takes no other. */
export const at = Math.floor(systemClock.now() / 1000) * 1000

export interface Chain {
  readonly name: string
  /** Leaf first, root last. */
  readonly certificates: readonly Certificate[]
}

type Level = Omit<TestCertificateOptions, 'issuer' | 'keys' | 'keyAlgorithm'>

export interface Defect {
  readonly name: string
  readonly isSound: boolean
  /** Changes by level: 0 is the leaf, 1 its issuer, and so on; -1 the root. */
  readonly changes: Readonly<Record<number, Level>>
  /** Made of the finished chain. */
  readonly spoil?: (certificates: readonly Certificate[]) => Certificate[]
}

const ca = (pathLength: number | null): Extension =>
  makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: true, pathLength }))
const usage = (...usages: Parameters<typeof encodeKeyUsage>[0]): Extension =>
  makeExtension(oids.keyUsage, encodeKeyUsage(usages))
const purposes = (...list: string[]): Extension =>
  makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(list))
const hosts = (permitted: readonly string[], excluded: readonly string[] = []): Extension => {
  const subtree = (value: string) => ({ kind: 'dns', value }) as const
  const value = { permitted: permitted.map(subtree), excluded: excluded.map(subtree) }
  return makeExtension(oids.nameConstraints, encodeNameConstraints(value))
}
const addresses = makeExtension(
  oids.nameConstraints,
  encodeNameConstraints({
    permitted: [{ kind: 'ip', address: Uint8Array.of(10, 0, 0, 0), mask: Uint8Array.of(255, 0, 0, 0) }],
    excluded: [],
  }),
)
const critical = makeExtension('1.2.3.4', nullValue(), true)

export const defects: readonly Defect[] = [
  { name: 'sound', isSound: true, changes: {} },
  {
    name: 'alternative names',
    isSound: true,
    changes: { 0: { extensions: [san('uri:urn:x', 'dns:a.example.com')] } },
  },
  { name: 'tight path length', isSound: true, changes: { 1: { extensions: [ca(0)] } } },
  {
    name: 'no extended key usage in the way',
    isSound: true,
    changes: { 1: { extensions: [purposes(oids.clientAuth)] } },
  },
  {
    name: 'names inside the constraints',
    isSound: true,
    changes: { 1: { extensions: [hosts(['example.com'])] }, 0: { extensions: [san('dns:a.example.com')] } },
  },
  {
    name: 'address inside the constraints',
    isSound: true,
    changes: { 1: { extensions: [addresses] }, 0: { extensions: [san('ip:10.1.2.3')] } },
  },
  {
    name: 'unknown extension',
    isSound: true,
    changes: { 0: { extensions: [{ ...critical, critical: false }] } },
  },
  {
    name: 'leaf expired',
    isSound: false,
    changes: { 0: { notAfter: at - dayMs, notBefore: at - 2 * dayMs } },
  },
  { name: 'leaf not yet valid', isSound: false, changes: { 0: { notBefore: at + dayMs } } },
  {
    name: 'CA expired',
    isSound: false,
    changes: { 1: { notAfter: at - dayMs, notBefore: at - 2 * dayMs } },
  },
  { name: 'issuer is no CA', isSound: false, changes: { 1: { ca: false } } },
  {
    name: 'issuer without keyCertSign',
    isSound: false,
    changes: { 1: { extensions: [usage('cRLSign', 'digitalSignature')] } },
  },
  { name: 'path too long for the root', isSound: false, changes: { [-1]: { extensions: [ca(0)] } } },
  { name: 'critical extension in the leaf', isSound: false, changes: { 0: { extensions: [critical] } } },
  { name: 'critical extension in the CA', isSound: false, changes: { 1: { extensions: [critical] } } },
  {
    name: 'name outside the permitted ones',
    isSound: false,
    changes: { 1: { extensions: [hosts(['example.com'])] }, 0: { extensions: [san('dns:a.example.org')] } },
  },
  {
    name: 'name among the excluded ones',
    isSound: false,
    changes: {
      1: { extensions: [hosts([], ['example.org'])] },
      0: { extensions: [san('dns:a.example.org')] },
    },
  },
  {
    name: 'address outside the permitted ones',
    isSound: false,
    changes: { 1: { extensions: [addresses] }, 0: { extensions: [san('ip:11.1.2.3')] } },
  },
  { name: 'leaf for servers', isSound: false, changes: { 0: { extensions: [purposes(oids.serverAuth)] } } },
  { name: 'CA for servers', isSound: false, changes: { 1: { extensions: [purposes(oids.serverAuth)] } } },
  {
    name: 'leaf signature broken',
    isSound: false,
    changes: {},
    spoil: (list) => [broken(list[0]), ...list.slice(1)],
  },
  {
    name: 'CA signature broken',
    isSound: false,
    changes: {},
    spoil: (list) => [list[0] as Certificate, broken(list[1]), ...list.slice(2)],
  },
  {
    name: 'intermediate missing',
    isSound: false,
    changes: {},
    spoil: (list) => [list[0] as Certificate, ...list.slice(2)],
  },
  {
    name: 'other root',
    isSound: false,
    changes: {},
    spoil: (list) => [...list.slice(0, -1), impostorOf(list)],
  },
]

const keyAlgorithms: readonly KeyAlgorithm[] = ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'ed25519']

/** Keys are dear, and what they sign differs anyway. */
const pools = new Map<KeyAlgorithm, KeyPair[]>()

function keysOf(algorithm: KeyAlgorithm, index: number): KeyPair {
  let pool = pools.get(algorithm)
  if (!pool) pools.set(algorithm, (pool = Array.from({ length: 5 }, () => generateKeyPair(algorithm))))
  return pool[index % pool.length] as KeyPair
}

/** @param length certificates, root included: 3 or more */
export function makeChain(algorithms: readonly KeyAlgorithm[], length: number, defect: Defect): Chain {
  let issuer: TestCertificate | null = null
  const certificates: Certificate[] = []
  for (let level = length - 1; level >= 0; level--) {
    const keyAlgorithm = algorithms[level % algorithms.length] as KeyAlgorithm
    const kind = level === 0 ? 'device' : level === length - 1 ? 'Root' : `CA ${level}`
    const made: TestCertificate = makeCertificate({
      subject: `CN=${kind},O=Verifiers`,
      ca: level > 0,
      notBefore: at - 30 * dayMs,
      notAfter: at + 30 * dayMs,
      keyAlgorithm,
      keys: keysOf(keyAlgorithm, level),
      ...(issuer ? { issuer } : {}),
      ...(level === length - 1 ? defect.changes[-1] : defect.changes[level]),
    })
    certificates.unshift(made.certificate)
    issuer = made
  }
  const name = `${defect.name}, ${length} certificates, ${algorithms.join(' under ')}`
  return { name, certificates: defect.spoil?.(certificates) ?? certificates }
}

function broken(certificate: Certificate | undefined): Certificate {
  assert.ok(certificate)
  const der = Uint8Array.from(certificate.der)
  // inside the second number of an ECDSA signature, or at the end of any other
  der[der.length - 2] = (der[der.length - 2] as number) ^ 1
  return parseCertificate(der)
}

/** A root of the same name and another key. */
function impostorOf(certificates: readonly Certificate[]): Certificate {
  const root = certificates.at(-1) as Certificate
  assert.ok(root.subject.length > 0)
  return makeCertificate({ subject: 'CN=Root,O=Verifiers' }).certificate
}

export function chains(): Chain[] {
  const random = seededRandom('verifiers')
  const pick = <Value>(list: readonly Value[]): Value =>
    list[(random.bytes(1)[0] as number) % list.length] as Value
  const each = defects.flatMap((defect) =>
    [3, 4, 5].map((length) => ({ defect, length, algorithms: [pick(keyAlgorithms), pick(keyAlgorithms)] })),
  )
  const sound = keyAlgorithms.flatMap((algorithm) =>
    keyAlgorithms.map((issuer) => ({
      defect: defects[0] as Defect,
      length: 3,
      algorithms: [algorithm, issuer],
    })),
  )
  return [...each, ...sound].map(({ algorithms, length, defect }) => makeChain(algorithms, length, defect))
}
