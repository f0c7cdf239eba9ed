/** How the dashboard becomes web/dist: hashed files, each also compressed, so that the server only reads and sends. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

const root = import.meta.dirname
const outDir = join(root, 'dist')

export default defineConfig({
  root,
  plugins: [compressed()],
  oxc: { jsx: { runtime: 'automatic' } },
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2023',
    // the policy of the page allows no data: script or style, and the polyfill is for browsers that it does not run in
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
    // `'use client'` speaks to servers that render React; there is none here
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
  // `npx vite web` beside a running server
  server: { proxy: { '/api': 'http://127.0.0.1:8090' } },
})

function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    closeBundle() {
      for (const path of readdirSync(outDir, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(?:js|css|html|svg)$/.test(path)) continue
        const bytes = readFileSync(join(outDir, path))
        const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 10 } }
        writeFileSync(join(outDir, `${path}.br`), brotliCompressSync(bytes, quality))
        writeFileSync(join(outDir, `${path}.gz`), gzipSync(bytes, { level: 9 }))
      }
    },
  }
}
