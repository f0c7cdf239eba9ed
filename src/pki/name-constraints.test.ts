import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuses } from '../../test/helpers/refuses.ts'
import { readDer } from './der.ts'
import { ia5String, implicit, integer, nullValue, octetString, oid, sequence } from './der-writer.ts'
import { type ParsedExtensions, encodeExtensions, makeExtension, parseExtensions } from './extensions.ts'
import { encodeNameConstraints, parseNameConstraints } from './name-constraints.ts'
import { parseNameText } from './name-text.ts'
import { oids } from './oid.ts'

function parseOne(type: string, value: Uint8Array): ParsedExtensions {
  return parseExtensions(readDer(encodeExtensions([makeExtension(type, value)])))
}

describe('nameConstraints', () => {
  test('every kind of subtree round-trips', () => {
    const constraints = {
      permitted: [
        { kind: 'dns', value: 'example.com' },
        { kind: 'dns', value: '' },
        { kind: 'uri', value: '.example.com' },
        { kind: 'email', value: 'a@example.com' },
        { kind: 'directoryName', name: parseNameText('O=a,C=DE') },
        { kind: 'directoryName', name: [] },
        { kind: 'ip', address: Uint8Array.of(10, 0, 0, 0), mask: Uint8Array.of(255, 0, 0, 0) },
        { kind: 'ip', address: new Uint8Array(16), mask: new Uint8Array(16) },
        { kind: 'registeredId', oid: '1.2.3' },
        { kind: 'otherName', typeId: '1.2.3', value: nullValue() },
      ],
      excluded: [{ kind: 'ip', address: new Uint8Array(4), mask: new Uint8Array(4) }],
    } as const
    assert.deepEqual(
      parseOne(oids.nameConstraints, encodeNameConstraints(constraints)).nameConstraints,
      constraints,
    )
    const onlyExcluded = { permitted: [], excluded: constraints.excluded }
    assert.deepEqual(parseNameConstraints(readDer(encodeNameConstraints(onlyExcluded))), onlyExcluded)
  })

  const subtree = (...fields: Uint8Array[]) => sequence(implicit(0, sequence(sequence(...fields))))
  const dns = implicit(2, ia5String('a'))
  const invalid: [string, Uint8Array, RegExp][] = [
    ['nothing', sequence(), /empty/],
    ['an empty list', sequence(implicit(0, sequence())), /empty list/],
    ['an encoded minimum', subtree(dns, implicit(0, integer(0))), /unexpected/],
    ['a maximum', subtree(dns, implicit(1, integer(5))), /unexpected/],
    ['an IP address without a mask', subtree(implicit(7, octetString(new Uint8Array(4)))), /8 or 32/],
    [
      'a mask with a gap',
      subtree(implicit(7, octetString(Uint8Array.of(10, 0, 0, 0, 255, 0, 255, 0)))),
      /gap/,
    ],
    ['a host with a space', subtree(implicit(2, ia5String('a b'))), /not a host/],
    ['x400Address', subtree(implicit(3, sequence())), /not supported/],
    ['a universal type', subtree(ia5String('a')), /no GeneralName/],
    ['an otherName without a value', subtree(implicit(0, sequence(oid('1.2.3')))), /without a value/],
  ]
  for (const [name, der, message] of invalid) {
    test(`refuses ${name}`, () => refuses('malformed', () => parseNameConstraints(readDer(der)), message))
  }
  test('refuses hostile text', () => {
    refuses('hostile-name', () => parseNameConstraints(readDer(subtree(implicit(2, ia5String('a\0b'))))))
    refuses('malformed', () => encodeNameConstraints({ permitted: [], excluded: [] }), /empty/)
  })
})
