/** `perennial audit`: what was decided, by whom and when; and the proof that nobody rewrote it. */
import { Argument, Option, type Command } from 'commander'
import { factActions } from '../engine/audit/audit.ts'
import { exportLog, prove, restart, sealNow } from './audit-publish.ts'
import { tail } from './audit-tail.ts'
import { verify } from './audit-verify.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { deviceIdArgument, issuerIdArgument, serialArgument, wholeNumber } from './options.ts'

export function registerAudit(program: Command, cli: CliContext): void {
  const audit = program.command('audit')
  registerTail(audit, cli)
  registerVerify(audit, cli)
  registerPublish(audit, cli)
}

function registerTail(audit: Command, cli: CliContext): void {
  addExamples(
    audit
      .command('tail')
      .description('show the latest facts, newest last')
      .addOption(new Option('-n, --lines <n>', 'how many').argParser(wholeNumber(1, 1_000_000)).default(20))
      .addOption(new Option('--device <id>', 'about this device').argParser(deviceIdArgument))
      .option('--subject <subject>', 'about this subject, such as issuer:root or certificate:issuing/1a2b')
      .addOption(new Option('--action <action>', 'of this kind').choices(factActions))
      .option('-f, --follow', 'go on as facts are recorded, one line (with --json one object) each')
      .action(async (options: Parameters<typeof tail>[1]) => await tail(cli, options)),
    [
      { say: 'What happened last', run: 'perennial audit tail' },
      { say: 'Who did what to a device', run: 'perennial audit tail --device SN-0001 -n 100' },
      {
        say: 'Issuances as they happen',
        run: 'perennial audit tail --action certificate.issued -f',
        notRun: 'never ends',
      },
    ],
  )
}

function registerVerify(audit: Command, cli: CliContext): void {
  addExamples(
    audit
      .command('verify')
      .description(
        'check the whole log: every entry, tile, checkpoint and signature, and the inventory against it',
      )
      .addHelpText(
        'after',
        [
          '',
          'With --export or --proof nothing but the files and the key is read: no database, no installation. The key is the',
          'line that `init`, `audit verify` and `audit export` print. Key and latest checkpoint lie in the data directory; give',
          'copies that were kept elsewhere with --key and --checkpoint when that directory itself is in doubt.',
          'What is wrong is listed with the first entry concerned, and the exit code is 8.',
        ].join('\n'),
      )
      .option('--export <dir>', 'check an exported log instead of the database')
      .addOption(new Option('--proof <file>', 'check a proof of one entry').conflicts('export'))
      .option('--key <key>', 'verifier key (name+hash+key), or a file that holds it')
      .option('--checkpoint <file>', 'a checkpoint kept from before, which the log must continue')
      .action(async (options: Parameters<typeof verify>[1]) => await verify(cli, options)),
    [
      { say: 'The log and the inventory of this installation', run: 'perennial audit verify' },
      {
        say: 'An export, anywhere',
        run: 'perennial audit verify --export ./audit-export --key audit.key',
        notRun: 'needs the export and the key',
      },
      {
        say: 'A proof that someone sent',
        run: 'perennial audit verify --proof certificate.tlog-proof --key audit.key',
        notRun: 'needs the proof and the key',
      },
    ],
  )
}

function registerPublish(audit: Command, cli: CliContext): void {
  addExamples(
    audit
      .command('seal')
      .description('seal waiting facts and sign a checkpoint now; `serve` does it all the time')
      .action(async () => await sealNow(cli)),
    [{ say: 'Before an export, when nothing is running', run: 'perennial audit seal' }],
  )
  addExamples(
    audit
      .command('restart')
      .description(
        'after a backup was restored: go on with what is there under a new name, the loss on record',
      )
      .requiredOption('--reason <text>', 'what happened')
      .option('--dry-run', 'say what would happen; change nothing')
      .action(async (options) => await restart(cli, options)),
    [
      {
        say: 'After step 5 of the runbook "restore a backup"',
        run: 'perennial audit restart --reason "disk of node 3 died, backup of 02:00 restored"',
        notRun: 'refused while the log is whole',
      },
    ],
  )
  addExamples(
    audit
      .command('export')
      .description('write the sealed log as C2SP tiles and entries, to be checked anywhere')
      .argument('<dir>', 'empty or new directory')
      .action(async (directory: string) => await exportLog(cli, directory)),
    [{ say: 'For the auditor', run: 'perennial audit export ./audit-export' }],
  )
  addExamples(
    audit
      .command('prove')
      .description('print a proof that the issuance of a certificate is in the log (C2SP tlog-proof)')
      .addArgument(new Argument('<serial>', 'serial number, hex').argParser(serialArgument))
      .addOption(
        new Option('--issuer <id>', 'when two issuers used the same serial number').argParser(
          issuerIdArgument,
        ),
      )
      .option('--out <file>', 'write to this file instead of standard output')
      .action(async (serial, options) => await prove(cli, serial, options)),
    [{ say: 'For whoever asks', run: 'perennial audit prove $SERIAL --out certificate.tlog-proof' }],
  )
}
