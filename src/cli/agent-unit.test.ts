import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentUnit } from './agent-unit.ts'

test('words that systemd would read otherwise are quoted', () => {
  const unit = agentUnit({
    command: ['/opt/a b/node', '/opt/100%/main.ts'],
    state: '/var/$x/"y"',
    user: 'meter',
  })
  const start = /^ExecStart=(.*)$/m.exec(unit)?.[1]
  assert.equal(start, '"/opt/a b/node" /opt/100%%/main.ts agent run --state "/var/$$x/\\"y\\""')
  assert.match(unit, /^User=meter$/m)
})
