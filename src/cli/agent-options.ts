/** Options of `perennial agent enrol` that say where keys are, which broker there is, and who signs bundles. */
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { parseAnyPublicKey } from '../agent/agent-config.ts'
import { keystoreKinds, type KeystoreConfig } from '../agent/keystore-config.ts'
import { defaultTopicPrefix } from '../base/mqtt-topics.ts'
import type { AgentConfig, MqttConfig } from '../agent/agent-config.ts'
import { Refusal } from '../base/errors.ts'
import type { CliContext } from './context.ts'

export interface DeviceOptions {
  readonly keystore?: KeystoreConfig['kind']
  readonly pkcs11Module?: string
  readonly pkcs11Token?: string
  readonly pinFile?: string
  readonly tpmTcti?: string
  readonly mqtt?: string
  readonly mqttPrefix?: string
  readonly bundleKey?: string
}

export function addDeviceOptions(command: Command): Command {
  return command
    .addOption(new Option('--keystore <kind>', 'where new keys are made (file)').choices(keystoreKinds))
    .option('--pkcs11-module <file>', 'library of the token, such as /usr/lib/softhsm/libsofthsm2.so')
    .option('--pkcs11-token <label>', 'label of the token')
    .option('--pin-file <file>', 'file with its PIN; or PERENNIAL_AGENT_PIN at each start')
    .option(
      '--tpm-tcti <tcti>',
      "how to reach the TPM, such as device:/dev/tpmrm0; default: the machine's own",
    )
    .option(
      '--mqtt <url>',
      'broker, such as mqtts://broker.example.com:8883: renewals and triggers go over it',
    )
    .option('--mqtt-prefix <topic>', `first levels of its topics (${defaultTopicPrefix})`)
    .option(
      '--bundle-key <file>',
      'public key (PEM) that signs bundles for this device: `perennial trigger key` prints it',
    )
}

/** What is given on the command line, else what is known from before. */
export async function deviceSettings(
  cli: CliContext,
  options: DeviceOptions,
  known: AgentConfig | null,
): Promise<Pick<Partial<AgentConfig>, 'keystore' | 'mqtt' | 'bundleKeys'>> {
  const keystore = keystoreOf(options)
  const mqtt = mqttOf(options, known?.mqtt ?? null)
  const { bundleKey } = options
  return {
    ...(keystore ? { keystore } : {}),
    ...(mqtt ? { mqtt } : {}),
    ...(bundleKey === undefined
      ? {}
      : { bundleKeys: [parseAnyPublicKey(Buffer.from(await cli.readInput(bundleKey)).toString())] }),
  }
}

function keystoreOf(options: DeviceOptions): KeystoreConfig | null {
  const { keystore, pkcs11Module, pkcs11Token, pinFile, tpmTcti } = options
  const isToken = pkcs11Module !== undefined || pkcs11Token !== undefined || pinFile !== undefined
  if (isToken && keystore !== 'pkcs11') {
    throw new Refusal('invalid-input', 'these options are for a token: add --keystore pkcs11')
  }
  if (tpmTcti !== undefined && keystore !== 'tpm2') {
    throw new Refusal('invalid-input', '--tpm-tcti is for a TPM: add --keystore tpm2')
  }
  if (keystore === undefined) return null
  switch (keystore) {
    case 'file':
      return { kind: 'file' }
    case 'tpm2':
      return { kind: 'tpm2', tcti: tpmTcti ?? null }
    case 'pkcs11':
      if (pkcs11Module === undefined || pkcs11Token === undefined) {
        throw new Refusal('invalid-input', 'a token needs --pkcs11-module FILE and --pkcs11-token LABEL')
      }
      return {
        kind: 'pkcs11',
        module: resolve(pkcs11Module),
        token: pkcs11Token,
        pinFile: pinFile === undefined ? null : resolve(pinFile),
      }
  }
}

export function mqttOf(
  { mqtt: url, mqttPrefix: topicPrefix }: Pick<DeviceOptions, 'mqtt' | 'mqttPrefix'>,
  known: MqttConfig | null,
): MqttConfig | null {
  if (url === undefined && topicPrefix === undefined) return null
  const before = known ?? { url: undefined, topicPrefix: defaultTopicPrefix }
  const broker = url ?? before.url
  if (broker === undefined) throw new Refusal('invalid-input', '--mqtt-prefix belongs to --mqtt URL')
  return { url: broker, topicPrefix: topicPrefix ?? before.topicPrefix }
}
