/** `perennial agent enrol`: whom the device belongs to, whom it trusts, and its first certificate. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { Argument, Option, type Command } from 'commander'
import { agentDefaults, checkAgentConfig } from '../agent/agent-config.ts'
import { lockAgentDirectory, makeAgentDirectory } from '../agent/agent-directory.ts'
import { activeCredential } from '../agent/agent-state.ts'
import type { Bearer } from '../agent/agent-transport.ts'
import { encodeAnchors, fetchAnchor, parseAnchors } from '../agent/agent-trust.ts'
import { openAgent, readSetup, setUpAgent, type AgentSetup } from '../agent/open-agent.ts'
import { sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { readSecretFile } from '../config/environment.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { keyAlgorithms, parsePublicKey, type KeyAlgorithm } from '../pki/key.ts'
import { formatName } from '../pki/name-text.ts'
import { encodePem } from '../pki/pem.ts'
import { defaultSignatureAlgorithm, signDataAsync } from '../pki/signature.ts'
import { addStateOption, parts, requireActivated, statePath, type StateOption } from './agent-context.ts'
import { addDeviceOptions, deviceSettings, type DeviceOptions } from './agent-options.ts'
import { showStatus } from './agent-status.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import { deviceIdArgument, durationOption } from './options.ts'
import { promptSecret } from './prompt.ts'

interface EnrolOptions extends StateOption, DeviceOptions {
  readonly server?: string
  readonly root?: string
  readonly rootFingerprint?: string
  readonly label?: string
  readonly key?: KeyAlgorithm
  readonly renewAt?: string
  readonly secretFile?: string
  readonly factoryCertificate?: string
  readonly factoryKey?: string
  readonly wait?: number
  readonly again?: boolean
}

export function registerEnrol(agent: Command, cli: CliContext): void {
  const needsServer = { notRun: 'needs a running platform that knows the device' }
  addExamples(
    addDeviceOptions(addStateOption(agent.command('enrol')))
      .summary('get the first certificate of this device')
      .description(
        [
          'Make a key on this device and get the first certificate for it. The device proves who it is with its one-time secret',
          '(--secret-file, PERENNIAL_AGENT_SECRET, PERENNIAL_AGENT_SECRET_FILE, or typed when asked) or with a factory',
          'certificate. The server proves who it is with a root that you name; there is no trust on first use. Type the same line',
          'again after a failure: it goes on with the same key.',
        ].join('\n'),
      )
      .addArgument(new Argument('<id>', 'device id, as registered').argParser(deviceIdArgument))
      .option('--server <url>', 'EST server, such as https://est.example.com:8443')
      .option('--root <file>', 'root certificate of the server (PEM or DER)')
      .option('--root-fingerprint <sha256>', 'or its fingerprint: the root itself comes from the server')
      .option('--label <name>', 'EST label: the name of a profile; default: that of the device')
      .addOption(new Option('--key <algorithm>', 'kind of key (ec-p256)').choices(keyAlgorithms))
      .option('--renew-at <share>', 'share of its life after which a certificate is renewed (0.67)')
      .option('--secret-file <file>', 'file with the one-time secret; - is standard input')
      .option('--factory-certificate <file>', 'factory identity, PEM, with its chain')
      .option('--factory-key <file>', 'and its private key, PEM')
      .addOption(
        new Option('--wait <duration>', 'how long to wait for an approval or a busy server').argParser(
          durationOption,
        ),
      )
      .option('--again', 'a new certificate with a new secret, where the old one cannot be renewed any more')
      .action(async (id: DeviceId, options: EnrolOptions) => await enrol(cli, id, options)),
    [
      {
        say: 'With the secret in a file',
        run: 'perennial agent enrol press-7 --server https://est.example.com:8443 --root root.pem --secret-file secret',
        ...needsServer,
      },
      {
        say: 'With its key in the TPM, and a broker over which it is asked to renew',
        run: 'perennial agent enrol press-7 --server https://est.example.com:8443 --root root.pem --secret-file secret --keystore tpm2 --mqtt mqtts://broker.example.com:8883',
        ...needsServer,
      },
      {
        say: 'With a factory identity, and the fingerprint that `perennial init` printed',
        run: 'perennial agent enrol press-7 --server https://est.example.com:8443 --root-fingerprint "$FINGERPRINT" --factory-certificate idevid.pem --factory-key idevid.key',
        ...needsServer,
      },
    ],
  )
}

async function enrol(cli: CliContext, deviceId: DeviceId, options: EnrolOptions): Promise<void> {
  const directory = statePath(cli, options)
  await makeAgentDirectory(directory)
  const lock = await lockAgentDirectory(directory)
  try {
    const known = await readSetup(directory)
    await refuseSecond(cli, { directory, known, options })
    const setup = await chooseSetup(cli, { deviceId, known, options })
    for (const { subject, der } of setup.anchors) {
      cli.output.note(`Trusting ${formatName(subject)}, SHA-256 ${sha256Hex(der)}`)
    }
    const bootstrap = await bootstrapOf(cli, deviceId, options)
    await setUpAgent({ directory }, setup)
    const agent = await openAgent({ directory, ...parts(cli), bootstrap })
    const deadline = cli.clock.now() + (options.wait ?? 0)
    for (;;) {
      const result = await agent.settle('enrol')
      const now = cli.clock.now()
      const isWorthWaiting =
        result.outcome === 'waiting' && result.retryAt !== null && result.retryAt <= deadline
      if (!isWorthWaiting) {
        requireActivated(result, now)
        break
      }
      await cli.clock.sleep(Math.max(0, (result.retryAt ?? now) - now))
    }
    await showStatus(cli, { directory, agent })
  } finally {
    lock.release()
  }
}

interface Situation {
  readonly known: AgentSetup | null
  readonly options: EnrolOptions
}

async function refuseSecond(
  cli: CliContext,
  { directory, known, options }: Situation & { readonly directory: string },
): Promise<void> {
  if (known === null || options.again === true) return
  const state = await (await openAgent({ directory, ...parts(cli) })).state()
  if (activeCredential(state) === null) return
  throw new Refusal(
    'already-exists',
    `${directory} holds a certificate of ${known.config.deviceId}: renew it with \`perennial agent renew\`, or add --again`,
  )
}

/** What is given on the command line, else what is known from before. */
async function chooseSetup(
  cli: CliContext,
  { deviceId, known, options }: Situation & { readonly deviceId: DeviceId },
): Promise<AgentSetup> {
  const { server = known?.config.server, label = known?.config.label ?? null, key, renewAt } = options
  if (server === undefined) throw new Refusal('invalid-input', 'say which server: --server https://host:8443')
  const config = checkAgentConfig({
    ...agentDefaults,
    ...known?.config,
    deviceId,
    server,
    label,
    ...(key === undefined ? {} : { keyAlgorithm: key }),
    ...(renewAt === undefined ? {} : { renewAt: Number(renewAt) }),
    ...(await deviceSettings(cli, options, known?.config ?? null)),
  })
  return { config, anchors: await chooseAnchors(cli, { server, label, known, options }) }
}

async function chooseAnchors(
  cli: CliContext,
  { server, label, known, options }: Situation & { readonly server: string; readonly label: string | null },
): Promise<AgentSetup['anchors']> {
  const { root, rootFingerprint: fingerprint } = options
  if (root !== undefined && fingerprint !== undefined) {
    throw new Refusal('invalid-input', 'give --root or --root-fingerprint, not both')
  }
  if (root !== undefined) {
    const certificates = readCertificates(await cli.readInput(root), root)
    return parseAnchors(certificates.map((der) => encodePem('CERTIFICATE', der)).join(''))
  }
  if (fingerprint !== undefined) {
    return [await fetchAnchor({ url: server, label, fingerprint, clock: cli.clock })]
  }
  if (known) return parseAnchors(encodeAnchors(known.anchors))
  throw new Refusal(
    'invalid-input',
    'say whom to trust: --root FILE, or --root-fingerprint SHA256 as `perennial init` printed it',
  )
}

/** The secret is never an argument: other users of the device see the arguments of processes. */
async function bootstrapOf(cli: CliContext, deviceId: DeviceId, options: EnrolOptions): Promise<Bearer> {
  const { factoryCertificate, factoryKey, secretFile } = options
  if ((factoryCertificate === undefined) !== (factoryKey === undefined)) {
    throw new Refusal('invalid-input', '--factory-certificate and --factory-key belong together')
  }
  if (factoryCertificate !== undefined && factoryKey !== undefined) {
    const chain = readCertificates(await cli.readInput(factoryCertificate), factoryCertificate)
    const chainPem = chain.map((der) => encodePem('CERTIFICATE', parseCertificate(der).der)).join('')
    const key = readKey(Buffer.from(await cli.readInput(factoryKey)), factoryKey)
    const { algorithm } = parsePublicKey(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    const sign = async (data: Uint8Array) =>
      await signDataAsync(key, defaultSignatureAlgorithm(algorithm), data)
    return { kind: 'certificate', identity: { chainPem, key }, sign }
  }
  const password = await readSecret(cli, secretFile)
  return { kind: 'secret', username: deviceId, password }
}

async function readSecret(cli: CliContext, secretFile: string | undefined): Promise<string> {
  const { env } = cli
  const file = secretFile ?? env['PERENNIAL_AGENT_SECRET_FILE']
  if (file === '-') return firstLine(Buffer.from(await cli.readInput('-')).toString())
  if (file !== undefined) {
    const secret = readSecretFile(file)
    if (secret) return secret
    throw new Refusal('invalid-input', `cannot read a secret from ${file}: its first line is the secret`)
  }
  const secret = env['PERENNIAL_AGENT_SECRET']
  if (secret) return secret
  if (process.stdin.isTTY) return await promptSecret('One-time secret of this device: ')
  throw new Refusal(
    'invalid-input',
    'the one-time secret is missing: --secret-file FILE, PERENNIAL_AGENT_SECRET_FILE, or a terminal to type it',
  )
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function readKey(pem: Buffer, file: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new Refusal('invalid-input', `${file} is no unencrypted private key in PEM`, { cause })
  }
}
