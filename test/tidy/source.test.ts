import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { importsOf, scanSource } from './source.ts'

suite('the scanner', () => {
  test('blanks comments, strings, templates and regular expressions, and nothing else', () => {
    const text = "a('x') // c\nb(`y ${z('w')} v`) /* d */ + e / f / g.match(/[/'\"]h/u)"
    assert.equal(
      scanSource('a.ts', text).code,
      "a(' ')     \nb(`  ${z(' ')}  `)         + e / f / g.match(/      /u)",
    )
  })
  test('keeps the braces of nested templates apart', () => {
    const text = '`${a({ b: `${c}` })}` + { d: 1 }'
    assert.deepEqual(
      scanSource('a.ts', text).literals.map((literal) => literal.text),
      ['${}', '${}'],
    )
    assert.equal(scanSource('a.ts', text).code, text)
  })
  test('finds imports in every form', () => {
    const text = [
      "import a from './a.ts'",
      "import type { B } from './b.ts'",
      'import {',
      '  c,',
      "} from './c.ts'",
      "export * from './d.ts'",
      "import './e.ts'",
      "const f = await import('./f.ts')",
      "let g: import('./g.ts').G",
      "new Worker(new URL('./h.ts', import.meta.url))",
      "const no = new URL('https://a.example')",
      "// import './no.ts'",
      'const text = "import \'./no.ts\'"',
    ].join('\n')
    const found = importsOf(scanSource('a.ts', text)).map(({ specifier }) => specifier)
    assert.deepEqual(
      found.toSorted(),
      ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `./${name}.ts`),
    )
  })
})
