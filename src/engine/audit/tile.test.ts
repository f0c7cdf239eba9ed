import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../../base/bytes.ts'
import { emptyRoot, hashBytes, inclusionProof, leafHash, nodeHash, verifyInclusion } from './merkle.ts'
import {
  allTiles,
  bundlePath,
  decodeBundle,
  encodeBundle,
  partialTiles,
  subtreeReader,
  tilePath,
  widthAt,
  type TileReader,
} from './tile.ts'
import { TileTree, type Tile } from './tile-tree.ts'

test('C2SP tlog-tiles: names of tiles and bundles', () => {
  assert.equal(tilePath({ level: 0, index: 0 }, 256), 'tile/0/000')
  assert.equal(tilePath({ level: 1, index: 999 }, 256), 'tile/1/999')
  assert.equal(tilePath({ level: 0, index: 1_000 }, 256), 'tile/0/x001/000')
  assert.equal(tilePath({ level: 3, index: 1_234_067 }, 256), 'tile/3/x001/x234/067')
  assert.equal(tilePath({ level: 0, index: 273 }, 112), 'tile/0/273.p/112')
  assert.equal(bundlePath(1_234_067, 5), 'tile/entries/x001/x234/067.p/5')
  assert.throws(() => tilePath({ level: 0, index: 0 }, 0))
  assert.throws(() => tilePath({ level: 0, index: 0 }, 257))
})

test('C2SP tlog-tiles: the tiles of a tree of 70,000 entries are those of the example', () => {
  // the specification's own example: 273 full tiles and one of 112 at level 0, one full and one of 17 at level 1, one of 1
  const tiles = [...allTiles(70_000)]
  const widths = (level: number) =>
    tiles.filter((tile) => tile.level === level).map((tile) => widthAt(tile, 70_000))
  assert.deepEqual(widths(0), [...Array<number>(273).fill(256), 112])
  assert.deepEqual(widths(1), [256, 17])
  assert.deepEqual(widths(2), [1])
  assert.equal(tiles.length, 277)
  assert.deepEqual(partialTiles(70_000), [
    { level: 0, index: 273 },
    { level: 1, index: 1 },
    { level: 2, index: 0 },
  ])
})

test('a tree of exactly 256 entries has a full tile and above it one of a single hash', () => {
  assert.deepEqual(
    [...allTiles(256)].map((tile) => tilePath(tile, widthAt(tile, 256))),
    ['tile/0/000', 'tile/1/000.p/1'],
  )
  assert.deepEqual(
    [...allTiles(255)].map((tile) => tilePath(tile, widthAt(tile, 255))),
    ['tile/0/000.p/255'],
  )
  assert.deepEqual([...allTiles(0)], [])
})

test('a bundle holds each entry with its length and comes apart again', () => {
  const entries = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(65_535, 1)]
  const bundle = encodeBundle(entries)
  assert.equal(toHex(bundle.subarray(0, 5)), '0001610000')
  assert.deepEqual(decodeBundle(bundle), { entries, isWhole: true })
  assert.deepEqual(decodeBundle(new Uint8Array(0)), { entries: [], isWhole: true })
  assert.throws(() => encodeBundle([Buffer.alloc(65_536)]), /16 bits/)
})

test('a bundle that ends inside an entry or inside a length gives the entries before it and says so', () => {
  const bundle = encodeBundle([Buffer.from('whole'), Buffer.from('cut')])
  for (const length of [bundle.length - 1, bundle.length - 3, bundle.length - 4]) {
    assert.deepEqual(decodeBundle(bundle.subarray(0, length)), {
      entries: [Buffer.from('whole')],
      isWhole: false,
    })
  }
})

/** Root by pairing neighbours and carrying the odd one up, which is another way to write MTH. */
function pairwiseRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot
  let level = [...leaves]
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) {
      const right = level[i + 1]
      above.push(right ? nodeHash(level[i] as Uint8Array, right) : (level[i] as Uint8Array))
    }
    level = above
  }
  return level[0] as Uint8Array
}

const manyLeaves = Array.from({ length: 70_000 }, (_, i) => leafHash(Buffer.from(String(i))))

/** Keeps what TileTree gives out, as the store does: a wider tile replaces a narrower one. */
class TileShelf {
  readonly tiles = new Map<string, Uint8Array>()

  put(tiles: readonly Tile[]): void {
    for (const { level, index, hashes } of tiles) {
      const before = this.tiles.get(`${level}/${index}`)
      if (before) assert.deepEqual(hashes.subarray(0, before.byteLength), before, 'a tile only grows')
      this.tiles.set(`${level}/${index}`, hashes)
    }
  }

  readonly read: TileReader = async ({ level, index }, width) => {
    const hashes = this.tiles.get(`${level}/${index}`)
    assert.ok(hashes && hashes.byteLength >= width * hashBytes, `tile ${level}/${index} of ${width}`)
    return hashes.subarray(0, width * hashBytes)
  }

  partials(size: number): Tile[] {
    return partialTiles(size).map((tile) => ({
      level: tile.level,
      index: tile.index,
      hashes: (this.tiles.get(`${tile.level}/${tile.index}`) as Uint8Array).slice(
        0,
        widthAt(tile, size) * hashBytes,
      ),
    }))
  }
}

test('appending in any batches, resuming from tiles each time, gives the same tiles and roots as one pass', () => {
  const property = fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 12 }), (batches) => {
    const shelf = new TileShelf()
    let size = 0
    for (const batch of batches) {
      const tree = TileTree.resume(size, shelf.partials(size))
      assert.equal(toHex(tree.root()), toHex(pairwiseRoot(manyLeaves.slice(0, size))))
      for (const leaf of manyLeaves.slice(size, size + batch)) tree.append(leaf)
      shelf.put(tree.takeTiles())
      size += batch
      assert.equal(tree.size, size)
      assert.deepEqual(tree.takeTiles(), [])
      assert.equal(toHex(tree.root()), toHex(pairwiseRoot(manyLeaves.slice(0, size))))
    }
    assert.deepEqual(
      [...shelf.tiles.keys()].sort(),
      [...allTiles(size)].map(({ level, index }) => `${level}/${index}`).sort(),
    )
    for (const tile of allTiles(size)) {
      const hashes = shelf.tiles.get(`${tile.level}/${tile.index}`) as Uint8Array
      assert.equal(hashes.byteLength, widthAt(tile, size) * hashBytes)
    }
  })
  fc.assert(property, { numRuns: 40 })
})

test('around the edges of tiles of each level, a resumed tree has the root of the whole', () => {
  for (const size of [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792]) {
    const whole = new TileTree()
    const shelf = new TileShelf()
    for (const leaf of manyLeaves.slice(0, size)) whole.append(leaf)
    shelf.put(whole.takeTiles())
    const resumed = TileTree.resume(size, shelf.partials(size))
    for (const leaf of manyLeaves.slice(size, size + 300)) {
      whole.append(leaf)
      resumed.append(leaf)
    }
    assert.equal(toHex(resumed.root()), toHex(pairwiseRoot(manyLeaves.slice(0, size + 300))), `from ${size}`)
    assert.deepEqual(resumed.takeTiles(), whole.takeTiles())
  }
})

test('refuses to resume from a tile that is missing or too narrow', () => {
  const shelf = new TileShelf()
  const tree = new TileTree()
  for (const leaf of manyLeaves.slice(0, 300)) tree.append(leaf)
  shelf.put(tree.takeTiles())
  assert.throws(() => TileTree.resume(300, shelf.partials(300).slice(0, 1)), /tile 1\/0/)
  assert.throws(() => TileTree.resume(301, shelf.partials(300)), /tile 0\/1/)
})

test('proofs read out of tiles verify, over three levels of tiles', async () => {
  const tree = new TileTree()
  for (const leaf of manyLeaves) tree.append(leaf)
  const shelf = new TileShelf()
  shelf.put(tree.takeTiles())
  const size = manyLeaves.length
  for (const index of [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999]) {
    const proof = await inclusionProof(index, size, subtreeReader(size, shelf.read))
    const leaf = manyLeaves[index] as Uint8Array
    assert.ok(verifyInclusion({ leaf, index, size, proof, root: tree.root() }), `entry ${index}`)
  }
})
