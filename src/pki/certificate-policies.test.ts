import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuses } from '../../test/helpers/refuses.ts'
import * as policies from './certificate-policies.ts'
import { readDer } from './der.ts'
import { ia5String, implicit, integer, oid, sequence, utf8String } from './der-writer.ts'
import { type ParsedExtensions, encodeExtensions, makeExtension, parseExtensions } from './extensions.ts'
import { oids } from './oid.ts'

function parseOne(type: string, value: Uint8Array): ParsedExtensions {
  return parseExtensions(readDer(encodeExtensions([makeExtension(type, value)])))
}

describe('policies', () => {
  test('round-trip with qualifiers', () => {
    const list = [
      { policy: '1.2.3.4', qualifiers: [policies.cpsQualifier('https://example.com/cps')] },
      {
        policy: oids.anyPolicy,
        qualifiers: [{ id: oids.userNotice, value: sequence(utf8String('notice')) }],
      },
      { policy: '1.2.3.5', qualifiers: [] },
    ]
    assert.deepEqual(
      parseOne(oids.certificatePolicies, policies.encodeCertificatePolicies(list)).certificatePolicies,
      list,
    )
  })

  const policy = sequence(oid('1.2.3'))
  const invalid: [string, Uint8Array, RegExp][] = [
    ['none', sequence(), /empty/],
    ['one policy twice', sequence(policy, policy), /twice/],
    ['empty qualifiers', sequence(sequence(oid('1.2.3'), sequence())), /empty policyQualifiers/],
    [
      'a CPS that is no URI',
      sequence(sequence(oid('1.2.3'), sequence(sequence(oid(oids.cpsUri), ia5String('x'))))),
      /not a URI/,
    ],
    [
      'a CPS in UTF8String',
      sequence(sequence(oid('1.2.3'), sequence(sequence(oid(oids.cpsUri), utf8String('http://x/'))))),
      /expected ia5String/,
    ],
  ]
  for (const [name, der, message] of invalid) {
    test(`refuse ${name}`, () => refuses('malformed', () => parseOne(oids.certificatePolicies, der), message))
  }

  test('constraints and mappings', () => {
    for (const value of [
      { requireExplicitPolicy: 0, inhibitPolicyMapping: null },
      { requireExplicitPolicy: null, inhibitPolicyMapping: 3 },
      { requireExplicitPolicy: 1, inhibitPolicyMapping: 2 },
    ]) {
      const parsed = parseOne(oids.policyConstraints, policies.encodePolicyConstraints(value))
      assert.deepEqual(parsed.policyConstraints, value)
    }
    refuses('malformed', () => parseOne(oids.policyConstraints, sequence()), /empty/)
    refuses('malformed', () => parseOne(oids.policyConstraints, sequence(implicit(0, integer(-1)))))
    assert.equal(parseOne(oids.inhibitAnyPolicy, integer(4)).inhibitAnyPolicy, 4)
    refuses('malformed', () => parseOne(oids.inhibitAnyPolicy, integer(-4)))
    const mappings = [{ issuerDomainPolicy: '1.2.3', subjectDomainPolicy: '1.2.4' }]
    assert.deepEqual(
      parseOne(oids.policyMappings, policies.encodePolicyMappings(mappings)).policyMappings,
      mappings,
    )
    refuses('malformed', () => parseOne(oids.policyMappings, sequence()), /empty/)
    const any = [{ issuerDomainPolicy: oids.anyPolicy, subjectDomainPolicy: '1.2.4' }]
    refuses('malformed', () => parseOne(oids.policyMappings, policies.encodePolicyMappings(any)), /anyPolicy/)
  })
})
