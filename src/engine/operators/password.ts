/** Passwords of operators: argon2id (RFC 9106), kept as PHC text, two at a time so that guessing does not take the machine. */
import { argon2 } from 'node:crypto'
import { equalSecrets } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import type { Random } from '../../base/random.ts'

/** RFC 9106 §4, second recommended option with one lane: 64 MiB, three passes. */
const parameters = { memory: 65_536, passes: 3, parallelism: 1, tagLength: 32 } as const

export const passwordLength = { minimum: 12, maximum: 256 } as const

/** @throws Refusal `invalid-input` saying what is asked for */
export function checkPassword(password: string, name: string): void {
  const normal = normalized(password)
  const { minimum, maximum } = passwordLength
  if (normal.length < minimum || normal.length > maximum) {
    throw new Refusal('invalid-input', `a password has ${minimum} to ${maximum} characters`)
  }
  if (new Set(normal).size < 5 || normal.toLowerCase().includes(name.toLowerCase())) {
    throw new Refusal(
      'invalid-input',
      'this password is the first that one would try: use other characters, and not the name of the account',
    )
  }
}

/** @returns PHC text: `$argon2id$v=19$m=65536,t=3,p=1$salt$tag` */
export async function hashPassword(password: string, random: Random): Promise<string> {
  const salt = random.bytes(16)
  const { memory, passes, parallelism } = parameters
  const tag = await derived(password, salt, parameters)
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`
}

/** Takes as long for an account that has no password as for one that has. @param phc null: there is none, and the answer is false */
export async function isPassword(password: string, phc: string | null): Promise<boolean> {
  const kept = parsed(phc ?? nobody)
  const tag = await derived(password, kept.salt, kept)
  return equalSecrets(tag, kept.tag) && phc !== null
}

/** Of nobody: what the password of an unknown account is compared with. */
const nobody = `$argon2id$v=19$m=${parameters.memory},t=${parameters.passes},p=1$${base64(Buffer.alloc(16))}$${base64(Buffer.alloc(32))}`

interface Kept {
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly tagLength: number
  readonly salt: Uint8Array
  readonly tag: Uint8Array
}

function parsed(phc: string): Kept {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc)
  if (!match) throw new Error('the password in the database is not argon2id')
  const [, memory, passes, parallelism, salt = '', tag = ''] = match
  const bytes = Buffer.from(tag, 'base64')
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: bytes.byteLength,
    salt: Buffer.from(salt, 'base64'),
    tag: bytes,
  }
}

/** At work now, and those that wait. */
const atWork = { count: 0, waiting: [] as (() => void)[] }
const mostAtWork = 2
const mostWaiting = 32

async function derived(
  password: string,
  salt: Uint8Array,
  { memory, passes, parallelism, tagLength }: Omit<Kept, 'salt' | 'tag'>,
): Promise<Uint8Array> {
  await turn()
  try {
    return await new Promise<Uint8Array>((resolve, reject) => {
      const options = { message: normalized(password), nonce: salt, memory, passes, parallelism, tagLength }
      argon2('argon2id', options, (error, tag) => (error ? reject(error) : resolve(tag)))
    })
  } finally {
    const next = atWork.waiting.shift()
    if (next) next()
    else atWork.count--
  }
}

async function turn(): Promise<void> {
  if (atWork.count < mostAtWork) {
    atWork.count++
    return
  }
  if (atWork.waiting.length >= mostWaiting) {
    throw new Refusal('overloaded', 'too many log-ins at once: try again', { retryAfterMs: 5_000 })
  }
  await new Promise<void>((resolve) => atWork.waiting.push(resolve))
}

/** Keyboards differ in how they compose letters (NIST SP 800-63B §3.1.1.2). */
function normalized(password: string): string {
  return password.normalize('NFKC')
}

/** PHC: without padding. */
function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}
