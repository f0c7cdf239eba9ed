/** The system's Chromium, for tests of the dashboard. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type axe from 'axe-core'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { programPath } from './require.ts'

export type { Browser, BrowserContext, Page }

export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: programPath('chromium'),
    // a container has no user namespaces and a small /dev/shm
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  })
}

export interface Barrier {
  readonly id: string
  readonly impact: string
  readonly where: readonly string[]
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds that is serious or worse under WCAG 2.2 AA. The script comes in by the DevTools, past the page's policy. */
export async function barriersOf(page: Page): Promise<Barrier[]> {
  await page.evaluate(axeSource)
  const results = await page.evaluate(async () => {
    const runner = (globalThis as unknown as { axe: typeof axe }).axe
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
    return await runner.run({ runOnly: { type: 'tag', values: tags } })
  })
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, impact, nodes }) => ({
      id,
      impact: String(impact),
      where: nodes.map(({ html }) => html.slice(0, 200)),
    }))
}
