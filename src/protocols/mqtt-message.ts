/** What every JSON message of a device has: its version and a token by which the device knows the answer. */
import { Refusal } from '../base/errors.ts'

export type JsonMessage = Readonly<Record<string, unknown>>

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws Refusal `malformed`; `not-implemented` for a version that we do not know */
export function readMessage(payload: Uint8Array): JsonMessage {
  const message = parseObject(payload)
  if (message['v'] === 1) return message
  if (typeof message['v'] === 'number') {
    throw new Refusal('not-implemented', 'this version of the message is not known here: send "v": 1')
  }
  throw new Refusal('malformed', 'the message lacks its version: send "v": 1')
}

/** 1 to 64 of `A-Z a-z 0-9 _ -`. @throws Refusal `malformed` */
export function readClientToken({ clientToken }: JsonMessage): string {
  if (typeof clientToken === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(clientToken)) return clientToken
  throw new Refusal('malformed', 'clientToken is 1 to 64 of A-Z a-z 0-9 _ -')
}

function parseObject(payload: Uint8Array): JsonMessage {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(payload))
  } catch (error) {
    throw new Refusal('malformed', 'the message is no JSON in UTF-8', { cause: error })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonMessage
  throw new Refusal('malformed', 'the message is no JSON object')
}
