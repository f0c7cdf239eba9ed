/** The command line as people and programs use it: the real binary on one initialised data directory. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { isUnsafeText } from '../../src/base/text.ts'
import { mainFile, perennial as runPerennial, temporaryFolder, type Outcome } from '../helpers/perennial.ts'
import { run } from '../helpers/run.ts'

const folder = temporaryFolder()
const data = join(folder, 'data')

async function perennial(line: string | readonly string[], input?: string): Promise<Outcome> {
  const args = typeof line === 'string' ? line.split(' ') : line
  return await runPerennial(args, {
    cwd: folder,
    env: { PERENNIAL_DATA: data },
    ...(input === undefined ? {} : { input }),
  })
}

/** What it prints under --json. */
async function json(line: string): Promise<unknown> {
  const { exitCode, stdout, stderr } = await perennial(`${line} --json`)
  assert.equal(exitCode, 0, `${line}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Lines without a character that acts on a terminal: no colour, no control, no bidi override. */
function assertPlain(text: string): void {
  for (const line of text.split('\n')) assert.equal(isUnsafeText(line), false, JSON.stringify(line))
}

function write(name: string, content: string | Uint8Array): void {
  writeFileSync(join(folder, name), content)
}

suite('the command line', () => {
  before(async () => {
    const { exitCode, stderr } = await perennial([
      'init',
      '--organization',
      'Example Inc',
      '--name',
      'est.example.com',
    ])
    assert.equal(exitCode, 0, stderr)
  })

  suite('init', () => {
    test('makes a private directory with keys, database, configuration and passphrase', () => {
      for (const name of ['perennial.db', 'perennial.yaml', 'passphrase', 'audit-key', 'est-server.key']) {
        assert.equal(statSync(join(data, name)).mode & 0o077, 0, name)
      }
      assert.equal(statSync(data).mode & 0o777, 0o700)
      assert.match(readFileSync(join(data, 'perennial.yaml'), 'utf8'), /^organization: Example Inc$/m)
    })

    test('does nothing the second time, and says so', async () => {
      const { exitCode, stdout } = await perennial('init')
      assert.equal(exitCode, 0)
      assert.match(stdout, /initialised already; nothing to do/)
      const again = (await json('init')) as { created: boolean; made: string[]; rootFingerprint: string }
      assert.deepEqual([again.created, again.made], [false, []])
      assert.match(again.rootFingerprint, /^[0-9a-f]{64}$/)
    })

    test('refuses a configuration that is wrong before it makes any key', async () => {
      const path = join(folder, 'wrong')
      mkdirSync(path, { mode: 0o700 })
      writeFileSync(join(path, 'perennial.yaml'), 'est: { prot: 1 }\n')
      const { exitCode, stderr } = await perennial(`init --data ${path}`)
      assert.equal(exitCode, 7)
      assert.match(
        stderr,
        /perennial\.yaml:1: unknown key est\.prot; did you mean port\? \(configuration-invalid\)/,
      )
      assert.equal(existsSync(join(path, 'passphrase')), false)
    })
  })

  suite('devices', () => {
    test('are added, shown and listed, with camelCase JSON', async () => {
      const added = await perennial('device add SN-1 --profile industrial --site graz --tag line=4')
      assert.equal(added.exitCode, 0, added.stderr)
      const device = (await json('device show SN-1')) as Record<string, unknown>
      assert.deepEqual(
        {
          id: device['id'],
          profile: device['profile'],
          site: device['site'],
          tags: device['tags'],
          state: device['state'],
        },
        { id: 'SN-1', profile: 'industrial', site: 'graz', tags: { line: '4' }, state: 'registered' },
      )
      assert.equal(device['lastSeenAt'], null)
      assert.match(String(device['createdAt']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      const list = (await json('device list')) as { id: string }[]
      assert.ok(list.some(({ id }) => id === 'SN-1'))
      const piped = await perennial('device list --site graz')
      assert.equal(
        piped.stdout.split('\n')[0],
        'DEVICE\tSTATE\tPROFILE\tCOHORT\tBATCH\tSITE\tLAST RENEWAL\tLAST SEEN\tEXPIRES',
      )
    })

    test('a secret is {deviceId, secret}, and alone on standard output', async () => {
      await perennial('device add SN-2 --profile gateway')
      const made = (await json('device secret SN-2')) as Record<string, string>
      assert.deepEqual(Object.keys(made), ['deviceId', 'secret'])
      assert.equal(made['deviceId'], 'SN-2')
      const plain = await perennial('device secret SN-2')
      assert.match(plain.stdout, /^[0-9a-z]{28}\n$/)
      assert.match(plain.stderr, /until \d{4}-/)
      assert.notEqual(plain.stdout.trim(), made['secret'])
    })

    test('a list that is empty is an empty array', async () => {
      assert.deepEqual(await json('device list --cohort nobody'), [])
    })
  })

  suite('device import', () => {
    const csv = [
      'Serial,profile,cohort,tags.line',
      'IMP-1,industrial,pilot,1',
      'IMP 2,industrial,pilot,2',
      'IMP-3,industrail,pilot,3',
      'IMP-4,"industrial,pilot,4',
      'IMP-5,industrial,pilot,5',
      'IMP-6,industrial,pilot',
    ].join('\r\n')

    test('--dry-run says what would happen and changes nothing', async () => {
      write('fleet.csv', csv)
      const { exitCode, stdout } = await perennial('device import fleet.csv --dry-run')
      assert.equal(exitCode, 1)
      assert.equal(stdout, '2 devices would be added, 4 bad, named above.\n')
      assert.deepEqual(await json('device list --cohort pilot'), [])
    })

    test('names each bad line with its number and reason, and loses no good one', async () => {
      write('fleet.csv', csv)
      const { exitCode, stdout, stderr } = await perennial('device import fleet.csv')
      assert.equal(exitCode, 1)
      assert.deepEqual(
        stderr
          .trim()
          .split('\n')
          .map((line) => line.split(':').slice(0, 2).join(':')),
        ['fleet.csv:3', 'fleet.csv:4', 'fleet.csv:5', 'fleet.csv:7'],
      )
      assert.match(stderr, /fleet\.csv:5: a quoted field is not closed/)
      assert.equal(stdout, '2 devices added, 4 bad, named above.\n')
      const devices = (await json('device list --cohort pilot')) as { id: string; tags: unknown }[]
      assert.deepEqual(
        devices.map(({ id, tags }) => [id, tags]),
        [
          ['IMP-1', { line: '1' }],
          ['IMP-5', { line: '5' }],
        ],
      )
      const again = JSON.parse((await perennial('device import fleet.csv --json')).stdout)
      assert.deepEqual([again.added, again.known, again.bad, again.problems.length], [0, 2, 4, 4])
      assert.deepEqual(again.problems[2], {
        file: 'fleet.csv',
        line: 5,
        reason: 'a quoted field is not closed',
      })
    })

    test('reads JSON Lines from standard input, with defaults for what they leave out', async () => {
      const lines = [
        '{"id":"JL-1","tags":{"a":"b"}}',
        '{"id":"JL-2","profil":"x"}',
        '',
        '{"id":7}',
        '[]',
        '{"id":"JL-3","profile":"meter"}',
      ]
      const { exitCode, stdout, stderr } = await perennial(
        'device import - --profile gateway --cohort jl',
        lines.join('\n'),
      )
      assert.equal(exitCode, 1)
      assert.equal(stdout, '2 devices added, 3 bad, named above.\n')
      assert.match(stderr, /standard input:2: unknown key profil; did you mean profile\?/)
      assert.match(stderr, /standard input:4: id must be a text, not 7/)
      const devices = (await json('device list --cohort jl')) as { id: string; profile: string }[]
      assert.deepEqual(
        devices.map(({ id, profile }) => [id, profile]),
        [
          ['JL-1', 'gateway'],
          ['JL-3', 'meter'],
        ],
      )
    })

    test('refuses a file with an unknown column before it changes anything', async () => {
      write('odd.csv', 'id,profle\nODD-1,meter\n')
      const { exitCode, stderr } = await perennial('device import odd.csv')
      assert.equal(exitCode, 3)
      assert.match(stderr, /odd\.csv: unknown column profle; did you mean profile\?/)
    })
  })

  suite('errors', () => {
    test('mistyped words get a suggestion and exit code 2', async () => {
      const cases: readonly [string, RegExp][] = [
        ['devcie list', /unknown command 'devcie'; did you mean device\?/],
        ['device lst', /unknown command 'lst'; did you mean list\?/],
        ['device list --profil x', /unknown option '--profil'; did you mean --profile\?/],
        ['device show', /missing required argument 'id'/],
        ['cert expiry --by year', /Allowed choices are day, week, month/],
        ['device show ../../etc', /A device id has 1 to 64/],
      ]
      for (const [line, message] of cases) {
        const { exitCode, stdout, stderr } = await perennial(line)
        assert.equal(exitCode, 2, line)
        assert.equal(stdout, '', line)
        assert.match(stderr, message)
        assert.match(stderr, /^See: perennial .*--help$/m)
      }
    })

    test('are one JSON object on standard error under --json', async () => {
      const { exitCode, stdout, stderr } = await perennial('device show NOBODY --json')
      assert.equal(exitCode, 5)
      assert.equal(stdout, '')
      assert.deepEqual(JSON.parse(stderr), {
        error: { code: 'not-found', message: 'device NOBODY is not in the inventory', exit: 5 },
      })
    })

    test('different trouble ends with different codes', async () => {
      const open = join(folder, 'open')
      mkdirSync(open)
      chmodSync(open, 0o755)
      const exits = await Promise.all(
        [
          'device list --nope',
          'device add SN-1 --profile industrial',
          'cert show 00ff',
          `device list --data ${open}`,
        ].map(async (line) => (await perennial(line)).exitCode),
      )
      assert.deepEqual(exits, [2, 3, 5, 7])
      const { stderr } = await perennial(`doctor --data ${open}`)
      assert.equal(stderr, '')
      const refused = await perennial(`device list --data ${open}`)
      assert.match(refused.stderr, new RegExp(`run: chmod 700 ${open}`))
    })

    test('a wrong passphrase is named, and reading needs none', async () => {
      const env = { PERENNIAL_DATA: data, PERENNIAL_PASSPHRASE: 'not the passphrase' }
      const signing = await runPerennial(['ca', 'create', 'root', 'other'], { cwd: folder, env })
      assert.equal(signing.exitCode, 7)
      assert.match(signing.stderr, /\(passphrase-wrong\)/)
      assert.equal((await runPerennial(['device', 'list'], { cwd: folder, env })).exitCode, 0)
      const both = { ...env, PERENNIAL_PASSPHRASE_FILE: '/dev/null' }
      const contradiction = await runPerennial(['ca', 'create', 'root', 'other'], { cwd: folder, env: both })
      assert.match(contradiction.stderr, /both set; set one of the two/)
    })

    test('text from outside never reaches the terminal as it is', async () => {
      const hostile = '\u001b[2J\u202e.pem'
      const { stderr } = await perennial(['cert', 'inspect', hostile])
      assertPlain(stderr)
      assert.match(stderr, /\\u\{1b\}\[2J\\u\{202e\}\.pem/)
      const unknown = await perennial([`dev\u001b[2Jice`])
      assertPlain(unknown.stderr)
      const tagged = await perennial(['device', 'add', 'H-1', '--profile', 'meter', '--tag', 'x=\u001b[2J'])
      assert.equal(tagged.exitCode, 3)
      const asJson = await perennial(['device', 'show', 'x', '--data', hostile, '--json'])
      assertPlain(asJson.stderr)
      assert.equal(JSON.parse(asJson.stderr).error.code, 'data-directory-invalid')
    })
  })

  suite('configuration', () => {
    test('check names every problem with its place and ends with 1; print shows values and where they come from', async () => {
      assert.equal((await perennial('config check')).exitCode, 0)
      const env = {
        PERENNIAL_DATA: data,
        PERENNIAL_EST__PROT: '1',
        PERENNIAL_STATUS__PORT: '9080',
        DATABASE_URL: 'postgres://u:hunter2@h/d',
      }
      const check = await runPerennial(['config', 'check', '--json'], { cwd: folder, env })
      assert.equal(check.exitCode, 1)
      assert.deepEqual(JSON.parse(check.stdout).problems, [
        { where: 'PERENNIAL_EST__PROT', message: 'unknown variable; did you mean PERENNIAL_EST__PORT?' },
      ])
      const printed = await runPerennial(['config', 'print', '--json'], { cwd: folder, env })
      const { values, origins } = JSON.parse(printed.stdout)
      assert.equal(values.status.port, 9080)
      assert.equal(origins['status.port'], 'PERENNIAL_STATUS__PORT')
      assert.match(origins.organization, /^perennial\.yaml:\d+$/)
      assert.doesNotMatch(printed.stdout, /hunter2/)
    })

    test('print --defaults is a file that check accepts', async () => {
      const path = join(folder, 'fresh')
      mkdirSync(path, { mode: 0o700 })
      writeFileSync(join(path, 'perennial.yaml'), (await perennial('config print --defaults')).stdout)
      assert.equal((await perennial(`config check --data ${path}`)).exitCode, 0)
    })
  })

  test('bash completion offers commands, options, and files where nothing else fits', async () => {
    const completions = async (...words: string[]): Promise<string[]> => {
      const script = [
        `source <('${process.execPath}' '${mainFile}' completion bash)`,
        `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}`,
        `_perennial; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ].join('\n')
      const { stdout } = await run('bash', ['-c', script], { cwd: folder })
      return stdout.toString().trim().split('\n')
    }
    assert.deepEqual(await completions('perennial', 'dev'), ['device'])
    assert.deepEqual(await completions('perennial', '--data', 'device', 'cert', 'ex'), ['export', 'expiry'])
    assert.deepEqual(await completions('perennial', 'device', 'list', '--s'), ['--sort', '--site', '--state'])
    write('unlikely-name.pem', '')
    assert.deepEqual(await completions('perennial', 'cert', 'inspect', 'unlikely-'), ['unlikely-name.pem'])
  })

  test('help and version go to standard output with exit code 0, without colour in a pipe', async () => {
    for (const line of ['--help', 'device --help', 'help device', 'device add --help', '--version']) {
      const { exitCode, stdout, stderr } = await perennial(line)
      assert.equal(exitCode, 0, line)
      assert.equal(stderr, '', line)
      assertPlain(stdout)
    }
    assert.match((await perennial('--help')).stdout, /Exit codes:\n {2}0 /)
  })
})
