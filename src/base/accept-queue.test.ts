import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { acceptQueue, parseAcceptQueue } from './accept-queue.ts'

const title =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const line = (local: string, state: string, queue: string) =>
  `   5: ${local} 00000000:0000 ${state} 00000000:${queue} 00:00000000 00000000     0        0 3983302 102 000000001aa92524`

test('reads the queue of the listening socket of a port, in hex, and of no other', () => {
  const table = [
    title,
    line('0100007F:20FB', '0A', '00000065'),
    line('00000000:1F90', '0A', '00000007'),
    line('0100007F:20FB', '01', '000000FF'),
  ].join('\n')
  assert.equal(parseAcceptQueue(table, 8443), 101)
  assert.equal(parseAcceptQueue(table, 8080), 7)
  assert.equal(parseAcceptQueue(table, 8090), null)
  assert.equal(parseAcceptQueue('', 8443), null)
})

test('of several sockets on one port it is the mean, and half a line at the end counts for nothing', () => {
  const one = line('00000000:20FB', '0A', '00000010')
  const two = line('00000000:20FB', '0A', '00000020')
  assert.equal(parseAcceptQueue([title, one, two, one.slice(0, 50)].join('\n'), 8443), 24)
})

test(
  'a process that is busy sees who waits',
  { skip: !existsSync('/proc/net/tcp') && 'no /proc/net/tcp' },
  async () => {
    const server = createServer()
    await new Promise<void>((resolve) => void server.listen({ host: '127.0.0.1', port: 0 }, resolve))
    const address = server.address() as AddressInfo
    assert.equal(acceptQueue(address), 0)
    // connects and stays, while this process does not turn
    const script = `const s=[];for(let i=0;i<5;i++)s.push(require('node:net').connect(${address.port},'127.0.0.1'));let n=0;s.forEach(x=>x.on('connect',()=>{if(++n===5){process.stdout.write('5');process.exit()}}))`
    const { stdout } = spawnSync(process.execPath, ['-e', script])
    assert.equal(stdout.toString(), '5')
    assert.equal(acceptQueue(address), 5)
    await new Promise((resolve) => server.close(resolve))
  },
)
