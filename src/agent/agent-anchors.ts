/** `trust.pem`: the anchors that the device believes now. */
import { join } from 'node:path'
import type { Certificate } from '../pki/certificate.ts'
import type { WriteFile } from './agent-directory.ts'
import { encodeAnchors } from './agent-trust.ts'

export class AnchorFile {
  readonly #path: string
  readonly #write: WriteFile
  #anchors: readonly Certificate[]

  /** @param anchors what stands in the file */
  constructor(directory: string, write: WriteFile, anchors: readonly Certificate[]) {
    this.#path = join(directory, 'trust.pem')
    this.#write = write
    this.#anchors = anchors
  }

  current(): readonly Certificate[] {
    return this.#anchors
  }

  pem(): string {
    return encodeAnchors(this.#anchors)
  }

  /** From now on these, and no others. They have reached the storage when the promise resolves. */
  async replace(anchors: readonly Certificate[]): Promise<void> {
    await this.#write(this.#path, encodeAnchors(anchors), 0o600)
    this.#anchors = anchors
  }
}
