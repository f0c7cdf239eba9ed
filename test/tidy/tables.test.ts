/** Tables in the documentation, the lockfile and package.json say the same as the code. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { clientSource } from '../../scripts/client-source.ts'
import { withConfigurationTables } from '../../scripts/configuration-table.ts'
import { openApiDocument } from '../../src/api/openapi.ts'
import { routes } from '../../src/api/routes.ts'
import { refusalRules } from '../../src/base/errors.ts'
import type { Exceptions, Finding } from './rules.ts'
import { importsOf, type Source } from './source.ts'
import {
  citationFindings,
  dependencyFindings,
  lockfileFindings,
  refusalFindings,
  unusedFindings,
  type Lockfile,
} from './tables.ts'
import { assertCatches, assertNone, declared, files, root, sources } from './tree.ts'

/** Dependencies that nothing of the product imports, with the reason why they stay. */
const unusedExceptions: Exceptions = {}

suite('tables', () => {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8')

  test('docs/dependencies.md has a line for each dependency', () =>
    assertNone(
      dependencyFindings(read('docs/dependencies.md'), [
        ...declared.dependencies,
        ...declared.devDependencies,
      ]),
    ))
  test('docs/refusals.md has each refusal code with its HTTP status and exit code', () =>
    assertNone(refusalFindings(read('docs/refusals.md'), refusalRules)))

  test('docs/configuration.md is what `npm run docs` writes', () => {
    const written = read('docs/configuration.md')
    assert.equal(withConfigurationTables(written), written)
    assert.notEqual(withConfigurationTables(`${written}| planted |`), `${written}| planted |`)
  })

  test('src/client/generated is what `npm run docs` writes', () => {
    for (const [name, text] of Object.entries(clientSource(openApiDocument(routes, ''))))
      assert.equal(read(`src/client/generated/${name}`), text, `${name}: run \`npm run docs\` and commit it`)
  })

  const testOf = (path: string): string | null => (existsSync(join(root, path)) ? read(path) : null)

  test('every test that a document names exists', () => {
    const documents = files.filter(({ path }) => path.endsWith('.md'))
    assertNone(citationFindings(documents, testOf))
    assert.ok(
      documents.some(({ text }) => text.includes('.test.ts › ')),
      'docs/rfc names tests',
    )
  })
  test('refuses a document that names a test or a file that is not there', () => {
    const cite = (name: string): Finding[] =>
      citationFindings([{ path: 'a.md', text: `| ${name} |` }], testOf)
    const here = 'test/tidy/tables.test.ts'
    assertNone(cite(`\`${here} › every test that a document names exists\``))
    assertCatches(cite(`\`${here} › a name that ${'no'} test has\``), /does not have/)
    assertCatches(cite('`src/pki/nowhere.test.ts › x`'), /does not exist/)
  })

  test('no package has an install script, an unfriendly licence or no hash', () => {
    assertNone(lockfileFindings(JSON.parse(read('package-lock.json')) as Lockfile))
    const good = { license: 'MIT', integrity: 'sha512-x' }
    const planted = (part: object): Finding[] =>
      lockfileFindings({
        packages: { '': {}, 'node_modules/a': good, 'node_modules/b': { ...good, ...part } },
      })
    assertNone(planted({}))
    assertCatches(planted({ hasInstallScript: true }), /b has an install script/)
    assertCatches(planted({ license: 'GPL-3.0-only' }), /b has the licence GPL/)
    assertCatches(planted({ license: 'MPL-2.0' }), /b has the licence MPL/)
    assertNone(planted({ license: 'MPL-2.0', dev: true }))
    assertCatches(planted({ integrity: undefined }), /b has no integrity/)
  })

  test('every dependency is imported, by the product or by tests', () => {
    const isProduct = ({ path }: Source): boolean => path.startsWith('src/') && !path.endsWith('.test.ts')
    const packages = (of: readonly Source[]): Set<string> =>
      new Set(
        of
          .flatMap((source) => importsOf(source).map(({ specifier }) => specifier))
          .map((specifier) =>
            specifier
              .split('/')
              .slice(0, specifier.startsWith('@') ? 2 : 1)
              .join('/'),
          ),
      )
    const product = packages(sources.filter(isProduct))
    const elsewhere = packages(sources.filter((source) => !isProduct(source)))
    const used = (names: readonly string[]): string[] => names.filter((name) => !(name in unusedExceptions))
    const { dependencies, devDependencies } = declared
    assertNone(unusedFindings({ product, elsewhere }, { dependencies: used(dependencies), devDependencies }))
    const nothing = { product: new Set<string>(), elsewhere: new Set<string>() }
    assertCatches(
      unusedFindings(nothing, { dependencies: ['a'], devDependencies: [] }),
      /nothing of the product/,
    )
    assertCatches(
      unusedFindings(nothing, { dependencies: [], devDependencies: ['a', 'oxlint'] }),
      /nothing imports/,
    )
  })

  test('refuses a missing dependency and one that is no longer there', () => {
    assertNone(dependencyFindings('| `a` | x |', ['a']))
    assertCatches(dependencyFindings('| `a` | x |', ['a', 'b']), /no line for b/)
    assertCatches(dependencyFindings('| `a` | x |\n| `b` | y |', ['a']), /b is not in package.json/)
  })
  test('refuses a missing code, a wrong number, and a code that is no longer there', () => {
    const codes = { malformed: { http: 400, exit: 3 } }
    assertNone(refusalFindings('| `malformed` | 400 | 3 | text |', codes))
    assertCatches(refusalFindings('', codes), /no line for malformed/)
    assertCatches(refusalFindings('| `malformed` | 400 | 4 | text |', codes), /says 400 and 4/)
    assertCatches(
      refusalFindings('| `malformed` | 400 | 3 | |\n| `gone` | 400 | 3 | |', codes),
      /gone is not/,
    )
  })
})
