/** The dashboard in Chromium, on the real admin server over a whole engine, with a fleet whose names are hostile. */
import type { AddressInfo } from 'node:net'
import { createAdminServer } from '../../src/api/server.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { EngineSettings } from '../../src/engine/context.ts'
import { createJobs } from '../../src/engine/jobs.ts'
import { seal } from '../../src/engine/audit/seal.ts'
import { defaultOperatorSettings, addOperator } from '../../src/engine/operators/operator.ts'
import { finishSetup, firstStartLink } from '../../src/engine/operators/setup.ts'
import type { Role } from '../../src/engine/operators/permissions.ts'
import { proposalKinds } from '../../src/engine/proposals/proposal-kinds.ts'
import { proposalHandler } from '../../src/engine/proposals/proposal.ts'
import { revocationJob } from '../../src/engine/revocation/revoke-batch.ts'
import { runTasks } from '../../src/engine/tasks.ts'
import { enrolDevice, registerDevice, testActor, testEngine, type TestEngine } from './app.ts'
import { openBrowser, type Browser, type BrowserContext, type Page } from './browser.ts'
import { grant } from './api-rig.ts'

export const password = 'correct horse battery staple'

/** What a browser would run, what turns text round, what hides in it, and what is long. */
export const hostile = {
  script: '<img src=x onerror="window.__hit=1"><script>window.__hit=1</script>',
  bidi: 'safe\u202eexe.elpmaxe',
  formula: '=HYPERLINK("http://example.com")',
  long: 'x'.repeat(120),
}

export interface DashboardRig {
  readonly test: TestEngine
  readonly url: string
  readonly browser: Browser
  /** Logged in as a new account of this role. */
  pageOf(role: Role): Promise<Page>
  /** What the jobs of the platform would do by now. */
  settle(): Promise<void>
  /** The server goes, and comes back under the same address. */
  stopServer(): Promise<void>
  startServer(): Promise<void>
  close(): Promise<void>
}

export async function dashboardRig(settings: Partial<EngineSettings> = {}): Promise<DashboardRig> {
  const operators = { ...defaultOperatorSettings, requireTotp: false }
  const test = await testEngine({ clock: systemClock, settings: { operators, ...settings } })
  const { engine } = test
  const jobs = createJobs(engine, [revocationJob])
  let server = await open(0)
  const { port } = server.server.address() as AddressInfo
  const browser = await openBrowser()
  let accounts = 0

  async function open(at: number) {
    const made = await createAdminServer({
      version: '1.2.3',
      healthChecks: [{ name: 'store', run: async () => {} }],
      snapshots: async () => [],
      rest: { engine, url: null },
    })
    await made.listen({ host: '127.0.0.1', port: at })
    return made
  }
  const url = `http://127.0.0.1:${port}`
  return {
    test,
    url,
    browser,
    async pageOf(role) {
      const name = `${role}-${++accounts}`
      const link = await addOperator(engine, { name, grants: [grant(role)], actor: testActor })
      await finishSetup(engine, { token: link?.token ?? '', password })
      const page = await watched(await browser.newContext(), url)
      await page.goto(url)
      await logIn(page, name)
      return page
    },
    async settle() {
      const never = new AbortController().signal
      const now = engine.clock.now()
      await runTasks(engine, [proposalHandler(proposalKinds)], now, never)
      await jobs.pass(revocationJob.name)
      await seal(engine, now)
    },
    stopServer: async () => {
      server.server.closeAllConnections()
      await server.close()
    },
    startServer: async () => {
      server = await open(port)
    },
    async close() {
      await browser.close()
      server.server.closeAllConnections()
      await server.close()
      await test.close()
    },
  }
}

/** What a page must never do: run what a name holds, or break its own policy. */
export const violations: string[] = []

export async function watched(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  page.on('pageerror', (error) => violations.push(`${page.url()}: ${String(error)}`))
  page.on('dialog', (dialog) => violations.push(`${page.url()}: a dialog ${dialog.message()}`))
  page.on('console', (message) => {
    if (/Content Security Policy|Trusted/i.test(message.text())) violations.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('blob:'))
      violations.push(`asked for ${request.url()}`)
  })
  return page
}

export async function logIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}

/** Sixty devices; some are certified, some are hostile. */
export async function seedFleet({ engine }: TestEngine): Promise<void> {
  for (let at = 1; at <= 8; at++) {
    const id = `meter-${String(at).padStart(3, '0')}`
    await enrolDevice(engine, id, { site: at % 2 ? 'graz' : 'linz', cohort: 'pilot', batch: 'run-1' })
  }
  for (let at = 1; at <= 50; at++) await registerDevice(engine, `spare-${String(at).padStart(3, '0')}`)
  await enrolDevice(engine, 'hostile-1', {
    hardware: hostile.script,
    firmware: hostile.formula,
    tags: { note: hostile.script, other: hostile.formula, long: hostile.long },
  })
  await registerDevice(engine, 'hostile-2', { hardware: hostile.script, firmware: hostile.long })
}

export async function firstLink({ engine }: TestEngine): Promise<string> {
  const link = await firstStartLink(engine)
  if (link?.token === undefined || link.token === null) throw new Error('there is no first link')
  return link.token
}
