/** `campaign watch`: the status again and again, in place on a terminal, as lines of JSON for programs. */
import { secondMs } from '../base/clock.ts'
import { viewCampaign, type CampaignView } from '../engine/campaigns/campaign-status.ts'
import { viewJson, viewLines } from './campaign-view.ts'
import type { CliContext } from './context.ts'
import { jsonText } from './output.ts'
import { instant } from './time.ts'

export interface WatchOptions {
  /** Ms between two looks. */
  readonly interval?: number
  /** Looks at most. */
  readonly count?: number
}

/** Ends by itself when the campaign is over. */
export async function watch(cli: CliContext, id: string, options: WatchOptions): Promise<void> {
  const { interval = 2 * secondMs, count = Infinity } = options
  const { engine } = await cli.app()
  const { isJson, isTerminal } = cli.output
  let painted = 0
  let said = ''
  for (let look = 1; ; look++) {
    const now = cli.clock.now()
    const view = await viewCampaign(engine, id, now)
    if (isJson) cli.output.raw(`${jsonText(viewJson(view))}\n`)
    else if (isTerminal) {
      const lines = viewLines(cli, view, now)
      // up to where the last picture began, each line cleared to its end as it is painted over, and what hangs over cleared
      const up = painted === 0 ? '' : `\u001b[${painted}A\r`
      cli.output.raw(`${up}${lines.map((line) => `${line}\u001b[K`).join('\n')}\n\u001b[J`)
      painted = lines.length
    } else {
      const line = summary(view)
      // a log that grows while nothing happens is read by nobody
      if (line !== said) cli.output.raw(`${instant(now)}  ${line}\n`)
      said = line
    }
    if (look >= count || isOver(view)) return
    await cli.clock.sleep(interval)
  }
}

function isOver({ campaign }: CampaignView): boolean {
  return campaign.status === 'completed' || (campaign.status === 'aborted' && campaign.endedAt !== null)
}

function summary({ campaign, counts, waitsFor }: CampaignView): string {
  const sums = Object.entries(counts).flatMap(([state, count]) => (count === 0 ? [] : [`${state} ${count}`]))
  const waits = waitsFor === null ? '' : `, waits for ${waitsFor}`
  return `${campaign.id} ${campaign.status}: ${sums.join(', ')}${waits}`
}
