/** Where the passphrase of the CA keys comes from. It is never an argument: other users see the arguments of processes. */
import { Refusal } from '../base/errors.ts'
import { readSecretFile, type Environment } from '../config/environment.ts'
import { promptSecret } from './prompt.ts'

export interface PassphraseSources {
  /** `--passphrase-file`. */
  readonly option: string | null
  readonly env: Environment
  /** The file in the data directory. */
  readonly stored: string
}

/** @returns the passphrase given by option or variable; null when neither is there */
export function givenPassphrase({ option, env }: Pick<PassphraseSources, 'option' | 'env'>): string | null {
  const variable = env['PERENNIAL_PASSPHRASE']
  const variableFile = env['PERENNIAL_PASSPHRASE_FILE']
  if (option !== null) return readRequired(option, '--passphrase-file')
  if (variable && variableFile) {
    throw new Refusal(
      'configuration-invalid',
      'PERENNIAL_PASSPHRASE and PERENNIAL_PASSPHRASE_FILE are both set; set one of the two',
    )
  }
  if (variable) return variable
  return variableFile ? readRequired(variableFile, 'PERENNIAL_PASSPHRASE_FILE') : null
}

/** Option, variables, the file in the data directory, and at last the person at the terminal. */
export async function findPassphrase(sources: PassphraseSources): Promise<string> {
  const found = givenPassphrase(sources) ?? readSecretFile(sources.stored)
  if (found) return found
  if (process.stdin.isTTY) return await promptSecret('Passphrase of the CA keys: ')
  throw new Refusal(
    'configuration-invalid',
    `the CA keys need their passphrase: put it into ${sources.stored} (mode 0600), or set PERENNIAL_PASSPHRASE_FILE`,
  )
}

function readRequired(file: string, name: string): string {
  const text = readSecretFile(file)
  if (text === null) throw new Refusal('configuration-invalid', `${name}: cannot read ${file}`)
  if (text === '')
    throw new Refusal('configuration-invalid', `${name}: ${file} is empty; its first line is the passphrase`)
  return text
}
