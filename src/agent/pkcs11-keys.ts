/**
 * Keys in a PKCS #11 token, through OpenSSL's engine `pkcs11` (libp11) and OpenSC's `pkcs11-tool`. The slot's file names
 * an object of the token. Each new key is an object of its own, so there is no instant without the old one or the new one.
 */
import { join } from 'node:path'
import { toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import type { Random } from '../base/random.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import type { SignatureAlgorithm } from '../pki/signature.ts'
import { readPrivateFile, type WriteFile } from './agent-directory.ts'
import { runProgram } from './openssl-program.ts'
import { opensslTls } from './openssl-tls.ts'
import { publicKeyIn, type HeldKey, type KeyKind } from './slot-keys.ts'
import type { TlsKey } from './tls-key.ts'
import { digestOption } from './tpm2-keys.ts'

export interface Pkcs11Options {
  readonly directory: string
  readonly write: WriteFile
  readonly deviceId: DeviceId
  readonly random: Random
  /** Absolute path of the token's library. */
  readonly module: string
  /** Label of the token. */
  readonly token: string
  /** The user's PIN, read anew for each use. */
  readonly pin: () => Promise<string>
}

/** In the environment of the programs alone: other users see the arguments of processes. */
export const pinVariable = 'PERENNIAL_AGENT_PIN'

const makers: Partial<Record<KeyAlgorithm, string>> = {
  'ec-p256': 'EC:prime256v1',
  'ec-p384': 'EC:secp384r1',
  'rsa-2048': 'rsa:2048',
  'rsa-3072': 'rsa:3072',
  'rsa-4096': 'rsa:4096',
}

export function pkcs11Keys(options: Pkcs11Options): KeyKind {
  const { directory, write } = options
  return {
    kind: 'pkcs11',

    async create(algorithm: KeyAlgorithm): Promise<string> {
      const maker = makers[algorithm]
      if (maker === undefined) {
        throw new Refusal(
          'bad-algorithm',
          `a token makes ${Object.keys(makers).join(', ')}, not ${algorithm}`,
        )
      }
      const id = toHex(options.random.bytes(16))
      const { deviceId } = options
      await tool(options, '--keypairgen', '--key-type', maker, '--label', labelOf(deviceId), '--id', id)
      const uri = uriOf(options, id)
      const args = ['pkey', '-engine', 'pkcs11', '-inform', 'engine', '-in', uri, '-pubout']
      const publicKey = await runProgram('openssl', { args, env: await environment(options) })
      return `${uri}\n${publicKey.toString()}`
    },

    spkiOf: (text: string): Uint8Array | null => (text.startsWith('pkcs11:') ? publicKeyIn(text) : null),

    async sign({ text }: HeldKey, algorithm: SignatureAlgorithm, data: Uint8Array): Promise<Uint8Array> {
      const key = ['-keyform', 'engine', '-sign', uriIn(text)]
      const args = ['dgst', '-engine', 'pkcs11', digestOption(algorithm), ...key]
      return await runProgram('openssl', { args, env: await environment(options), input: data })
    },

    async tls({ text, slot }: HeldKey): Promise<TlsKey> {
      const keyArgs = ['-engine', 'pkcs11', '-keyform', 'engine', '-key', uriIn(text)]
      return { tls: opensslTls({ keyArgs, env: await environment(options), directory, slot, write }) }
    },

    async sweep(texts: readonly string[]): Promise<void> {
      const named = new Set(texts.flatMap((text) => idIn(text) ?? []))
      for (const { type, label, id } of objectsIn(await tool(options, '--list-objects'))) {
        if (label !== labelOf(options.deviceId) || named.has(id)) continue
        await tool(options, '--delete-object', '--type', type, '--id', id)
      }
    },
  }
}

function labelOf(deviceId: DeviceId): string {
  return `perennial ${deviceId}`
}

function uriOf({ token }: Pkcs11Options, id: string): string {
  return `pkcs11:token=${encodeURIComponent(token)};id=${id.replaceAll(/../g, '%$&')};type=private`
}

function uriIn(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function idIn(text: string): string | null {
  return /^pkcs11:[^\n]*;id=((?:%[0-9a-f]{2})+);/.exec(text)?.[1]?.replaceAll('%', '') ?? null
}

async function tool(options: Pkcs11Options, ...args: string[]): Promise<string> {
  const { module, token } = options
  const login = ['--module', module, '--token-label', token, '--login', '--pin', `env:${pinVariable}`]
  const env = { [pinVariable]: await options.pin() }
  return (await runProgram('pkcs11-tool', { args: [...login, ...args], env })).toString()
}

interface TokenObject {
  readonly type: 'privkey' | 'pubkey'
  readonly label: string
  readonly id: string
}

/** What `pkcs11-tool --list-objects` prints: a line for each object, and its attributes indented below. */
function objectsIn(listing: string): TokenObject[] {
  return listing.split(/^(?=\S)/m).flatMap((block) => {
    const type = block.startsWith('Private Key Object')
      ? 'privkey'
      : block.startsWith('Public Key Object')
        ? 'pubkey'
        : null
    const label = /^ +label: +(.*?) *$/m.exec(block)?.[1]
    const id = /^ +ID: +([0-9a-f]+) *$/m.exec(block)?.[1]
    return type && label !== undefined && id !== undefined ? [{ type, label, id }] : []
  })
}

/** The engine takes library and PIN from its configuration, and that takes the PIN from the environment. */
async function environment({
  directory,
  write,
  module,
  pin,
}: Pkcs11Options): Promise<Record<string, string>> {
  const file = join(directory, 'openssl.cnf')
  const wanted = configuration(module)
  if ((await readPrivateFile(file)) !== wanted) await write(file, wanted, 0o600)
  return { OPENSSL_CONF: file, [pinVariable]: await pin() }
}

function configuration(module: string): string {
  return `# written by perennial agent; no secret stands here
openssl_conf = openssl_init
[openssl_init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
MODULE_PATH = ${module}
PIN = $ENV::${pinVariable}
init = 0
`
}
