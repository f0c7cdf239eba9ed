/** The house rules that a program can check. Each is applied to the tree, and shown to catch a planted violation. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { functionsOf } from './tidy/functions.ts'
import { layerFindings, layerOf } from './tidy/layers.ts'
import * as rules from './tidy/rules.ts'
import type { Exceptions, Finding } from './tidy/rules.ts'
import { scanSource } from './tidy/source.ts'
import { assertCatches, assertNone, declared, files, paths, plant, sources } from './tidy/tree.ts'

/** Each exception is a file and the reason why the rule cannot hold there. */
const hiddenInputExceptions: Exceptions = {}
const functionSizeExceptions: Exceptions = {
  'src/client/generated/operations.ts': 'generated: one line for each operation of the API',
}
const sqlExceptions: Exceptions = {
  'src/data-directory.ts': 'the lock of `init` is a SQLite file of its own, before there is a store',
}
const defaultExportExceptions: Exceptions = {
  'web/vite.config.ts': 'Vite loads its configuration by its default export',
  'test/run/reporter.ts': 'Node.js loads a reporter by its default export',
}

suite('layers', () => {
  test('imports point down only', () => assertNone(layerFindings(sources, declared)))

  const forbidden: readonly [string, string, RegExp][] = [
    ['src/pki/x.ts', "import { openStore } from '../store/open.ts'", /pki must not import store/],
    ['src/store/x.ts', "import type { Name } from '../pki/name.ts'", /store must not import pki/],
    ['src/base/x.ts', "export { oids } from '../pki/oid.ts'", /base must not import pki/],
    [
      'src/engine/x.ts',
      "const { est } = await import('../protocols/est.ts')",
      /engine must not import protocols/,
    ],
    ['src/engine/x.ts', "let app: import('../app.ts').App", /engine must not import app/],
    [
      'src/protocols/x.ts',
      "import { findDevice } from '../store/devices.ts'",
      /protocols must not import store/,
    ],
    ['src/protocols/x.ts', "import { api } from '../api/server.ts'", /protocols must not import api/],
    [
      'src/authorities/x.ts',
      "import { enroll } from '../engine/enroll.ts'",
      /authorities must not import engine/,
    ],
    ['src/agent/x.ts', "import { enroll } from '../engine/enroll.ts'", /agent must not import engine/],
    ['src/app.ts', "import { program } from './cli/program.ts'", /app must not import cli/],
    ['src/serve.ts', "spawn(new URL('./main.ts', import.meta.url))", /serve must not import main/],
    ['src/engine/x.ts', "import '../../test/helpers/app.ts'", /not part of the product/],
    ['src/engine/x.ts', "import { Kysely } from 'kysely'", /engine must not import the package kysely/],
    ['src/protocols/x.ts', "import { Pool } from 'pg'", /only store imports the package pg/],
    ['src/cli/x.ts', "import fc from 'fast-check'", /does not declare/],
    ['src/cli/x.ts', "import fs from 'fs'", /does not declare/],
    ['src/cli/x.ts', 'await import(name)', /computed path/],
    ['src/cli/x.ts', "import { a } from './a'", /without its extension/],
    ['web/src/pages/x.tsx', "import { count } from '../../../src/base/text.ts'", /nothing but the REST API/],
    ['web/src/pages/x.tsx', "import { load } from 'd3'", /web must not import d3/],
    ['web/src/pages/x.tsx', "import { a } from '../a'", /without its extension/],
    ['src/thing/x.ts', '', /no layer/],
    ['src/thing.ts', '', /no layer/],
  ]
  for (const [path, text, message] of forbidden) {
    test(`refuses in ${path}: ${text || 'an unknown place'}`, () =>
      assertCatches(layerFindings(plant(path, text), declared), message))
  }

  test('lets the authorities see the ports, and a test beside its source see anything', () => {
    assertNone(
      layerFindings(
        plant('src/authorities/x.ts', "import type { Authority } from '../engine/ports.ts'"),
        declared,
      ),
    )
    assertNone(
      layerFindings(plant('src/pki/x.test.ts', "import { openStore } from '../store/open.ts'"), declared),
    )
  })

  test('every layer of the drawing in ARCHITECTURE.md is known', () => {
    for (const name of [
      'base',
      'pki',
      'store',
      'engine',
      'agent',
      'protocols',
      'api',
      'authorities',
      'cli',
    ]) {
      assert.equal(layerOf(`src/${name}/x.ts`), name)
    }
  })
})

suite('time and randomness', () => {
  test('come from src/base only', () => assertNone(rules.hiddenInputFindings(sources, hiddenInputExceptions)))

  for (const text of [
    'const now = Date.now()',
    'const now = new Date()',
    'const now = new Date',
    'const text = Date()',
    'const at = performance.now()',
    'const at = process.hrtime.bigint()',
    'setTimeout(go, 5)',
    'globalThis.setInterval',
    'AbortSignal.timeout(5)',
    "import { setTimeout as delay } from 'node:timers/promises'",
    'const dice = Math.random()',
    'const id = crypto.randomUUID()',
  ]) {
    test(`refuses ${text}`, () => {
      assert.ok(rules.hiddenInputFindings(plant('src/engine/x.ts', text), {}).length > 0)
      assertNone(rules.hiddenInputFindings(plant('src/base/x.ts', text), {}))
      assertNone(rules.hiddenInputFindings(plant('src/engine/x.ts', text), { 'src/engine/x.ts': 'a reason' }))
    })
  }

  for (const text of [
    'const at = new Date(now)',
    '// never call Date.now() here',
    "const say = 'Date.now() is banned'",
    'const say = `Math.random() ${now} new Date()`',
    'server.setTimeout(5)',
    'function toDate(x: Date): Date { return new Date(x) }',
  ]) {
    test(`lets pass ${text}`, () => assertNone(rules.hiddenInputFindings(plant('src/engine/x.ts', text), {})))
  }
})

suite('size', () => {
  test('of files', () => assertNone(rules.fileSizeFindings(sources)))
  test('of functions', () => assertNone(rules.functionSizeFindings(sources, functionSizeExceptions)))

  const lines = (count: number): string => 'x()\n'.repeat(count)
  const reason = '/** Over 400 lines long because the table must be read at once. */\n'

  test('refuses 401 lines without a reason and 601 with one', () => {
    assertNone(rules.fileSizeFindings(plant('src/a.ts', lines(400))))
    assertCatches(rules.fileSizeFindings(plant('src/a.ts', lines(401))), /401 lines/)
    assertNone(rules.fileSizeFindings(plant('src/a.ts', reason + lines(599))))
    assertCatches(rules.fileSizeFindings(plant('src/a.ts', reason + lines(600))), /600 is the limit/)
  })

  for (const head of [
    'export function long(a: number) {',
    'async function long<T extends Record<string, unknown>>(a: T): Promise<Map<string, T>> {',
    'const long = async (a: number): Promise<void> => {',
    'const long = (a) => {',
    'class A { long({ a, b }: { a: string; b: string } = c): asserts a is B {',
    'class A { static async #long(): Promise<{ a: string }> {',
    'class A { get long() {',
    'return { long(a: string): asserts a {',
  ]) {
    test(`refuses 81 lines of: ${head}`, () => {
      const text = (count: number): string =>
        `${head}\n${lines(count - 2)}}${head.startsWith('class') || head.startsWith('return') ? ' }' : ''}\n`
      assertNone(rules.functionSizeFindings(plant('src/a.ts', text(80)), {}))
      assertCatches(rules.functionSizeFindings(plant('src/a.ts', text(81)), {}), /long has 81 lines/)
    })
  }

  test('does not take other braces for functions', () => {
    const text = `if (a) {\n${lines(90)}}\nconst table = {\n${lines(90)}}\nclass A extends B {\n${lines(90)}}\nfor (const x of f()) {\n${lines(90)}}\ninterface C {\n${lines(90)}}\n`
    assert.deepEqual(functionsOf(scanSource('src/a.ts', text)), [])
  })

  test('counts a function inside another one once', () => {
    const text = `function outer() {\n${lines(40)}const inner = () => {\n${lines(60)}}\n}\n`
    assert.deepEqual(
      functionsOf(scanSource('src/a.ts', text)).map(({ name, ownLines }) => [name, ownLines]),
      [
        ['inner', 62],
        ['outer', 43],
      ],
    )
  })
})

suite('names and places', () => {
  test('of files and folders say what they hold', () => assertNone(rules.nameFindings(paths)))
  test('of one machine, and registry hosts, are nowhere', () => assertNone(rules.placeFindings(files)))
  test('of default exports', () => assertNone(rules.defaultExportFindings(sources, defaultExportExceptions)))

  for (const path of [
    'src/utils/a.ts',
    'src/engine/types/a.ts',
    'src/pki/helpers.ts',
    'src/engine/index.ts',
    'src/pki/camelCase.ts',
  ]) {
    test(`refuses ${path}`, () => assert.equal(rules.nameFindings([path]).length, 1))
  }
  test('lets pass src/pki/index.ts and test/helpers', () => {
    assertNone(
      rules.nameFindings([
        'src/pki/index.ts',
        'src/authorities/index.ts',
        'test/helpers/require.ts',
        'src/pki/der.test.ts',
      ]),
    )
  })

  test('refuses a machine path, a mirror, a pinned download', () => {
    const text = (path: string, content: string): Finding[] => rules.placeFindings([{ path, text: content }])
    assertCatches(text('a.md', `see ${'/ho'}me/joe/x`), /one machine/)
    assertCatches(text('.npmrc', `x=https://registry.${'npmjs'}.org/`), /registry/)
    assertCatches(text('package-lock.json', `"resolved${'": "'}https://a.example/x.tgz"`), /downloaded/)
    assertNone(text('a.md', 'see https://a.example/home/x and ./work/x and /usr/share/x'))
  })

  test('refuses a default export outside the extension folders', () => {
    assertCatches(rules.defaultExportFindings(plant('src/engine/a.ts', 'export default 1'), {}), /default/)
    assertNone(rules.defaultExportFindings(plant('src/authorities/a.ts', 'export default 1'), {}))
  })
})

suite('tests and SQL', () => {
  test('no test runs alone or waits to be written', () => assertNone(rules.unfinishedTestFindings(sources)))
  test('SQL is written in src/store only', () => assertNone(rules.sqlFindings(sources, sqlExceptions)))

  for (const text of [
    "test.only('x', f)",
    "describe.todo('x')",
    "test('x', { only: true }, f)",
    "it('x', { todo: 'later' }, f)",
  ]) {
    test(`refuses ${text}`, () =>
      assert.equal(rules.unfinishedTestFindings(plant('src/a.test.ts', text)).length, 1))
  }
  for (const text of [
    "db.run('select id from devices')",
    'run(`insert into devices values (${id})`)',
    'sql`now()`',
    "tx.selectFrom('devices')",
    "exec('PRAGMA user_version')",
  ]) {
    test(`refuses ${text}`, () => {
      assert.equal(rules.sqlFindings(plant('src/engine/a.ts', text), {}).length, 1)
      assertNone(rules.sqlFindings(plant('src/store/a.ts', text), {}))
    })
  }
  test('lets pass prose that begins like SQL', () => {
    const text = "const help = ['Select a profile', 'update the device', 'Delete all of it?', 'begin here']"
    assertNone(rules.sqlFindings(plant('src/cli/a.ts', text), {}))
  })
})
