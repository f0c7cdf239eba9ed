/** Which kinds of keys a device has, as its configuration says. */
import { Refusal } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { AgentConfig } from './agent-config.ts'
import { readPrivateFile, type WriteFile } from './agent-directory.ts'
import { fileKeys } from './file-keys.ts'
import { pkcs11Keys, pinVariable } from './pkcs11-keys.ts'
import { SlotKeys, type KeyKind } from './slot-keys.ts'
import { tpm2Keys } from './tpm2-keys.ts'

export interface KeystorePlace {
  readonly directory: string
  readonly write: WriteFile
  readonly random: Random
  /** PIN of the token, when no file has it. */
  readonly pin: string | null
}

/** Keys in files are read in any case: a device that moves into hardware renews with the key that it has. */
export function openKeystore(
  config: Pick<AgentConfig, 'deviceId' | 'keystore'>,
  place: KeystorePlace,
): SlotKeys {
  const { directory, write } = place
  const hardware = hardwareKeys(config, place)
  const kinds = hardware === null ? ([fileKeys] as const) : ([hardware, fileKeys] as const)
  return new SlotKeys({ directory, write, kinds })
}

function hardwareKeys(
  { deviceId, keystore }: Pick<AgentConfig, 'deviceId' | 'keystore'>,
  { directory, write, random, pin }: KeystorePlace,
): KeyKind | null {
  switch (keystore.kind) {
    case 'file':
      return null
    case 'tpm2':
      return tpm2Keys({ directory, write, tcti: keystore.tcti })
    case 'pkcs11': {
      const { module, token, pinFile } = keystore
      const readPin = async () => checkPin(pinFile === null ? pin : await pinIn(pinFile))
      return pkcs11Keys({ directory, write, random, deviceId, module, token, pin: readPin })
    }
  }
}

async function pinIn(file: string): Promise<string> {
  const text = await readPrivateFile(file)
  if (text === null) throw new Refusal('keystore-failed', `the PIN file ${file} is not there`)
  return text.split(/\r?\n/, 1)[0] ?? ''
}

function checkPin(pin: string | null): string {
  if (pin !== null && /^[\x21-\x7e]{1,255}$/.test(pin)) return pin
  const where = `${pinVariable}, or the first line of the file that keystore.pinFile names`
  throw new Refusal(
    'keystore-failed',
    `the PIN of the token is missing, or has other than printable ASCII: ${where}`,
  )
}
