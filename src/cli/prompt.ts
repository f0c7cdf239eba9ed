/** Questions to the person at the terminal, on standard error, so that standard output stays for answers. */
import { Interrupted } from './failure.ts'

const enter = new Set(['\r', '\n', '\u0004'])
const erase = new Set(['\b', '\u007f'])
const interrupt = '\u0003'
/** Longer than any passphrase that is typed; against a pasted file. */
const maxLength = 1024

/** Reads a line that is not shown. @throws Interrupted on Ctrl-C */
export async function promptSecret(question: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.resume()
  try {
    return await new Promise((resolve, reject) => {
      let typed = ''
      stdin.on('data', (chunk: string) => {
        for (const character of chunk) {
          if (enter.has(character)) return resolve(typed)
          if (character === interrupt) return reject(new Interrupted())
          if (erase.has(character)) typed = [...typed].slice(0, -1).join('')
          else if (typed.length < maxLength) typed += character
        }
      })
    })
  } finally {
    stdin.removeAllListeners('data')
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

/** Asks twice until both are the same. */
export async function promptNewSecret(question: string): Promise<string> {
  for (;;) {
    const first = await promptSecret(question)
    if (first.length < 8) {
      process.stderr.write('At least 8 characters.\n')
      continue
    }
    if ((await promptSecret('Again: ')) === first) return first
    process.stderr.write('The two differ. Once more.\n')
  }
}
