/** `perennial policy`. */
import type { Command } from 'commander'
import { checkPolicyRules, type PolicyFinding } from '../engine/issuing/policy-rules.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { printable } from '../base/text.ts'
import { plural } from './import.ts'
import { wrapText } from './text-width.ts'

export function registerPolicy(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('policy')
      .command('check')
      .description(
        'check profiles and issuers: a leaf never outlives its issuer, windows are longer than check-in intervals, …',
      )
      .action(async () => await check(cli)),
    [{ say: 'What the platform checks at every start', run: 'perennial policy check' }],
  )
}

async function check(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  const { profiles, connectivity } = engine.settings
  const issuers = await engine.issuers.list()
  const findings = checkPolicyRules({
    profiles,
    connectivity,
    issuers,
    ...(engine.settings.crl ? { crl: engine.settings.crl } : {}),
    now: engine.clock.now(),
  })
  const errors = findings.filter(({ severity }) => severity === 'error').length
  cli.output.answer({
    json: { ok: errors === 0, findings: findings.map((finding) => ({ ...finding })) },
    text: () => report(cli, findings, profiles.size).join('\n'),
  })
  if (errors > 0) throw new FoundProblems()
}

function report(cli: CliContext, findings: readonly PolicyFinding[], profiles: number): string[] {
  const { style } = cli.output
  const room = cli.output.isTerminal ? Math.max(30, cli.output.width - 9) : Infinity
  const lines = findings.flatMap(({ severity, profile, issuer, message, rule }) => {
    const mark = severity === 'error' ? style.red('error  ') : style.yellow('warning')
    const about = profile === null ? `issuer ${issuer}` : `profile ${profile}`
    const [first = '', ...rest] = wrapText(printable(`${about}: ${message} [${rule}]`), room)
    return [`${mark}  ${first}`, ...rest.map((line) => `         ${line}`)]
  })
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const warnings = findings.length - errors
  const verdict =
    findings.length === 0
      ? style.green(`${plural(profiles, 'profile')} checked: nothing to say against them.`)
      : `${plural(errors, 'error')}, ${plural(warnings, 'warning')} in ${plural(profiles, 'profile')}.`
  return [...lines, verdict]
}
