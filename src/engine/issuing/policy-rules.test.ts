import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { noExpiry } from '../../pki/certificate.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import { defaultConnectivity, defaultProfiles } from './default-profiles.ts'
import { checkPolicyRules, type PolicyFinding } from './policy-rules.ts'
import { defineProfile, type ProfileInput } from './profile.ts'

const now = Date.UTC(2026, 10, 20)
const yearMs = 365 * dayMs

function issuer(id: string, change: Partial<IssuerRecord> = {}): IssuerRecord {
  return {
    id: id as IssuerId,
    kind: 'intermediate',
    subject: `CN=${id}`,
    certificate: new Uint8Array(1),
    parentId: 'root' as IssuerId,
    keyAlgorithm: 'ec-p256',
    authority: 'software',
    keyReference: id,
    status: 'active',
    subjectKeyIdentifier: '00',
    spkiHash: '00',
    notBefore: now,
    notAfter: now + 10 * yearMs,
    crlShards: 1,
    createdAt: now,
    revokedAt: null,
    revocationReason: null,
    reissueCampaign: null,
    cutAfter: null,
    ...change,
  }
}

const root = issuer('root', { kind: 'root', parentId: null, notAfter: now + 25 * yearMs })
const pai = issuer('matter-pai', { kind: 'pai', parentId: 'paa' as IssuerId, notAfter: noExpiry })

interface Setup {
  readonly profiles?: readonly ProfileInput[]
  readonly issuers?: readonly IssuerRecord[]
  readonly at?: number
}

function findings({
  profiles = defaultProfiles,
  issuers = [root, issuer('issuing')],
  at = now,
}: Setup): PolicyFinding[] {
  return checkPolicyRules({
    profiles: new Map(profiles.map((profile) => [profile.name, defineProfile(profile)])),
    connectivity: defaultConnectivity,
    issuers,
    now: at,
  })
}

function one(change: Partial<ProfileInput>): ProfileInput {
  const base = { name: 'p', issuer: 'issuing' as IssuerId, validityMs: yearMs, renewBeforeMs: 30 * dayMs }
  return { ...base, ...change }
}

function rulesOf(change: Partial<ProfileInput>, issuers = [root, issuer('issuing')]): string[] {
  return findings({ profiles: [one(change)], issuers }).map(({ rule, severity }) => `${rule} ${severity}`)
}

test('the default profiles have one finding: matter-dac says that it has no PAI yet', () => {
  const all = findings({})
  assert.deepEqual(
    all.map(({ rule, profile, severity }) => [rule, profile, severity]),
    [['issuer-exists', 'matter-dac', 'warning']],
  )
  assert.match(all[0]?.message ?? '', /ca create/)
})

test('with a PAI that outlives its certificates, nothing is found', () => {
  const paa = issuer('paa', { kind: 'paa', parentId: null, notAfter: noExpiry })
  assert.deepEqual(findings({ issuers: [root, issuer('issuing'), paa, pai] }), [])
})

test('a PAI that a DAC would outlive is an error', () => {
  const short = { ...pai, parentId: null, notAfter: now + 20 * yearMs - 1 }
  const all = findings({ issuers: [root, issuer('issuing'), short] })
  assert.ok(all.some(({ rule, severity }) => rule === 'leaf-never-outlives-issuer' && severity === 'error'))
  const exact = { ...short, notAfter: now + 20 * yearMs }
  assert.deepEqual(findings({ issuers: [root, issuer('issuing'), exact] }), [])
})

test('a renewal window as long as the check-in interval passes, one that is shorter is an error', () => {
  assert.deepEqual(rulesOf({ connectivity: 'deep-sleep-72h', renewBeforeMs: 3 * dayMs }), [])
  assert.deepEqual(rulesOf({ connectivity: 'deep-sleep-72h', renewBeforeMs: 3 * dayMs - 1000 }), [
    'window-longer-than-check-in error',
  ])
})

test('connectivity that nobody defined is an error', () => {
  assert.deepEqual(rulesOf({ connectivity: 'carrier-pigeon' }), ['window-longer-than-check-in error'])
})

test('an issuer lives as long as the longest certificate and its renewal window', () => {
  const exact = issuer('issuing', { notAfter: now + 5 * yearMs })
  const validityMs = 5 * yearMs - 30 * dayMs
  assert.deepEqual(rulesOf({ validityMs }, [root, exact]), [])
  assert.deepEqual(rulesOf({ validityMs: validityMs + 1000 }, [root, exact]), [
    'issuer-outlives-renewal error',
  ])
})

test('an issuer near its end is a warning while certificates are cut short, an error when they are refused', () => {
  const issuers = [root, issuer('issuing')]
  const severityAt = (at: number) =>
    findings({ profiles: [one({})], issuers, at }).map(({ severity }) => severity)
  const end = now + 10 * yearMs
  assert.deepEqual(severityAt(end - yearMs), [])
  assert.deepEqual(severityAt(end - yearMs + 1), ['warning'])
  assert.deepEqual(severityAt(end - 30 * dayMs - 1), ['warning'])
  assert.deepEqual(severityAt(end - 30 * dayMs), ['error'])
})

test('an issuer that is missing, unfinished, retired or of the wrong kind is an error', () => {
  assert.deepEqual(rulesOf({ issuer: 'nobody' as IssuerId }), ['issuer-exists error'])
  assert.deepEqual(rulesOf({}, [root, issuer('issuing', { certificate: null })]), ['issuer-exists error'])
  assert.deepEqual(rulesOf({}, [root, issuer('issuing', { status: 'retired' })]), ['issuer-exists error'])
  assert.deepEqual(rulesOf({}, [root, issuer('issuing', { kind: 'pai' })]), ['issuer-fits-purpose error'])
  assert.deepEqual(rulesOf({ issuer: 'root' as IssuerId }), ['issuer-fits-purpose warning'])
})

test('a certificate that is due when it is new is an error', () => {
  assert.deepEqual(rulesOf({ validityMs: 60 * dayMs, jitterMs: 30 * dayMs - 1000 }), [])
  assert.deepEqual(rulesOf({ validityMs: 60 * dayMs, jitterMs: 30 * dayMs }), [
    'window-shorter-than-life error',
  ])
})

test('lifetimes of roots and intermediates outside 20 and 5 to 10 years are warnings', () => {
  const severity = (issuers: IssuerRecord[]) => findings({ profiles: [], issuers }).map(({ rule }) => rule)
  assert.deepEqual(severity([{ ...root, notAfter: now + 20 * yearMs }]), [])
  assert.deepEqual(severity([{ ...root, notAfter: now + 20 * yearMs - 1000 }]), ['root-lifetime'])
  assert.deepEqual(severity([root, issuer('a', { notAfter: now + 5 * yearMs })]), [])
  assert.deepEqual(severity([root, issuer('a', { notAfter: now + 5 * yearMs - 1000 })]), [
    'intermediate-lifetime',
  ])
  assert.deepEqual(severity([root, issuer('a', { notAfter: now + 11 * yearMs })]), ['intermediate-lifetime'])
})

test('an issuer that outlives its parent is an error', () => {
  const all = findings({
    profiles: [],
    issuers: [{ ...root, notAfter: now + 10 * yearMs - 1000 }, issuer('a')],
  })
  assert.ok(all.some(({ rule, severity }) => rule === 'issuer-never-outlives-parent' && severity === 'error'))
})

test('what a profile says must make sense by itself', () => {
  const wellFormed = 'profile-well-formed error'
  assert.deepEqual(rulesOf({ subject: 'CN={nobody}' }), [wellFormed])
  assert.deepEqual(rulesOf({ keyAlgorithms: [] }), [wellFormed])
  assert.deepEqual(rulesOf({ keyUsage: ['digitalSignature', 'keyCertSign'] }), [wellFormed])
  assert.deepEqual(rulesOf({ extendedKeyUsage: ['clientAuthentication'] }), [wellFormed])
  assert.deepEqual(rulesOf({ certificatePolicies: ['policy'] }), [wellFormed])
  assert.deepEqual(rulesOf({ subject: '', subjectAltNames: [] }), [wellFormed])
  assert.deepEqual(rulesOf({ serverKeygen: true, approval: 'manual' }), [
    'approval-fits-key-generation error',
  ])
  assert.deepEqual(rulesOf({ crl: false }), ['revocation-can-be-seen warning'])
  assert.deepEqual(
    rulesOf({ crl: false, validityMs: 31 * dayMs, renewBeforeMs: 10 * dayMs, jitterMs: 0 }),
    [],
  )
})

test("a Matter DAC keeps Matter's rules", () => {
  const dac = defaultProfiles.find(({ name }) => name === 'matter-dac') as ProfileInput
  const rules = (change: Partial<ProfileInput>) =>
    findings({ profiles: [{ ...dac, ...change }], issuers: [{ ...pai, parentId: null }] }).map(
      ({ rule }) => rule,
    )
  assert.deepEqual(rules({}), [])
  assert.deepEqual(rules({ keyAlgorithms: ['ec-p256', 'ec-p384'] }), ['matter-dac-shape'])
  assert.deepEqual(rules({ keyUsage: ['digitalSignature', 'keyAgreement'] }), ['matter-dac-shape'])
  assert.deepEqual(rules({ subject: 'CN={device.id}' }), ['matter-dac-shape'])
})

test('the content hash of a profile changes with its content and with nothing else', () => {
  const hash = (change: Partial<ProfileInput>) => defineProfile(one(change)).contentHash
  assert.equal(hash({}), hash({ jitterMs: 0, rekey: 'required' }))
  assert.notEqual(hash({}), hash({ rekey: 'allowed' }))
})

test('a promise about revocations that the method cannot keep is an error; just long enough passes', () => {
  const rule = 'revocation-known-in-time'
  const of = (change: Partial<ProfileInput>) => rulesOf(change).filter((each) => each.startsWith(rule))
  for (const [change, isKept] of [
    [{ revocationMethod: 'crl', revocationKnownWithinMs: 7 * dayMs }, true],
    [{ revocationMethod: 'crl', revocationKnownWithinMs: dayMs - 1 }, false],
    [{ revocationMethod: 'crl', revocationKnownWithinMs: 7 * dayMs, crl: false }, false],
    // a CRL by bundle comes when the device comes, and a weekly one comes each week
    [{ revocationMethod: 'crl-ota', revocationKnownWithinMs: 7 * dayMs, connectivity: 'weekly' }, true],
    [{ revocationMethod: 'crl-ota', revocationKnownWithinMs: 7 * dayMs - 1, connectivity: 'weekly' }, false],
    [{ revocationMethod: 'ocsp', revocationKnownWithinMs: dayMs / 2 }, true],
    [{ revocationMethod: 'ocsp', revocationKnownWithinMs: dayMs / 2 - 1 }, false],
    [{ revocationMethod: 'stapled', revocationKnownWithinMs: dayMs / 2 - 1 }, false],
    [{ revocationMethod: 'short-lived', revocationKnownWithinMs: yearMs }, true],
    [{ revocationMethod: 'short-lived', revocationKnownWithinMs: yearMs - 1 }, false],
    [{ revocationMethod: 'ocsp', revocationKnownWithinMs: null }, true],
  ] as const) {
    assert.equal(!of(change).includes(`${rule} error`), isKept, JSON.stringify(change))
  }
  // kept by whoever fetches each day; one who waits until it lapses learns of it later
  assert.deepEqual(of({ revocationMethod: 'crl', revocationKnownWithinMs: dayMs }), [`${rule} warning`])
})
