/** Shell completion: the shell asks `perennial completion words …` for what may come next. */
import { Argument, type Command } from 'commander'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { buildProgram } from './program.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

export function registerCompletion(program: Command, cli: CliContext): void {
  const completion = program.command('completion')
  addExamples(completion, [
    {
      say: 'For this shell',
      run: 'source <(perennial completion bash)',
      notRun: 'needs a shell to source into',
    },
    { say: 'For every bash to come', run: 'perennial completion bash > perennial.bash' },
    { say: 'fish', run: 'perennial completion fish > perennial.fish' },
  ])
  completion
    .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(shells))
    .action(async (shell: Shell) => {
      const whole = await buildProgram(null, cli)
      cli.output.raw(scripts[shell](commandsOf(whole)))
    })
}

/** One command of the tree: `device add` with its words. */
interface CompletedCommand {
  readonly path: string
  readonly subcommands: readonly { readonly name: string; readonly summary: string }[]
  readonly options: readonly {
    readonly flag: string
    readonly summary: string
    readonly takesValue: boolean
  }[]
}

function commandsOf(program: Command): CompletedCommand[] {
  const globals = program.options
  const visit = (command: Command, path: readonly string[]): CompletedCommand[] => [
    {
      path: path.join(' '),
      subcommands: command.commands.map((each) => ({
        name: each.name(),
        summary: each.summary() || firstLine(each.description()),
      })),
      options: [...command.options, ...(command === program ? [] : globals)].flatMap((option) =>
        option.hidden || !option.long
          ? []
          : [{ flag: option.long, summary: firstLine(option.description), takesValue: option.required }],
      ),
    },
    ...command.commands.flatMap((each) => visit(each, [...path, each.name()])),
  ]
  return visit(program, [])
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

const scripts: Readonly<Record<Shell, (commands: readonly CompletedCommand[]) => string>> = {
  bash: (commands) => `# perennial completion for bash
_perennial() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path="" word i words
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case "$word" in
${indented(valueFlags(commands), 6)}) ((i++)); continue ;;
      -*) continue ;;
    esac
    case "\${path:+$path }$word" in
${indented(knownPaths(commands), 6)}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${commands.map((each) => `    "${each.path}") words="${wordsOf(each)}" ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [[ $cur != -* && \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -o bashdefault -F _perennial perennial
`,
  zsh: (commands) => `#compdef perennial
# perennial completion for zsh
_perennial() {
  local cmdpath="" word i
  local -a offered
  for ((i = 2; i < CURRENT; i++)); do
    word=$words[i]
    case "$word" in
${indented(valueFlags(commands), 6)}) ((i++)); continue ;;
      -*) continue ;;
    esac
    case "\${cmdpath:+$cmdpath }$word" in
${indented(knownPaths(commands), 6)}) cmdpath="\${cmdpath:+$cmdpath }$word" ;;
    esac
  done
  case "$cmdpath" in
${commands.map((each) => `    "${each.path}") offered=(${zshWords(each)}) ;;`).join('\n')}
  esac
  _describe 'perennial' offered || _files
}
if [ "$funcstack[1]" = "_perennial" ]; then _perennial "$@"; else compdef _perennial perennial; fi
`,
  fish: (commands) =>
    [
      '# perennial completion for fish',
      'complete -c perennial -e',
      ...commands.flatMap((command) => [
        ...command.subcommands.map(
          ({ name, summary }) =>
            `complete -c perennial -f -n '${fishCondition(command)}' -a ${name} -d ${quoted(summary)}`,
        ),
        ...command.options.map(
          ({ flag, summary, takesValue }) =>
            `complete -c perennial -n '${fishCondition(command)}' -l ${flag.slice(2)}${takesValue ? ' -r' : ''} -d ${quoted(summary)}`,
        ),
      ]),
      '',
    ].join('\n'),
}

function knownPaths(commands: readonly CompletedCommand[]): string {
  return commands.flatMap(({ path }) => (path === '' ? [] : [`"${path}"`])).join('|')
}

/** Options whose next word is their value and no command. */
function valueFlags(commands: readonly CompletedCommand[]): string {
  const flags = commands.flatMap(({ options }) =>
    options.flatMap(({ flag, takesValue }) => (takesValue ? [flag] : [])),
  )
  return [...new Set(flags)].join('|')
}

function wordsOf({ subcommands, options }: CompletedCommand): string {
  return [...subcommands.map(({ name }) => name), ...options.map(({ flag }) => flag), '--help'].join(' ')
}

function zshWords({ subcommands, options }: CompletedCommand): string {
  const described = [
    ...subcommands.map(({ name, summary }) => [name, summary] as const),
    ...options.map(({ flag, summary }) => [flag, summary] as const),
  ]
  return described.map(([word, summary]) => quoted(`${word}:${summary}`)).join(' ')
}

/** True at the place where the words of this command may come. */
function fishCondition({ path, subcommands }: CompletedCommand): string {
  if (path === '') return '__fish_use_subcommand'
  const seen = path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`)
  const names = subcommands.map(({ name }) => name).join(' ')
  return [...seen, ...(names ? [`not __fish_seen_subcommand_from ${names}`] : [])].join('; and ')
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "'\\''")}'`
}

function indented(text: string, columns: number): string {
  return ' '.repeat(columns) + text
}
