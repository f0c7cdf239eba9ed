/** `perennial alert test | notifications | replay`: messages about alerts. */
import type { Command } from 'commander'
import { iso } from '../base/clock.ts'
import { notificationPage, type NotificationRecord } from '../engine/alerts/alert-actions.ts'
import { deliverNow, replayNotification, sendTest } from '../engine/alerts/notify.ts'
import { commandLineActor } from './account.ts'
import { notificationColumns } from './alert-view.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addListOptions, everyPage, given, rowLimit, wholeNumber, type ListOptions } from './options.ts'

export function registerNotifications(alert: Command, cli: CliContext): void {
  addExamples(
    alert
      .command('test')
      .description('send a test message to a notifier, now, and say what became of it')
      .argument('<notifier>', 'its name in perennial.yaml')
      .action(async (notifier: string) => await test(cli, notifier)),
    [{ say: 'Does mail arrive?', run: 'perennial alert test ops-mail', notRun: 'it needs a mail server' }],
  )
  addExamples(
    addListOptions(
      alert
        .command('notifications')
        .description('list the messages that were sent, newest first')
        .option('--notifier <name>', 'to this one'),
    ).action(
      async (options: ListOptions & { readonly notifier?: string }) => await notifications(cli, options),
    ),
    [
      { say: 'Who was told what', run: 'perennial alert notifications' },
      { say: 'The history of a webhook', run: 'perennial alert notifications --notifier tickets --json' },
    ],
  )
  addExamples(
    alert
      .command('replay')
      .description('send a message of the history again, the same bytes under the same id')
      .argument('<number>', 'of the message', wholeNumber(1, Number.MAX_SAFE_INTEGER))
      .action(async (id: number) => await replay(cli, id)),
    [
      {
        say: 'The receiver had lost it',
        run: 'perennial alert replay 1',
        notRun: 'there may be none',
      },
    ],
  )
}

async function test(cli: CliContext, notifier: string): Promise<void> {
  const { engine } = await cli.app()
  const id = await sendTest(engine, notifier, cli.clock.now())
  const after = await deliverNow(engine, id, new AbortController().signal)
  cli.output.answer({
    json: notificationJson(after),
    text: () => `Taken by ${notifier}: message ${id}${after.detail === null ? '' : ` (${after.detail})`}.`,
  })
}

async function notifications(
  cli: CliContext,
  options: ListOptions & { readonly notifier?: string },
): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  await cli.output.list({
    columns: notificationColumns(cli.clock.now()),
    rows: everyPage(
      (page) => notificationPage(engine, { ...page, ...given({ notifier: options.notifier }) }),
      limit,
    ),
    json: notificationJson,
    empty: 'Nobody was told of anything.',
    limit,
  })
}

async function replay(cli: CliContext, id: number): Promise<void> {
  const { engine } = await cli.app()
  const before = await replayNotification(engine, { id, actor: commandLineActor(), now: cli.clock.now() })
  cli.output.answer({
    json: notificationJson(before),
    text: () => `Message ${id} goes to ${before.notifier} again.`,
  })
}

function notificationJson({
  id,
  notifier,
  event,
  alertId,
  status,
  attempts,
  detail,
  createdAt,
  updatedAt,
}: NotificationRecord) {
  const times = { createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
  return { id, notifier, event, alert: alertId, status, attempts, detail, ...times }
}
