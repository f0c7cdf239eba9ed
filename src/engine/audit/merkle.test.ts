import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { sha256, toHex } from '../../base/bytes.ts'
import {
  consistencyProof,
  emptyRoot,
  inclusionProof,
  leafHash,
  nodeHash,
  perfectRoot,
  verifyConsistency,
  verifyInclusion,
  type SubtreeReader,
} from './merkle.ts'

/** RFC 6962 §2.1, MTH, written exactly as the definition reads. */
function naiveRoot(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length === 0) return sha256(new Uint8Array(0))
  if (entries.length === 1) return sha256(Buffer.concat([Buffer.of(0), entries[0] as Uint8Array]))
  const k = naiveSplit(entries.length)
  return sha256(Buffer.concat([Buffer.of(1), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k))]))
}

/** RFC 6962 §2.1.1, PATH. */
function naivePath(m: number, entries: readonly Uint8Array[]): Uint8Array[] {
  if (entries.length === 1) return []
  const k = naiveSplit(entries.length)
  if (m < k) return [...naivePath(m, entries.slice(0, k)), naiveRoot(entries.slice(k))]
  return [...naivePath(m - k, entries.slice(k)), naiveRoot(entries.slice(0, k))]
}

/** RFC 6962 §2.1.2, SUBPROOF. */
function naiveSubproof(m: number, entries: readonly Uint8Array[], isWhole: boolean): Uint8Array[] {
  if (m === entries.length) return isWhole ? [] : [naiveRoot(entries)]
  const k = naiveSplit(entries.length)
  if (m <= k) return [...naiveSubproof(m, entries.slice(0, k), isWhole), naiveRoot(entries.slice(k))]
  return [...naiveSubproof(m - k, entries.slice(k), false), naiveRoot(entries.slice(0, k))]
}

function naiveSplit(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1)
}

function naiveReader(entries: readonly Uint8Array[]): SubtreeReader {
  return async (level, index) => naiveRoot(entries.slice(index * 2 ** level, (index + 1) * 2 ** level))
}

function entriesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`entry ${i}`))
}

const hex = (hashes: readonly Uint8Array[]) => hashes.map(toHex)

// The reference inputs and roots of the Certificate Transparency C++ and Go sources (merkletree tests), which RFC 6962
// implementations have compared themselves with since 2012.
const referenceEntries = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((text) => Buffer.from(text, 'hex'))

const referenceRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

/** Leaf position, tree size, hashes. From the same sources; positions counted from 0. */
const referencePaths: readonly [number, number, readonly string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
]

/** Old size, new size, hashes. */
const referenceConsistency: readonly [number, number, readonly string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
]

test('RFC 6962 §2.1: the empty tree hashes to SHA-256 of nothing', () => {
  assert.equal(toHex(emptyRoot), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

test('RFC 6962 §2.1: the roots of the reference trees of 1 to 8 leaves', () => {
  for (const [i, root] of referenceRoots.entries()) {
    assert.equal(toHex(naiveRoot(referenceEntries.slice(0, i + 1))), root)
  }
  const leaves = referenceEntries.map((entry) => leafHash(entry))
  assert.equal(toHex(leaves[0] as Uint8Array), referenceRoots[0])
  assert.equal(toHex(nodeHash(leaves[0] as Uint8Array, leaves[1] as Uint8Array)), referenceRoots[1])
  assert.equal(toHex(perfectRoot(Buffer.concat(leaves))), referenceRoots[7])
})

test('RFC 6962 §2.1.1: the inclusion proofs of the reference trees', async () => {
  for (const [index, size, expected] of referencePaths) {
    const entries = referenceEntries.slice(0, size)
    assert.deepEqual(hex(await inclusionProof(index, size, naiveReader(entries))), expected)
  }
})

test('RFC 6962 §2.1.2: the consistency proofs of the reference trees', async () => {
  for (const [oldSize, newSize, expected] of referenceConsistency) {
    const proof = await consistencyProof(oldSize, newSize, naiveReader(referenceEntries.slice(0, newSize)))
    assert.deepEqual(hex(proof), expected)
  }
})

test('a leaf longer than the buffer hashes like any other', () => {
  const entry = Buffer.alloc(65_535, 7)
  assert.deepEqual(leafHash(entry), naiveRoot([entry]))
  assert.deepEqual(leafHash(Buffer.from('short')), naiveRoot([Buffer.from('short')]))
})

test('inclusion proofs are those of the recursive definition and verify, for every leaf of trees up to 40', async () => {
  for (let size = 1; size <= 40; size += 1) {
    const entries = entriesOf(size)
    const root = naiveRoot(entries)
    for (let index = 0; index < size; index += 1) {
      const proof = await inclusionProof(index, size, naiveReader(entries))
      assert.deepEqual(hex(proof), hex(naivePath(index, entries)))
      const leaf = leafHash(entries[index] as Uint8Array)
      assert.ok(verifyInclusion({ leaf, index, size, proof, root }))
    }
  }
})

test('consistency proofs are those of the recursive definition and verify, for every pair of sizes up to 40', async () => {
  const all = entriesOf(40)
  for (let newSize = 0; newSize <= 40; newSize += 1) {
    const entries = all.slice(0, newSize)
    const newRoot = naiveRoot(entries)
    for (let oldSize = 0; oldSize <= newSize; oldSize += 1) {
      const proof = await consistencyProof(oldSize, newSize, naiveReader(entries))
      const oldEntries = entries.slice(0, oldSize)
      assert.deepEqual(hex(proof), oldSize === 0 ? [] : hex(naiveSubproof(oldSize, entries, true)))
      assert.ok(verifyConsistency({ oldSize, oldRoot: naiveRoot(oldEntries), newSize, newRoot, proof }))
    }
  }
})

const damage = fc.constantFrom('flip', 'drop', 'add', 'leaf', 'root', 'index', 'size')

test('an inclusion proof with anything changed does not verify', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 2, max: 200 }),
    fc.nat(),
    fc.nat(),
    damage,
    async (size, seed, at, kind) => {
      const entries = entriesOf(size)
      const index = seed % size
      const proof = await inclusionProof(index, size, naiveReader(entries))
      const good = {
        leaf: leafHash(entries[index] as Uint8Array),
        index,
        size,
        proof,
        root: naiveRoot(entries),
      }
      assert.ok(verifyInclusion(good))
      const other = Buffer.from(proof[at % proof.length] as Uint8Array)
      other[at % 32] = (other[at % 32] as number) ^ 1
      const flipped = proof.map((hash, i) => (i === at % proof.length ? other : hash))
      const bad = {
        flip: { ...good, proof: flipped },
        drop: { ...good, proof: proof.slice(0, -1) },
        add: { ...good, proof: [...proof, other] },
        leaf: { ...good, leaf: other },
        root: { ...good, root: other },
        index: { ...good, index: (index + 1) % size },
        // a tree of another size may share the path of a leaf, but never its root
        size: { ...good, size: size + 1, root: naiveRoot([...entries, Buffer.of(1)]) },
      }[kind]
      assert.ok(!verifyInclusion(bad))
    },
  )
  await fc.assert(property, { numRuns: 400 })
})

test('a consistency proof between histories that differ does not verify', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 2, max: 120 }),
    fc.integer({ min: 1, max: 120 }),
    fc.nat(),
    async (oldSize, growth, at) => {
      const entries = entriesOf(oldSize + growth)
      const forked = entries.map((entry, i) => (i === at % oldSize ? Buffer.from('another') : entry))
      const proof = await consistencyProof(oldSize, forked.length, naiveReader(forked))
      const claim = {
        oldSize,
        oldRoot: naiveRoot(entries.slice(0, oldSize)),
        newSize: forked.length,
        newRoot: naiveRoot(forked),
        proof,
      }
      assert.ok(!verifyConsistency(claim))
      assert.ok(verifyConsistency({ ...claim, oldRoot: naiveRoot(forked.slice(0, oldSize)) }))
    },
  )
  await fc.assert(property, { numRuns: 300 })
})

test('proofs of impossible positions do not verify and do not throw', () => {
  const leaf = leafHash(Buffer.of(1))
  assert.ok(verifyInclusion({ leaf, index: 0, size: 1, proof: [], root: leaf }))
  assert.ok(!verifyInclusion({ leaf, index: 1, size: 1, proof: [], root: leaf }))
  assert.ok(!verifyInclusion({ leaf, index: -1, size: 1, proof: [], root: leaf }))
  assert.ok(!verifyInclusion({ leaf, index: 0, size: 1, proof: [leaf], root: leaf }))
  assert.ok(!verifyInclusion({ leaf, index: 0, size: 0, proof: [], root: emptyRoot }))
  assert.ok(!verifyInclusion({ leaf, index: 0.5, size: 1, proof: [], root: leaf }))
  const root = nodeHash(leaf, leaf)
  const shrinking = { oldSize: 2, oldRoot: root, newSize: 1, newRoot: leaf, proof: [] }
  assert.ok(!verifyConsistency(shrinking))
  assert.ok(!verifyConsistency({ oldSize: 1, oldRoot: leaf, newSize: 2, newRoot: root, proof: [] }))
  assert.ok(verifyConsistency({ oldSize: 1, oldRoot: leaf, newSize: 2, newRoot: root, proof: [leaf] }))
  assert.ok(!verifyConsistency({ oldSize: 0, oldRoot: leaf, newSize: 2, newRoot: root, proof: [] }))
})
