/**
 * The exported audit log, read by a verifier that nobody here wrote: golang.org/x/mod/sumdb/note and tlog, the code that
 * checks Go's own module checksum database. Debian packages both; nothing is downloaded.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { before, after, test } from 'node:test'
import { promisify } from 'node:util'
import type { SerialNumber } from '../../src/base/id.ts'
import { latestSigned } from '../../src/store/checkpoints.ts'
import { openStore } from '../../src/store/open.ts'
import { exportAuditLog } from '../../src/engine/audit/audit-export.ts'
import { proveCertificate } from '../../src/engine/audit/audit-prove.ts'
import { seal, type SealContext } from '../../src/engine/audit/seal.ts'
import { encodeVerifierKey } from '../../src/engine/audit/signed-note.ts'
import { addCertificate, addFacts, auditLog, startOfTests } from '../helpers/audit-log.ts'
import { missing, programPath } from '../helpers/require.ts'

const run = promisify(execFile)

// Go writes the tile height into the path (tile/8/0/000); C2SP fixed the height and left it out.
const verifierSource = String.raw`package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func openCheckpoint(text []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

type directory string

func (directory) Height() int                        { return 8 }
func (directory) SaveTiles([]tlog.Tile, [][]byte)     {}
func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func entries(dir string, size int64) [][]byte {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := 256
		if size-n*256 < 256 {
			width = int(size - n*256)
		}
		path := tlog.Tile{H: 8, L: 0, N: n, W: width}.Path()
		path = strings.Replace(path, "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(dir, path))
		check(err)
		for len(data) > 0 {
			length := int(binary.BigEndian.Uint16(data))
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
	}
	return all
}

func verifyExport(dir, vkey, earlier string) {
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	tree := openCheckpoint(text, vkey)
	reader := tlog.TileHashReader(tree, directory(dir))
	root, err := tlog.TreeHash(tree.N, reader)
	check(err)
	if root != tree.Hash {
		check(fmt.Errorf("the tiles have another root"))
	}
	all := entries(dir, tree.N)
	if int64(len(all)) != tree.N {
		check(fmt.Errorf("%d entries of %d", len(all), tree.N))
	}
	var indexes []int64
	for i := range all {
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(i)))
	}
	hashes, err := reader.ReadHashes(indexes)
	check(err)
	for i, entry := range all {
		if hashes[i] != tlog.RecordHash(entry) {
			check(fmt.Errorf("entry %d has another hash", i))
		}
	}
	for _, i := range []int64{0, 1, 255, 256, 65535, 65536, tree.N - 1} {
		if i >= tree.N {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, i, reader)
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, i, tlog.RecordHash(all[i])))
	}
	old, err := os.ReadFile(earlier)
	check(err)
	oldTree := openCheckpoint(old, vkey)
	proof, err := tlog.ProveTree(tree.N, oldTree.N, reader)
	check(err)
	check(tlog.CheckTree(proof, tree.N, tree.Hash, oldTree.N, oldTree.Hash))
	fmt.Printf("%d entries after %d\n", tree.N, oldTree.N)
}

func verifyProof(file, vkey string) {
	text, err := os.ReadFile(file)
	check(err)
	parts := strings.SplitN(string(text), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		proof = append(proof, hash)
	}
	tree := openCheckpoint([]byte(parts[1]), vkey)
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
	fmt.Printf("%d: %s\n", index, entry)
}

func main() {
	if os.Args[1] == "export" {
		verifyExport(os.Args[2], os.Args[3], os.Args[4])
	} else {
		verifyProof(os.Args[2], os.Args[3])
	}
}
`

const skip = missing('go-tlog')

interface Rig {
  readonly directory: string
  readonly verifier: string
  readonly log: SealContext
  readonly vkey: string
  readonly earlier: string
  readonly serialNumber: SerialNumber
  close(): Promise<void>
}

let rig: Rig

// 66,000 entries: two full levels of tiles and a third one begun.
const size = 66_000

before(async () => {
  if (skip !== false) return
  const directory = await mkdtemp(join(tmpdir(), 'perennial-go-'))
  const store = await openStore({ url: 'sqlite::memory:' })
  await store.migrate()
  const log = auditLog(store)
  await addFacts(log.store, 1_000)
  await seal(log, startOfTests)
  const earlier = join(directory, 'earlier')
  await writeFile(earlier, (await latestSigned(store.db))?.note ?? '')
  const { serialNumber } = await addCertificate(store)
  for (let done = 1_001; done < size; done += 1_000) await addFacts(store, Math.min(1_000, size - done))
  await seal(log, startOfTests)
  await exportAuditLog(log, join(directory, 'export'))
  rig = {
    directory,
    verifier: await buildVerifier(directory),
    log,
    vkey: encodeVerifierKey(log.audit.signer),
    earlier,
    serialNumber,
    close: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
})

after(async () => {
  if (skip === false) await rig.close()
})

async function buildVerifier(directory: string): Promise<string> {
  const go = programPath('go-tlog')
  const source = join(directory, 'verify.go')
  const program = join(directory, 'verify')
  await writeFile(source, verifierSource)
  const env = {
    PATH: `${dirname(go)}:/usr/bin:/bin`,
    HOME: process.env['HOME'] ?? directory,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOFLAGS: '',
    CGO_ENABLED: '0',
  }
  await run(go, ['build', '-o', program, source], { env, cwd: directory })
  return program
}

const verify = async (...parameters: string[]) => (await run(rig.verifier, parameters)).stdout

test(
  "Go's tlog accepts checkpoint, tiles, entries, inclusion and consistency of our export",
  { skip },
  async () => {
    const answer = await verify('export', join(rig.directory, 'export'), rig.vkey, rig.earlier)
    assert.equal(answer, `${size} entries after 1000\n`)
  },
)

test("Go's tlog accepts our inclusion proof of an issuance", { skip }, async () => {
  const file = join(rig.directory, 'certificate.tlog-proof')
  await writeFile(file, await proveCertificate(rig.log, rig.serialNumber))
  const answer = await verify('proof', file, rig.vkey)
  assert.match(answer, new RegExp(`^1000: .*"action":"certificate.issued".*/${rig.serialNumber}`))
})

test("Go's tlog refuses a damaged export, so that the tests above can fail", { skip }, async () => {
  for (const [path, at, message] of [
    ['tile/0/077', 100, /inconsistent|hash/],
    ['tile/entries/120', 100, /entry \d+ has another hash/],
    ['tile/2/000.p/1', 5, /inconsistent|hash/],
    ['checkpoint', 60, /invalid signature|malformed/],
  ] as const) {
    const copy = join(rig.directory, 'damaged')
    await cp(join(rig.directory, 'export'), copy, { recursive: true })
    const bytes = await readFile(join(copy, path))
    bytes[at] = (bytes[at] as number) ^ 1
    await writeFile(join(copy, path), bytes)
    await assert.rejects(verify('export', copy, rig.vkey, rig.earlier), message, path)
    await rm(copy, { recursive: true })
  }
})

test("Go's note refuses our checkpoint under another key", { skip }, async () => {
  const other = encodeVerifierKey(auditLog(rig.log.store).audit.signer)
  const verifying = verify('export', join(rig.directory, 'export'), other, rig.earlier)
  await assert.rejects(verifying, /no verifiable signatures/)
})
