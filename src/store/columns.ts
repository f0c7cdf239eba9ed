/** Between the columns' types and the records' types. */
import { fromHex, toHex } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'

/** Lower-case hex of even length, as identifiers carry it. */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = fromHex(hex)
  assert(bytes, 'a hash or a serial number is hex of even length')
  return bytes
}

export function hexToBytesOrNull(hex: string | null): Uint8Array | null {
  return hex === null ? null : hexToBytes(hex)
}

export function bytesToHexOrNull(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : toHex(bytes)
}
