/** The report of a simulation as one HTML file that needs nothing else: for a mail, a ticket, an archive. */
import { measuredPercent, type RunResult, type SimResult, type Verdict } from '../result.ts'
import { html, Markup } from './markup.ts'
import { formatCount, formatShare } from './numbers.ts'
import { comparisonCharts, runCharts } from './run-charts.ts'
import { reportScript } from './script.ts'
import { reportStyle } from './style.ts'

/** More curves than this in one picture cannot be told apart; then there is a table alone. */
const mostCurves = 4

/** @returns the whole file; every text of the result is escaped */
export function reportPage(result: SimResult): string {
  const [main, ...variants] = result.runs
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="Perennial" />
        <title>${result.scenario.title}</title>
        <style>
          ${new Markup(reportStyle)}
        </style>
      </head>
      <body>
        <main>
          <h1>${result.scenario.title}</h1>
          <p class="soft">
            Scenario ${result.scenario.name}, seed ${result.seed}. A rehearsal: the shipped engine, store and
            agents on a virtual clock, with a virtual fleet.
          </p>
          <p>${result.scenario.story}</p>
          ${result.partial === null ? null : html`<p class="notice" role="note">This report is of a run that did not reach its end: ${result.partial}. What it shows holds up to where it stopped.</p>`}
          ${result.verdict && verdictBox(result.verdict)}
          ${main ? mainRun(main) : html`<p class="notice">No run has finished.</p>`}
          ${variants.length > 0 ? variantsOf(result) : null} ${parametersOf(result)}
          ${main ? costOf(main) : null}
        </main>
        <script>
          ${new Markup(reportScript)}
        </script>
      </body>
    </html> `
  return page.source
}

function verdictBox({ what, measured, limit, unit, isMet }: Verdict): Markup {
  const reach = Math.max(measured, limit) * 1.25 || 1
  const at = (value: number) => ((100 * value) / reach).toFixed(2)
  return html`<section class="verdict${isMet ? '' : ' missed'}" aria-label="Outcome against the target">
    <strong>${measured.toPrecision(3)} ${unit}</strong
    ><span>${what}. The target is at most ${limit} ${unit}: <b>${isMet ? 'met' : 'missed'}</b>.</span>
    <div class="scale" role="img" aria-label="measured ${measured.toPrecision(3)}, limit ${limit}">
      <b style="width:${at(measured)}%"></b><i style="left:${at(limit)}%"></i>
    </div>
  </section>`
}

function mainRun(run: RunResult): Markup {
  const { outcome, devices, days } = run
  const share = (count: number) => html`${formatCount(count)} <small>${formatShare(count / devices)}</small>`
  const facts: (readonly [string, Markup | string])[] = [
    ['devices', formatCount(devices)],
    ['virtual days', formatCount(days)],
    ['renewed', share(outcome.renewed)],
    ['… after a message', share(outcome.renewedByMessage)],
    ['… after an SMS', share(outcome.renewedBySms)],
    ['… unasked', share(outcome.renewedUnasked)],
    ['… by a visit', share(outcome.renewedByVisit)],
    ['ever on the field list', share(outcome.listed)],
    ['visits because of a certificate', share(outcome.visits - outcome.visitsWithRepair)],
    ['… together with a repair', share(outcome.visitsWithRepair)],
    ['lapsed before renewal', share(outcome.lapsed)],
    ['99 % renewed', outcome.day99 === null ? 'never' : `day ${outcome.day99}`],
    ['certificates signed', formatCount(outcome.certificates)],
    ['triggers sent', formatCount(outcome.messages)],
    ['SMS sent', formatCount(outcome.sms)],
    ['requests, refused', `${formatCount(outcome.requests)}, ${formatCount(outcome.refused)}`],
  ]
  if (outcome.broken > 0) facts.push(['out of service', share(outcome.broken)])
  return html`<dl class="facts">
      ${facts.map(
        ([term, value]) =>
          html`<div>
            <dt>${term}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
    ${outcome.campaign === null ? null : html`<p class="soft">At the end the campaign was ${outcome.campaign}${outcome.campaignReason === null ? '' : `: ${outcome.campaignReason}`}.</p>`}
    <h2>Day by day</h2>
    ${runCharts(run, 'run')} ${invariantsOf(run)}`
}

function invariantsOf({ invariants, events }: RunResult): Markup {
  const { checks, depth, violations } = invariants
  return html`<h2>Invariants</h2>
    ${
      violations.length === 0
        ? html`<p>${formatCount(checks)} checks of ${depth}, after each virtual day: none was violated.</p>`
        : html`<p class="notice">
              ${formatCount(violations.length)} of ${formatCount(checks)} checks found a violation:
            </p>
            <ul>
              ${violations.map((text) => html`<li>${text}</li>`)}
            </ul>`
    }${
      events.length === 0
        ? null
        : html`<h2>What happened</h2>
            <table class="wide">
              <thead>
                <tr>
                  <th scope="col">day</th>
                  <th scope="col" class="text">event</th>
                </tr>
              </thead>
              <tbody>
                ${events.map(
                  ({ day, what }) =>
                    html`<tr>
                      <th scope="row">${day}</th>
                      <td class="text">${what}</td>
                    </tr>`,
                )}
              </tbody>
            </table>`
    }`
}

function variantsOf({ runs, verdict }: SimResult): Markup {
  const isMissed = (run: RunResult) => verdict !== null && measuredPercent(verdict.kind, run) > verdict.limit
  return html`<h2>How the outcome moves</h2>
    <p class="soft">
      The same scenario and seed with one number changed. The first row is the scenario itself.
    </p>
    ${runs.length <= mostCurves ? comparisonCharts(runs) : null}
    <table class="wide">
      <thead>
        <tr>
          <th scope="col" class="text">run</th>
          <th scope="col">devices</th>
          <th scope="col">renewed</th>
          <th scope="col">99 % on day</th>
          <th scope="col">SMS</th>
          <th scope="col">ever listed</th>
          <th scope="col">visits</th>
          <th scope="col">with a repair</th>
          <th scope="col">lapsed</th>
          <th scope="col" class="text">campaign</th>
        </tr>
      </thead>
      <tbody>
        ${runs.map(
          (run) =>
            html`<tr${new Markup(isMissed(run) ? ' class="missed"' : '')}><th scope="row">${run.name}</th><td>${formatCount(run.devices)}</td>
<td>${formatShare(run.outcome.renewed / run.devices)}</td><td>${run.outcome.day99 === null ? 'never' : run.outcome.day99}</td><td>${formatCount(run.outcome.sms)}</td>
<td>${formatShare(run.outcome.listed / run.devices)}</td><td>${formatShare((run.outcome.visits - run.outcome.visitsWithRepair) / run.devices)}</td><td>${formatShare(run.outcome.visitsWithRepair / run.devices)}</td><td>${formatShare(run.outcome.lapsed / run.devices)}</td><td class="text">${run.outcome.campaign ?? 'none'}</td></tr>`,
        )}
      </tbody>
    </table>`
}

function parametersOf({ parameters }: SimResult): Markup {
  return html`<h2>What went in</h2>
    <p class="soft">
      Numbers of the story are given; assumptions are ours, each with its reason; defaults are the
      simulator's.
    </p>
    <table class="wide">
      <thead>
        <tr>
          <th scope="col" class="text">parameter</th>
          <th scope="col">value</th>
          <th scope="col" class="text">from</th>
          <th scope="col" class="text">what it is, and why</th>
        </tr>
      </thead>
      <tbody>
        ${parameters.map(
          ({ name, value, source, what, why }) =>
            html`<tr>
              <th scope="row">${name}</th>
              <td>${value}</td>
              <td class="text">
                <span class="tag ${source === 'command line' ? 'given' : source}">${source}</span>
              </td>
              <td class="text">${what}${why === null ? '' : `. ${why}`}</td>
            </tr>`,
        )}
      </tbody>
    </table>`
}

function costOf({ cost, historyHash }: RunResult): Markup {
  const total = cost.phases.reduce((sum, { ms }) => sum + ms, 0) || 1
  return html`<h2>What the run cost</h2>
    <p>
      ${formatCount(cost.wallMs / 1000)} s, ${formatCount(cost.cpuMs / 1000)} s of CPU in all threads,
      ${cost.cpuMicrosPerDevice.toFixed(0)} µs of CPU for each device, ${formatCount(cost.peakMemoryMb)} MB of
      memory at the most, ${formatCount(cost.databaseMb)} MB of database.
    </p>
    <div class="funnel">
      ${cost.phases.map(
        ({ name, ms }) =>
          html`<span>${name}</span
            ><span aria-hidden="true"><b style="width:${((100 * ms) / total).toFixed(2)}%"></b></span
            ><span>${formatCount(ms)} ms</span>`,
      )}
    </div>
    <footer>History ${historyHash}: the same for the same scenario and seed on any machine.</footer>`
}
