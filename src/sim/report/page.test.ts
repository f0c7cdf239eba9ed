import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { RunResult, Series, SimResult } from '../result.ts'
import { html, jsonScript } from './markup.ts'
import { formatShare, formatTick, niceTicks } from './numbers.ts'
import { reportPage } from './page.ts'

const hostile = `</script><img src=x onerror=alert(1)>"'&`

suite('markup of the report', () => {
  test('escapes what is not markup, in text and in attributes', () => {
    assert.equal(html`<b title="${'"<'}">${'<i>&'}</b>`.source, '<b title="&quot;&lt;">&lt;i&gt;&amp;</b>')
  })
  test('takes markup as it is, lists in their order, and null as nothing', () => {
    assert.equal(html`${[html`<i></i>`, 'a<', 1]}${null}`.source, '<i></i>a&lt;1')
  })
  test('data cannot end the script element that holds it', () => {
    const { source } = jsonScript({ text: hostile })
    assert.ok(!source.includes('<'))
    assert.deepEqual(JSON.parse(source), { text: hostile })
  })
})

suite('numbers of the report', () => {
  test('a thousandth is not rounded away', () => {
    assert.equal(formatShare(0.00042), '0.042 %')
    assert.equal(formatShare(0.99958), '99.958 %')
    assert.equal(formatShare(0.5), '50.0 %')
    assert.equal(formatShare(1), '100 %')
  })
  test('ticks of an axis are short', () => {
    assert.equal(formatTick(2_200_000, 'count'), '2.2 M')
    assert.equal(formatTick(40_000, 'count'), '40 k')
    assert.equal(formatTick(0.9995, 'share'), '99.95 %')
  })
  for (const [from, to, step] of [
    [0, 1000, 1],
    [0, 3, 1],
    [0, 0, 1],
    [0.9987, 1, 0],
    [0, 2_200_000, 1],
    [0, 7, 1],
  ] as const) {
    test(`ticks from ${from} to ${to} enclose the values and are few`, () => {
      const ticks = niceTicks(from, to, step)
      assert.ok((ticks[0] as number) <= from && (ticks.at(-1) as number) >= to, ticks.join())
      assert.ok(ticks.length >= 2 && ticks.length <= 8, ticks.join())
      if (step === 1) assert.ok(ticks.every(Number.isInteger), ticks.join())
    })
  }
})

suite('the report page', () => {
  test('shows outcome, target, numbers of every day, parameters with their source, and what a run cost', () => {
    const page = reportPage(resultOf({}))
    for (const text of [
      'Small fleet',
      'missed',
      '0.400 %',
      '>assumption</span>',
      'a reason',
      'History abc',
    ]) {
      assert.ok(page.includes(text), text)
    }
    assert.match(page, /<td>2027-01-06<\/td>\s*<td>250<\/td>/)
  })
  test('needs nothing from elsewhere', () => {
    const page = reportPage(resultOf({}))
    assert.doesNotMatch(page, /(?:src|href)\s*=|url\(|@import|https?:/)
  })
  test('every text of the result is text', () => {
    const page = reportPage(resultOf({ text: hostile }))
    assert.ok(!page.includes('<img'))
    assert.equal(page.split('</script>').length, page.split('<script').length)
  })
  test('says that a run was stopped, and what invariant was violated', () => {
    const result = resultOf({})
    const [run] = result.runs
    const violated = {
      ...(run as RunResult),
      invariants: { checks: 3, depth: 'every device', violations: ['serial number twice'] },
    }
    const page = reportPage({ ...result, partial: 'stopped by the operator', runs: [violated] })
    assert.ok(page.includes('stopped by the operator'))
    assert.ok(page.includes('serial number twice'))
    assert.ok(!page.includes('none was violated'))
  })
  test('compares few runs as curves, and marks those that miss the target', () => {
    const result = resultOf({})
    const [run] = result.runs as [RunResult]
    const better = { ...run, name: 'sms 95 %', outcome: { ...run.outcome, visits: 0, visitsWithRepair: 0 } }
    const page = reportPage({ ...result, runs: [run, better] })
    assert.ok(page.includes('id="compare-burndown"'))
    assert.match(page, /<tr class="missed"><th scope="row">small</)
    assert.match(page, /<tr><th scope="row">sms 95 %/)
    assert.ok(!reportPage({ ...result, runs: Array(9).fill(run) }).includes('id="compare-burndown"'))
  })
  test('a result without a run is a page too', () => {
    assert.ok(reportPage({ ...resultOf({}), runs: [], verdict: null }).includes('No run has finished'))
  })
})

function resultOf({ text = '' }: { readonly text?: string }): SimResult {
  return {
    version: 1,
    scenario: { name: `small${text}`, title: `Small fleet${text}`, story: `A story.${text}` },
    seed: `1${text}`,
    partial: null,
    parameters: [
      {
        name: `sms.success${text}`,
        value: `90 %${text}`,
        source: 'assumption',
        what: `SMS${text}`,
        why: `a reason${text}`,
      },
    ],
    runs: [runOf(text)],
    verdict: {
      kind: 'visits',
      what: `visits${text}`,
      measured: 0.4,
      limit: 0.1,
      unit: `% of the devices${text}`,
      isMet: false,
    },
  }
}

function runOf(text: string): RunResult {
  const line = [1000, 500, 250]
  const names =
    'open alive planned triggered issued confirmed retired escalated abandoned fieldList dark requests certificates messages sms visits ends peakRequests'
  const series = Object.fromEntries(names.split(' ').map((name) => [name, line])) as unknown as Series
  return {
    name: 'small',
    changes: {},
    startedAt: Date.UTC(2027, 0, 4),
    devices: 1000,
    days: 2,
    series,
    funnel: [{ step: `asked${text}`, count: 900 }],
    outcome: {
      renewed: 1000,
      renewedByMessage: 930,
      renewedBySms: 66,
      renewedUnasked: 0,
      renewedByVisit: 4,
      listed: 10,
      visits: 4,
      visitsWithRepair: 1,
      lapsed: 0,
      broken: 0,
      certificates: 1000,
      messages: 1300,
      sms: 138,
      requests: 4030,
      refused: 0,
      campaign: `completed${text}`,
      campaignReason: `all renewed${text}`,
      day99: null,
    },
    events: [{ at: 0, day: 1.2, what: `the campaign paused${text}` }],
    invariants: { checks: 2, depth: `every device${text}`, violations: [] },
    historyHash: `abc${text}`,
    cost: {
      wallMs: 1000,
      cpuMs: 900,
      wallMicrosPerDevice: 1000,
      cpuMicrosPerDevice: 900,
      peakMemoryMb: 100,
      databaseMb: 1,
      phases: [{ name: `issuing${text}`, ms: 400 }],
    },
  }
}
