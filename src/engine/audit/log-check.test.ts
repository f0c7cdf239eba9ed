import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { checkLog, type Anchor, type LogEntry, type LogFault, type LogSource } from './log-check.ts'
import { hashBytes, leafHash } from './merkle.ts'
import { TileTree } from './tile-tree.ts'

/** A log in memory that a test can damage. Entries are their texts; tiles are keyed `level/index`. */
interface PlainLog {
  entries: string[]
  /** Indexes that are not there although later ones are. */
  readonly missing: Set<number>
  readonly tiles: Map<string, Uint8Array>
  readonly anchors: Anchor[]
}

function sealedLog(texts: readonly string[], sizes: readonly number[] = []): PlainLog {
  const tree = new TileTree()
  const log: PlainLog = { entries: [...texts], missing: new Set(), tiles: new Map(), anchors: [] }
  for (const text of texts) {
    tree.append(leafHash(Buffer.from(text)))
    if (sizes.includes(tree.size) || tree.size === texts.length) {
      for (const { level, index, hashes } of tree.takeTiles()) log.tiles.set(`${level}/${index}`, hashes)
      log.anchors.push({ size: tree.size, rootHash: tree.root() })
    }
  }
  return log
}

function sourceOf(log: PlainLog, batch = 100): LogSource {
  return {
    async *entries(from) {
      for (let at = from; at < log.entries.length; at += batch) {
        const some = log.entries.slice(at, at + batch)
        const entries: LogEntry[] = some.map((text, i) => ({ index: at + i, entry: Buffer.from(text) }))
        yield entries.filter(({ index }) => !log.missing.has(index))
      }
    },
    tile: async ({ level, index }, width) =>
      log.tiles.get(`${level}/${index}`)?.subarray(0, width * hashBytes) ?? null,
  }
}

async function* inOrder(anchors: readonly Anchor[]): AsyncGenerator<Anchor> {
  yield* anchors
}

async function check(log: PlainLog): Promise<LogFault | null> {
  const size = log.anchors.at(-1)?.size ?? 0
  return await checkLog({ source: sourceOf(log), size, anchors: inOrder(log.anchors) })
}

/** The tiles of the entries as they are now: what someone does who hides a change but cannot sign. */
function rewriteTiles(log: PlainLog): void {
  for (const [key, hashes] of sealedLog(log.entries).tiles) log.tiles.set(key, hashes)
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `entry ${i}`)
}

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] as number) ^ 1
  return copy
}

test('finds nothing in a log that is as it was signed, of any size around the edges of tiles', async () => {
  for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 513, 1_000]) {
    assert.equal(await check(sealedLog(numbered(size), [1, 100, 256, 300])), null, `size ${size}`)
  }
})

test('finds nothing in a log with two levels of full tiles', async () => {
  assert.equal(await check(sealedLog(numbered(66_000), [65_535, 65_536, 65_537])), null)
})

test('passes every entry on, in order and once, and reports progress', async () => {
  const log = sealedLog(numbered(700))
  const seen: number[] = []
  const progress: number[] = []
  await checkLog({
    source: sourceOf(log, 333),
    size: 700,
    anchors: inOrder(log.anchors),
    onEntries: async (entries) => void seen.push(...entries.map(({ index }) => index)),
    onProgress: (done) => void progress.push(done),
  })
  assert.deepEqual(seen, [...Array(700).keys()])
  assert.deepEqual(progress, [333, 666, 700])
})

const somewhere = fc.record({ size: fc.integer({ min: 2, max: 900 }), seed: fc.nat() })

/** The fault must be found at exactly this entry, in logs of any size and with checkpoints at any size. */
async function everywhere(
  kind: LogFault['kind'],
  damage: (log: PlainLog, at: number) => number,
): Promise<void> {
  const property = fc.asyncProperty(somewhere, fc.nat(), async ({ size, seed }, checkpoint) => {
    const log = sealedLog(numbered(size), [1 + (checkpoint % size)])
    const at = damage(log, seed % size)
    const fault = await check(log)
    assert.equal(fault?.kind, kind, JSON.stringify(fault))
    assert.equal(fault.index, at, JSON.stringify(fault))
  })
  await fc.assert(property, { numRuns: 150 })
}

test('finds an entry with a changed byte', async () => {
  await everywhere('changed', (log, at) => {
    log.entries[at] += '!'
    return at
  })
})

test('finds an entry that was taken out, leaving its place empty', async () => {
  await everywhere('deleted', (log, at) => {
    const hole = Math.min(at, log.entries.length - 2)
    log.missing.add(hole)
    return hole
  })
})

test('finds an entry that was taken out, with the later ones moved up', async () => {
  await everywhere('deleted', (log, at) => {
    const hole = Math.min(at, log.entries.length - 2)
    log.entries.splice(hole, 1)
    return hole
  })
})

test('finds several entries taken out together', async () => {
  const log = sealedLog(numbered(600))
  log.entries.splice(250, 20)
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['deleted', 250, 20])
})

test('finds an entry put in between, with the later ones moved down', async () => {
  await everywhere('inserted', (log, at) => {
    log.entries.splice(at, 0, 'forged')
    return at
  })
})

test('finds an entry put in with the last one dropped, so that the number is right', async () => {
  const log = sealedLog(numbered(600))
  log.entries.splice(300, 0, 'forged')
  log.entries.pop()
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['inserted', 300, 1])
})

test('finds an entry taken out with another put at the end, so that the number is right', async () => {
  const log = sealedLog(numbered(600))
  log.entries.splice(300, 1)
  log.entries.push('forged')
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['deleted', 300, 1])
})

test('finds two entries that changed places', async () => {
  await everywhere('reordered', (log, at) => {
    const first = Math.min(at, log.entries.length - 2)
    const second = log.entries.length - 1
    const [a, b] = [log.entries[first] as string, log.entries[second] as string]
    log.entries[first] = b
    log.entries[second] = a
    return first
  })
})

test('finds an entry that was moved back, with those between moved up', async () => {
  const log = sealedLog(numbered(600))
  const [moved] = log.entries.splice(100, 1)
  log.entries.splice(400, 0, moved as string)
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index], ['reordered', 100])
})

test('finds a copy of another entry in the place of one, which is a change and no move', async () => {
  for (const from of [100, 500]) {
    const log = sealedLog(numbered(600))
    log.entries[300] = log.entries[from] as string
    const fault = await check(log)
    assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['changed', 300, 1])
  }
})

test('finds the end of the log cut off', async () => {
  await everywhere('truncated', (log, at) => {
    log.entries.length = at
    return at
  })
})

test('finds a change before the place where the log was cut off', async () => {
  const log = sealedLog(numbered(600))
  log.entries.length = 520
  log.entries[515] = 'forged'
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index], ['changed', 515])
})

test('finds a change that was carried into the tiles, and says between which checkpoints', async () => {
  const log = sealedLog(numbered(900), [120, 380, 700])
  log.entries[400] = 'forged'
  rewriteTiles(log)
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['changed', 380, 320])
})

test('finds a change carried into the tile of the entries only, and says in which tile', async () => {
  const log = sealedLog(numbered(900), [120])
  log.entries[400] = 'forged'
  const tile = Buffer.from(log.tiles.get('0/1') as Uint8Array)
  tile.set(leafHash(Buffer.from('forged')), (400 - 256) * hashBytes)
  log.tiles.set('0/1', tile)
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['changed', 256, 256])
})

test('tells a changed tile from a changed entry', async () => {
  await everywhere('tile-changed', (log, at) => {
    const key = `0/${Math.floor(at / 256)}`
    log.tiles.set(key, flip(log.tiles.get(key) as Uint8Array, (at % 256) * hashBytes + 5))
    return at
  })
})

test('finds a tile whose every hash was wiped', async () => {
  const log = sealedLog(numbered(600))
  log.tiles.set('0/1', new Uint8Array(256 * hashBytes))
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index], ['tile-changed', 256])
})

test('finds a changed hash in a tile above the entries', async () => {
  for (const hash of [0, 1, 2]) {
    const log = sealedLog(numbered(900), [120, 600])
    log.tiles.set('1/0', flip(log.tiles.get('1/0') as Uint8Array, hash * hashBytes))
    const fault = await check(log)
    assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['tile-changed', hash * 256, 256])
  }
})

test('finds a tile that is gone and one that is too short', async () => {
  for (const [key, index] of [
    ['0/0', 0],
    ['0/1', 256],
    ['0/3', 768],
    ['1/0', 0],
  ] as const) {
    const gone = sealedLog(numbered(900))
    gone.tiles.delete(key)
    const fault = await check(gone)
    assert.deepEqual([fault?.kind, fault?.index], ['tile-missing', index], key)
    const short = sealedLog(numbered(900))
    short.tiles.set(key, (short.tiles.get(key) as Uint8Array).subarray(0, -hashBytes))
    assert.equal((await check(short))?.kind, 'tile-missing')
  }
})

test('finds a checkpoint that was signed over another history', async () => {
  const log = sealedLog(numbered(600), [200])
  const other = sealedLog(numbered(200).map((text) => `${text}'`))
  log.anchors[0] = other.anchors[0] as Anchor
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['changed', 0, 200])
})

test('a changed entry is reported also when a tile before it was damaged too', async () => {
  const log = sealedLog(numbered(900), [300, 600])
  log.tiles.set('1/0', flip(log.tiles.get('1/0') as Uint8Array, 0))
  log.entries[700] = 'forged'
  rewriteLeaf(log, 700)
  const fault = await check(log)
  assert.deepEqual([fault?.kind, fault?.index, fault?.count], ['changed', 600, 300])
})

function rewriteLeaf(log: PlainLog, index: number): void {
  const key = `0/${Math.floor(index / 256)}`
  const tile = Buffer.from(log.tiles.get(key) as Uint8Array)
  tile.set(leafHash(Buffer.from(log.entries[index] as string)), (index % 256) * hashBytes)
  log.tiles.set(key, tile)
}
