/** `device why`: the answer of engine/renewals/why.ts, for a person. */
import { iso } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import { deviceWhy, type Why } from '../engine/renewals/why.ts'
import type { CliContext } from './context.ts'
import type { Style } from './style.ts'
import { ago, instant } from './time.ts'

export async function showWhy(cli: CliContext, id: DeviceId): Promise<void> {
  const { engine } = await cli.app()
  const why = await deviceWhy(engine, id)
  const { next, happened, ...rest } = why
  cli.output.answer({
    json: {
      ...rest,
      happened: happened.map(({ at, text }) => ({ at: iso(at), text })),
      next: { at: next.at === null ? null : iso(next.at), text: next.text },
    },
    text: () => lines(why, cli.output.style, cli.clock.now()).join('\n'),
  })
}

function lines(
  { deviceId, survives, answer, blocks, happened, next }: Why,
  style: Style,
  now: number,
): string[] {
  const paint = { yes: style.green, 'at-risk': style.yellow, no: style.red }[survives]
  return [
    style.bold(deviceId),
    `  ${paint(printable(answer))}`,
    '',
    style.bold('What blocks it'),
    ...(blocks.length === 0 ? ['  nothing'] : blocks.map((block) => `  ${printable(block)}`)),
    '',
    style.bold('What happened'),
    ...(happened.length === 0
      ? ['  nothing is on record']
      : happened.map(({ at, text }) => `  ${style.dim(instant(at))}  ${printable(text)}`)),
    '',
    style.bold('What happens next'),
    ...(next.at === null
      ? [`  ${printable(next.text)}`]
      : [`  ${style.dim(instant(next.at))} (${ago(next.at, now)})`, `  ${printable(next.text)}`]),
  ]
}
