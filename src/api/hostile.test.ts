/** Whatever devices and certificates are called: no answer and no file carries anything that acts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isUnsafeText } from '../base/text.ts'
import type { DeviceId } from '../base/id.ts'
import { linesOf } from '../../test/helpers/csv-lines.ts'
import { sampleCertificate, sampleDevice } from '../../test/conformance/store-samples.ts'
import { apiFleet } from '../../test/helpers/api-fleet.ts'
import { apiRig, grant, type ApiRig } from '../../test/helpers/api-rig.ts'
import { testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { insertCertificates } from '../store/certificates.ts'
import { insertDevice } from '../store/devices.ts'
import { routes } from './routes.ts'

const evil = [
  '=HYPERLINK("http://x","y")',
  '+1+cmd|calc',
  '-2+3',
  '@SUM(A1)',
  '\t=1',
  '\r\n=1',
  'a\u001b[31mb\u0007',
  'a\u202egnp.exe',
  'a\u200bb\ufeff',
  '<script>alert(1)</script>',
  '"; drop table devices; --',
  "O'Hara, Ltd",
  '\u0000nul',
  '\u2028line',
]

let rig: TestEngine
let api: ApiRig
/** Together they have every permission. */
const everything = [grant('officer'), grant('administrator')]

before(async () => {
  rig = await testEngine()
  await apiFleet(rig.engine)
  api = await apiRig(rig.engine)
  await rig.engine.store.transaction(async (tx) => {
    for (const [n, text] of evil.entries()) {
      const id = `evil-${n}` as DeviceId
      await insertDevice(
        tx,
        sampleDevice(n, {
          id,
          site: text,
          batch: text,
          cohort: text,
          hardware: text,
          firmware: text,
          tags: { note: text, [`-n${n}`]: text },
        }),
      )
      await insertCertificates(tx, [
        sampleCertificate(n + 1_000, {
          deviceId: id,
          subject: `CN=${text}`,
          subjectAltNames: [text],
          reason: text,
          site: text,
        }),
      ])
    }
  })
})
after(() => rig.close())

function assertHarmless(text: string, what: string): void {
  for (const line of text.split(/\r?\n/))
    assert.equal(isUnsafeText(line), false, `${what}: ${JSON.stringify(line)}`)
}

for (const { path, method, examples, operationId, isEndless } of routes) {
  if (method !== 'GET' || isEndless === true) continue
  test(`${operationId} gives JSON or a file, and nothing in it acts`, async () => {
    for (const { params = {}, query = {} } of examples) {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''))
      const search = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]))
      search.delete('filter')
      const answer = await api.ask(everything, `${filled}?${search}`)
      const type = String(answer.headers['content-type'])
      assert.doesNotMatch(type, /html/)
      if (/json|csv/.test(type)) assertHarmless(answer.body, operationId)
    }
  })
}

for (const kind of ['devices', 'certificates']) {
  test(`a spreadsheet finds no formula among ${kind}, and no text is lost`, async () => {
    const { body } = await api.ask(everything, `/exports/${kind}`)
    const [header, ...rows] = linesOf(body)
    assert.ok(header && rows.length > evil.length)
    for (const row of rows) {
      assert.equal(row.length, header.length)
      for (const cell of row) assert.doesNotMatch(cell, /^[=+\-@\t\r]/)
    }
    const cells = rows.flat()
    assert.ok(cells.some((cell) => cell.includes('HYPERLINK("http://x","y")')))
    assert.ok(cells.some((cell) => cell.includes("O'Hara, Ltd")))
  })
}

test('JSON Lines reads back as what is stored', async () => {
  const { body } = await api.ask(everything, '/exports/devices?format=jsonl')
  const rows = body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; site: string; tags: Record<string, string> })
  for (const [n, text] of evil.entries()) {
    const row = rows.find(({ id }) => id === `evil-${n}`)
    assert.deepEqual([row?.site, row?.tags['note']], [text, text])
  }
})

test('a filter finds each of them by its text, and only it', async () => {
  for (const [n, text] of evil.entries()) {
    if (isUnsafeText(text)) continue
    const filter = `site="${text.replace(/["\\]/g, '\\$&')}"`
    const answer = await api.ask(everything, `/devices?filter=${encodeURIComponent(filter)}`)
    assert.deepEqual(
      (answer.json() as { items: { id: string }[] }).items.map(({ id }) => id),
      [`evil-${n}`],
      text,
    )
  }
})
