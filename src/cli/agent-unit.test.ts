import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentUnit } from './agent-unit.ts'

test('words that systemd would read otherwise are quoted', () => {
  const unit = agentUnit({
    command: ['/opt/a b/node', '/opt/100%/main.ts'],
    state: '/var/$x/"y"',
    user: 'meter',
    keystore: 'file',
  })
  const start = /^ExecStart=(.*)$/m.exec(unit)?.[1]
  assert.equal(start, '"/opt/a b/node" /opt/100%%/main.ts agent run --state "/var/$$x/\\"y\\""')
  assert.match(unit, /^User=meter$/m)
})

test('keys in hardware are reached through devices and local sockets, and nothing else is opened', () => {
  const unitOf = (keystore: 'file' | 'tpm2' | 'pkcs11') =>
    agentUnit({ command: ['/usr/bin/node'], state: '/var/lib/agent', user: 'meter', keystore })
  assert.match(unitOf('file'), /^PrivateDevices=yes$/m)
  assert.match(unitOf('file'), /^RestrictAddressFamilies=AF_INET AF_INET6$/m)
  assert.match(unitOf('tpm2'), /^DeviceAllow=\/dev\/tpmrm0 rw$/m)
  assert.match(unitOf('tpm2'), /^RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX$/m)
  assert.doesNotMatch(unitOf('pkcs11'), /PrivateDevices/)
})
