/** An answer that is there already, where a stream is wanted. */
export async function* once(data: string | Uint8Array): AsyncGenerator<string | Uint8Array> {
  yield data
}
