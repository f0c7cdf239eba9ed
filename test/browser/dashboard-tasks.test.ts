/** The daily work in a browser, through the real server: each task as a person does it. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { defaultApprovalSettings } from '../../src/engine/proposals/approval-rule.ts'
import { openCase } from '../../src/engine/cases/case.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { testActor } from '../helpers/app.ts'
import { missing } from '../helpers/require.ts'
import {
  dashboardRig,
  firstLink,
  logIn,
  password,
  seedFleet,
  violations,
  watched,
  type DashboardRig,
} from '../helpers/dashboard-rig.ts'

const skip = missing('chromium')

suite('dashboard', { skip, timeout: 600_000 }, () => {
  let rig: DashboardRig
  before(async () => {
    rig = await dashboardRig({ approval: { ...defaultApprovalSettings, require: ['revoke-batch'] } })
  })
  after(async () => {
    await rig.close()
    assert.deepEqual(violations, [])
  })

  test('the link of the first start makes the first account, once, and an empty installation says what to do', async () => {
    const token = await firstLink(rig.test)
    const page = await watched(await rig.browser.newContext(), rig.url)
    await page.goto(`${rig.url}/setup#${token}`)
    await page.getByLabel('Name').fill('anna')
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByLabel('Password again').fill(password)
    await page.getByRole('button', { name: 'Make the account' }).click()
    await page.getByText('Nothing is in the inventory yet.').waitFor()
    await page.getByText('perennial device add METER-1').waitFor()
    const again = await watched(await rig.browser.newContext(), rig.url)
    await again.goto(`${rig.url}/setup#${token}`)
    await again.getByRole('alert').waitFor()
    await page.context().close()
    await again.context().close()
    await seedFleet(rig.test)
  })

  test('a wrong password is refused with a reason, and the right one opens the fleet', async () => {
    const page = await watched(await rig.browser.newContext(), rig.url)
    await page.goto(rig.url)
    await page.getByLabel('Name').fill('anna')
    await page.getByLabel('Password').fill('not this one, no')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('alert').waitFor()
    await logIn(page, 'anna')
    await page.getByText('60 devices').waitFor()
    await page.context().close()
  })

  test('a device is found by keys alone, and says whether it will survive', async () => {
    const page = await rig.pageOf('operator')
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox', { name: 'Page or device' }).fill('meter-003')
    await page.getByRole('option', { name: /meter-003/ }).waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/devices/meter-003')
    await page
      .getByText(/its certificate ends/)
      .first()
      .waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('d')
    await page.waitForURL('**/devices')
    // the address is there before the page: a key would open the palette instead
    await page.locator('main [data-find]').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('site=graz')
    await page.keyboard.press('Enter')
    await page.waitForURL(/q=site%3Dgraz/)
    await page.getByText('4 devices fit this filter.').waitFor()
    await page.context().close()
  })

  test('a filter that cannot be read says where and why, and the address brings the list back', async () => {
    const page = await rig.pageOf('viewer')
    await page.goto(`${rig.url}/devices?q=stat%3Dactive`)
    await page.getByText(/no field stat; did you mean state/).waitFor()
    await page.goto(`${rig.url}/devices?q=id%3Dmeter-00*`)
    await page.getByText('8 devices fit this filter.').waitFor()
    await page.context().close()
  })

  test('a campaign is planned', async () => {
    const page = await rig.pageOf('operator')
    await page.goto(`${rig.url}/campaigns/new`)
    await page.getByLabel('Cohort').fill('pilot')
    await page.getByRole('button', { name: 'What would it do?' }).click()
    await page.getByText(/of 8 selected would be asked/).waitFor()
    await page.context().close()
  })

  test('a revocation of many waits for a second person, who is not the one who asked', async () => {
    const first = await rig.pageOf('officer')
    await first.goto(`${rig.url}/revocation`)
    await first.getByLabel('Batch').fill('run-1')
    await first.getByLabel('Why', { exact: true }).fill('keys were found in a bin')
    await first.getByRole('button', { name: 'What would it revoke?' }).click()
    await first.getByText('A second person must allow it.').waitFor()
    await first.getByRole('button', { name: 'Order it' }).click()
    await first.getByLabel(/Type the number of devices/).fill('8')
    await first.getByRole('dialog').getByRole('button', { name: 'Order it' }).click()
    await first.getByText(/a second person must approve it/).waitFor()
    await first.goto(`${rig.url}/approvals`)
    await first.getByText('another person decides').waitFor()
    assert.equal(await first.getByRole('button', { name: 'Approve' }).count(), 0)

    const second = await rig.pageOf('officer')
    await second.goto(`${rig.url}/approvals`)
    await second.getByRole('button', { name: 'Approve' }).click()
    await second.getByRole('dialog').getByRole('button', { name: 'Approve' }).click()
    await second.getByText('Approved: it is being done.').waitFor()
    await rig.settle()
    await rig.settle()
    await second.goto(`${rig.url}/devices/meter-001`)
    await second.getByText('quarantined').first().waitFor()
    await first.context().close()
    await second.context().close()
  })

  test('a case is closed with a verdict', async () => {
    await openCase(rig.test.engine, {
      deviceId: 'hostile-1' as DeviceId,
      actor: testActor,
      note: 'looks odd',
    })
    const page = await rig.pageOf('officer')
    await page.goto(`${rig.url}/cases`)
    const item = page.getByRole('listitem').filter({ hasText: 'hostile-1' })
    await item.getByRole('button', { name: 'Look' }).click()
    await page.getByText('looks odd').waitFor()
    await page.getByRole('button', { name: 'Give a verdict' }).click()
    await page.getByLabel('What was found').fill('a new antenna')
    await page.getByRole('dialog').getByRole('button', { name: 'Close the case' }).click()
    await page.getByText(/is closed\./).waitFor()
    await page.context().close()
  })

  test('the browser proves an entry of the audit log by itself, and a forged one is not proved', async () => {
    await rig.settle()
    const page = await rig.pageOf('auditor')
    await page.goto(`${rig.url}/audit`)
    await page.getByLabel('Number of the entry').fill('3')
    await page.getByRole('button', { name: 'Prove it' }).click()
    await page.getByText(/Proved: entry 3 of/).waitFor()
    await page.route('**/facts/4/proof', async (route) => {
      const answer = await route.fetch()
      const lines = (await answer.text()).split('\n')
      const entry = Buffer.from((lines[1] as string).slice('extra '.length), 'base64').toString()
      lines[1] = `extra ${Buffer.from(entry.replace(/[a-z]{4}/, 'x$&')).toString('base64')}`
      await route.fulfill({ response: answer, body: lines.join('\n') })
    })
    await page.getByLabel('Number of the entry').fill('4')
    await page.getByRole('button', { name: 'Prove it' }).click()
    await page.getByText('NOT proved').waitFor()
    await page.context().close()
  })
})
