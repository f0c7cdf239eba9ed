/** Every page: for everybody, under attack, without a session, without a server, and for who may only look. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { barriersOf, type Page } from '../helpers/browser.ts'
import { missing } from '../helpers/require.ts'
import {
  dashboardRig,
  hostile,
  password,
  seedFleet,
  violations,
  type DashboardRig,
} from '../helpers/dashboard-rig.ts'

const skip = missing('chromium')

const paths = [
  '/',
  '/devices',
  '/devices/hostile-1',
  '/devices/hostile-2',
  '/devices/nobody',
  '/expiry',
  '/campaigns',
  '/campaigns/new',
  '/field-list',
  '/alerts',
  '/cases',
  '/approvals',
  '/issuers',
  '/revocation',
  '/audit',
  '/protocols',
  '/webhooks',
  '/operators',
  '/system',
  '/nowhere',
] as const

suite('pages of the dashboard', { skip, timeout: 600_000 }, () => {
  let rig: DashboardRig
  before(async () => {
    rig = await dashboardRig()
    await seedFleet(rig.test)
    await rig.settle()
  })
  after(async () => {
    await rig.close()
    assert.deepEqual(violations, [])
  })

  const open = async (page: Page, path: string): Promise<void> => {
    await page.goto(rig.url + path)
    await page.locator('main .sentence').waitFor()
    await page.locator('main .loading').first().waitFor({ state: 'detached' })
  }

  test('axe finds nothing serious on any page, light or dark, wide or narrow', async () => {
    const page = await rig.pageOf('auditor')
    const found: string[] = []
    for (const [colorScheme, width] of [
      ['light', 1440],
      ['dark', 390],
    ] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 900 })
      for (const path of paths) {
        await open(page, path)
        for (const { id, where } of await barriersOf(page))
          found.push(`${path} ${colorScheme}: ${id} ${where.join(' | ')}`)
      }
    }
    assert.deepEqual(found, [])
    await page.context().close()
  })

  test('hostile names run nothing, turn nothing round, and break no layout', async () => {
    const page = await rig.pageOf('officer')
    await page.setViewportSize({ width: 1024, height: 900 })
    for (const path of paths) {
      await open(page, path)
      const seen = (await page.evaluate(
        '({ hit: globalThis.__hit ?? 0, images: document.images.length, width: document.documentElement.scrollWidth, text: document.body.innerText })',
      )) as { hit: number; images: number; width: number; text: string }
      assert.equal(seen.hit, 0, path)
      assert.equal(seen.images, 0, path)
      assert.ok(seen.width <= 1024, `${path} is ${seen.width} wide`)
      assert.doesNotMatch(seen.text, /[\u202a-\u202e\u2066-\u2069]/, path)
    }
    await open(page, '/devices/hostile-1')
    assert.match(await page.locator('body').innerText(), /<img src=x onerror=/)
    assert.ok(hostile.script.length > 0)
    await page.context().close()
  })

  test('a session that ends in mid-form keeps what was typed', async () => {
    const page = await rig.pageOf('operator')
    const name = await page.getByRole('button', { name: /theme, time zone/ }).innerText()
    await open(page, '/campaigns/new')
    await page.getByLabel('Cohort').fill('typed by hand')
    await page.context().clearCookies()
    await page.getByRole('button', { name: 'What would it do?' }).click()
    const dialog = page.getByRole('dialog', { name: 'Your session has ended' })
    await dialog.waitFor()
    assert.equal(await dialog.getByLabel('Name').inputValue(), name)
    await dialog.getByLabel('Password', { exact: true }).fill(password)
    await dialog.getByRole('button', { name: 'Log in' }).click()
    await dialog.waitFor({ state: 'hidden' })
    assert.equal(await page.getByLabel('Cohort').inputValue(), 'typed by hand')
    await page.context().close()
  })

  test('a server that goes is said to be away, and the page comes back by itself', async () => {
    const page = await rig.pageOf('viewer')
    await open(page, '/')
    await rig.stopServer()
    await page.getByText('The server does not answer. What you see').waitFor({ timeout: 30_000 })
    await rig.startServer()
    await page
      .getByText('The server does not answer. What you see')
      .waitFor({ state: 'hidden', timeout: 30_000 })
    await page.getByText('60 devices').waitFor()
    await page.context().close()
  })

  test('who may only look sees no button that writes', async () => {
    const page = await rig.pageOf('viewer')
    const writes =
      /^(Plan a campaign|Start|Pause|Resume|Abort|Approve|Reject|Revoke|Take out of service|Order it|Assign|Done|I am at it|Silence|Give a verdict|Add|Disable|Send again)/
    for (const path of paths) {
      await open(page, path)
      const names = await page.locator('main button, main a.button').allInnerTexts()
      assert.deepEqual(
        names.filter((name) => writes.test(name.trim())),
        [],
        path,
      )
    }
    await page.context().close()
  })

  test('numbers of a page are those of the API', async () => {
    const page = await rig.pageOf('viewer')
    await open(page, '/')
    const overview = await page.evaluate(async () => await (await fetch('/api/v1/overview')).json())
    const { devices, certificates } = overview as Record<string, Record<string, number>>
    const shown = await page.locator('.figure', { hasText: 'Not used yet' }).locator('dd').innerText()
    assert.equal(Number(shown), certificates?.['issued'])
    const whole = Object.values(devices ?? {}).reduce((sum, each) => sum + each, 0)
    await page.getByText(`${whole} devices`).waitFor()
    await page.context().close()
  })

  test('a first visit needs less than 400 kB of script, compressed', async () => {
    const page = await rig.pageOf('viewer')
    await open(page, '/')
    const bytes = (await page.evaluate(
      "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js')).reduce((sum, each) => sum + each.encodedBodySize, 0)",
    )) as number
    assert.ok(bytes > 0 && bytes < 400_000, `${bytes} bytes`)
    await page.context().close()
  })
})
