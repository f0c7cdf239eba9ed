import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sha256Hex } from '../../base/bytes.ts'
import { makeCertificate } from '../../../test/helpers/certificates.ts'
import { Flash } from './flash.ts'
import { generateP256 } from './p256.ts'
import { FileShelf } from './shelf.ts'

function withShelf(work: (shelf: FileShelf, file: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'shelf-'))
  const file = join(directory, 'devices.bin')
  const shelf = new FileShelf(file)
  try {
    work(shelf, file)
  } finally {
    shelf.close()
    rmSync(directory, { recursive: true })
  }
}

function newDevice(): Flash {
  const { scalar } = generateP256()
  const { certificate } = makeCertificate()
  const flash = new Flash()
  const key = { spki: certificate.spki, spkiHash: sha256Hex(certificate.spki), privateKey: scalar }
  flash.keep('a', certificate, key, [certificate.der])
  flash.active = 'a'
  return flash
}

test('devices that sleep lie in the file, not in memory', () => {
  withShelf((shelf, file) => {
    for (let device = 0; device < 20; device++) shelf.put(device, newDevice())
    assert.equal(shelf.inMemory, 0)
    assert.ok(statSync(file).size > 19 * 1_024)
  })
})

test('what is taken is what was put, with what it remembers', () => {
  withShelf((shelf) => {
    const flash = newDevice()
    shelf.put(7, flash)
    const fresh = shelf.take(7)
    assert.deepEqual(fresh.credentials().slots.a, flash.credentials().slots.a)
    assert.equal(fresh.active, 'a')
    assert.deepEqual([fresh.memory, fresh.inbox], [flash.memory, flash.inbox])
    fresh.memory = { ...fresh.memory, failures: 3, hold: { setAt: 1, until: 2, why: 'a reason' } }
    shelf.put(7, fresh)
    assert.deepEqual(shelf.take(7).memory, fresh.memory)
  })
})

test('what is too long for its place stays in memory, until it fits again', () => {
  withShelf((shelf) => {
    const flash = newDevice()
    flash.memory = { ...flash.memory, hold: { setAt: 1, until: 2, why: 'x'.repeat(2_000) } }
    shelf.put(3, flash)
    assert.equal(shelf.inMemory, 1)
    assert.equal(shelf.take(3).memory.hold?.why.length, 2_000)
    shelf.put(3, newDevice())
    assert.equal(shelf.inMemory, 0)
  })
})
