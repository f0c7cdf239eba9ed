import assert from 'node:assert/strict'
import { test } from 'node:test'
import { typedExtensions } from './extensions.ts'
import type { GeneralName } from './general-name.ts'
import { formatGeneralName, parseGeneralNameText } from './general-name-text.ts'
import { ipBytes } from './ip.ts'
import type { NameConstraint } from './name-constraints.ts'
import type { Name } from './name.ts'
import { parseNameText } from './name-text.ts'
import { nameConstraintViolation } from './path-names.ts'
import { oids } from './oid.ts'

function certificate(
  names: readonly GeneralName[],
  subject: Name = [],
): Parameters<typeof nameConstraintViolation>[1] {
  return { subject, extensions: { ...typedExtensions([]), subjectAltName: names.length > 0 ? names : null } }
}

function isPermitted(name: string | GeneralName, constraint: NameConstraint): boolean {
  const names = [typeof name === 'string' ? parseGeneralNameText(name) : name]
  return nameConstraintViolation({ permitted: [constraint], excluded: [] }, certificate(names), true) === null
}

function isExcluded(name: string | GeneralName, constraint: NameConstraint): boolean {
  const names = [typeof name === 'string' ? parseGeneralNameText(name) : name]
  return nameConstraintViolation({ permitted: [], excluded: [constraint] }, certificate(names), true) !== null
}

/** Inside: permitted and excluded. Outside: neither. Undecided: not permitted, yet excluded. */
function check(
  constraint: NameConstraint,
  inside: readonly string[],
  outside: readonly string[],
  undecided: readonly string[] = [],
): void {
  for (const name of inside)
    assert.deepEqual([isPermitted(name, constraint), isExcluded(name, constraint)], [true, true], name)
  for (const name of outside)
    assert.deepEqual([isPermitted(name, constraint), isExcluded(name, constraint)], [false, false], name)
  for (const name of undecided)
    assert.deepEqual([isPermitted(name, constraint), isExcluded(name, constraint)], [false, true], name)
}

const ip = (address: string, mask: string): NameConstraint => ({
  kind: 'ip',
  address: ipBytes(address) as Uint8Array,
  mask: ipBytes(mask) as Uint8Array,
})

test('host names: the host and everything below it, whole labels, case ignored (§4.2.1.10)', () => {
  check(
    { kind: 'dns', value: 'Example.com' },
    ['dns:example.com', 'dns:a.EXAMPLE.com', 'dns:a.b.example.com', 'dns:*.example.com'],
    ['dns:badexample.com', 'dns:example.com.evil.org', 'dns:example.org', 'dns:com'],
  )
  check(
    { kind: 'dns', value: '.example.com' },
    ['dns:a.example.com'],
    ['dns:example.com', 'dns:badexample.com'],
  )
  check({ kind: 'dns', value: '' }, ['dns:a.b', 'dns:x'], [])
})

test('a wildcard that stands for an excluded host is excluded', () => {
  const excluded: NameConstraint = { kind: 'dns', value: 'secret.example.com' }
  assert.equal(isExcluded('dns:*.example.com', excluded), true)
  assert.equal(isExcluded('dns:*.example.org', excluded), false)
  assert.equal(isExcluded('dns:*.a.example.com', excluded), false)
})

test('URIs: the exact host, or with a leading period what is below; no host is undecided', () => {
  check(
    { kind: 'uri', value: 'example.com' },
    ['uri:http://example.com/x', 'uri:https://user@EXAMPLE.com:8443/', 'uri:coap://example.com'],
    ['uri:http://a.example.com/', 'uri:http://example.com.evil.org/', 'uri:http://example.com@evil.org/'],
    ['uri:urn:perennial:device:1', 'uri:http://10.0.0.1/', 'uri:http://[2001:db8::1]/'],
  )
  check(
    { kind: 'uri', value: '.example.com' },
    ['uri:http://a.example.com/', 'uri:http://a.b.example.com/'],
    ['uri:http://example.com/', 'uri:http://badexample.com/'],
  )
})

test('mailboxes: one, all of a host, all below a domain; the local part counts case', () => {
  check(
    { kind: 'email', value: 'a@example.com' },
    ['email:a@example.com', 'email:a@EXAMPLE.com'],
    ['email:A@example.com', 'email:b@example.com', 'email:a@x.example.com'],
  )
  check({ kind: 'email', value: 'example.com' }, ['email:x@example.com'], ['email:x@a.example.com'])
  check({ kind: 'email', value: '.example.com' }, ['email:x@a.example.com'], ['email:x@example.com'])
})

test('addresses: inside the range and of the same family', () => {
  check(
    ip('10.1.0.0', '255.255.0.0'),
    ['ip:10.1.0.0', 'ip:10.1.255.255'],
    ['ip:10.0.255.255', 'ip:10.2.0.0', 'ip:2001:db8::1'],
  )
  check(ip('2001:db8::', 'ffff:ffff::'), ['ip:2001:db8::1'], ['ip:2001:db9::1', 'ip:10.1.0.0'])
  check(ip('0.0.0.0', '0.0.0.0'), ['ip:1.2.3.4'], ['ip:::1'])
})

test('directory names: the first RDNs', () => {
  const constraint: NameConstraint = { kind: 'directoryName', name: parseNameText('O=Example,C=DE') }
  const directory = (text: string): GeneralName => ({ kind: 'directoryName', name: parseNameText(text) })
  for (const inside of ['O=Example,C=DE', 'CN=x,O=example,C=DE']) {
    assert.deepEqual(
      [isPermitted(directory(inside), constraint), isExcluded(directory(inside), constraint)],
      [true, true],
    )
  }
  for (const outside of ['C=DE', 'O=Example', 'O=Example,CN=x,C=DE', 'O=Examples,C=DE']) {
    assert.deepEqual(
      [isPermitted(directory(outside), constraint), isExcluded(directory(outside), constraint)],
      [false, false],
      outside,
    )
  }
})

test('forms for which there is no rule are never permitted and always excluded', () => {
  const registered: NameConstraint = { kind: 'registeredId', oid: '1.2.3' }
  check(
    registered,
    [],
    [],
    ['rid:1.2.3'].filter((text) => formatGeneralName({ kind: 'registeredId', oid: '1.2.3' }) === text),
  )
  assert.equal(isPermitted({ kind: 'registeredId', oid: '1.2.3' }, registered), false)
  assert.equal(isExcluded({ kind: 'registeredId', oid: '1.2.4' }, registered), true)
  const other: NameConstraint = {
    kind: 'otherName',
    typeId: oids.hardwareModuleName,
    value: Uint8Array.of(5, 0),
  }
  const module: GeneralName = {
    kind: 'hardwareModuleName',
    hwType: '1.2.3',
    hwSerialNumber: Uint8Array.of(1),
  }
  assert.equal(isPermitted(module, other), false)
  assert.equal(isExcluded(module, other), true)
})

test('a constraint says nothing about names of another form', () => {
  assert.equal(isPermitted('uri:urn:x', { kind: 'dns', value: 'example.com' }), true)
  assert.equal(isExcluded('uri:urn:x', { kind: 'dns', value: '' }), false)
})

test('one permitted subtree of several is enough, one excluded is too much', () => {
  const constraints = {
    permitted: [
      { kind: 'dns', value: 'a.org' },
      { kind: 'dns', value: 'b.org' },
    ],
    excluded: [{ kind: 'dns', value: 'x.b.org' }],
  } as const
  const problem = (...names: string[]): string | null =>
    nameConstraintViolation(constraints, certificate(names.map(parseGeneralNameText)), true)
  assert.equal(problem('dns:y.a.org', 'dns:b.org'), null)
  assert.match(problem('dns:c.org') ?? '', /dns:c\.org is outside the permitted names/)
  assert.match(problem('dns:b.org', 'dns:x.b.org') ?? '', /dns:x\.b\.org is among the excluded names/)
})

test('mailboxes in the subject count always, host names in its common name where a leaf has none elsewhere', () => {
  const onlyMail = { permitted: [{ kind: 'email', value: 'example.com' }], excluded: [] } as const
  const mail: Name = [[{ type: oids.emailAddress, value: 'x@evil.org' }]]
  assert.notEqual(nameConstraintViolation(onlyMail, certificate([], mail), false), null)
  const onlyHost = { permitted: [{ kind: 'dns', value: 'example.com' }], excluded: [] } as const
  const host = parseNameText('CN=evil.org')
  assert.notEqual(nameConstraintViolation(onlyHost, certificate([], host), true), null)
  assert.equal(nameConstraintViolation(onlyHost, certificate([], host), false), null)
  const hidden = certificate([parseGeneralNameText('dns:a.example.com')], host)
  assert.equal(nameConstraintViolation(onlyHost, hidden, true), null)
  assert.equal(nameConstraintViolation(onlyHost, certificate([], parseNameText('CN=device-1')), true), null)
})

test('a product of names and constraints beyond the bound is refused at once', () => {
  const names = Array.from({ length: 400 }, (_, index): GeneralName => ({
    kind: 'dns',
    value: `h${index}.example.com`,
  }))
  const many = (count: number): NameConstraint[] =>
    Array.from({ length: count }, (_, index) => ({ kind: 'dns', value: `x${index}.org` }))
  const problem = (count: number): string | null =>
    nameConstraintViolation({ permitted: [], excluded: many(count) }, certificate(names), true)
  assert.equal(problem(250), null)
  assert.match(problem(251) ?? '', /too many/)
})
