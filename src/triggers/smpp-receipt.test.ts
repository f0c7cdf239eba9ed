import assert from 'node:assert/strict'
import { test } from 'node:test'
import { receiptText } from '../../test/helpers/smsc.ts'
import { smppReceipt } from './smpp-receipt.ts'

const esm = { esm_class: 4 }

for (const [stat, outcome] of [
  ['DELIVRD', 'delivered'],
  ['EXPIRED', 'failed'],
  ['DELETED', 'failed'],
  ['UNDELIV', 'failed'],
  ['REJECTD', 'failed'],
  ['ACCEPTD', 'pending'],
  ['ENROUTE', 'pending'],
  ['UNKNOWN', 'pending'],
  ['SOMETHING', 'pending'],
] as const) {
  test(`stat:${stat} is ${outcome}`, () => {
    const receipt = smppReceipt({ ...esm, short_message: { message: receiptText('abc-1', stat) } })
    assert.deepEqual(receipt, { reference: 'abc-1', outcome, detail: stat })
  })
}

for (const [state, outcome] of [
  [1, 'pending'],
  [2, 'delivered'],
  [3, 'failed'],
  [4, 'failed'],
  [5, 'failed'],
  [6, 'pending'],
  [7, 'pending'],
  [8, 'failed'],
  [99, 'pending'],
] as const) {
  test(`message_state ${state} is ${outcome}, and counts more than the text`, () => {
    const pdu = { ...esm, receipted_message_id: 'x9', message_state: state }
    assert.equal(smppReceipt(pdu)?.outcome, outcome)
    const both = { ...pdu, short_message: { message: receiptText('other', 'DELIVRD') } }
    assert.deepEqual(smppReceipt(both), { reference: 'x9', outcome, detail: 'DELIVRD' })
  })
}

test('the error of the network is part of the detail, unless it is none', () => {
  const receipt = smppReceipt({ ...esm, short_message: receiptText('a', 'UNDELIV', '034') })
  assert.equal(receipt?.detail, 'UNDELIV, error 034')
})

test('vendors write capitals as they like, and bytes instead of text', () => {
  const message = Buffer.from('ID:77 STAT:delivrd ERR:0')
  assert.deepEqual(smppReceipt({ esm_class: 0x44, short_message: { message } }), {
    reference: '77',
    outcome: 'delivered',
    detail: 'DELIVRD',
  })
})

for (const [what, pdu] of [
  ['a message from a device', { esm_class: 0, short_message: receiptText('a', 'DELIVRD') }],
  [
    'a delivery acknowledgement of a handset',
    { esm_class: 0x08, short_message: receiptText('a', 'DELIVRD') },
  ],
  ['no esm_class', { short_message: receiptText('a', 'DELIVRD') }],
  ['no id', { ...esm, short_message: 'stat:DELIVRD err:000' }],
  ['an empty text', { ...esm, short_message: '' }],
  ['no text', esm],
  ['an id without end', { ...esm, receipted_message_id: 'x'.repeat(66) }],
] as const) {
  test(`is no receipt: ${what}`, () => {
    assert.equal(smppReceipt(pdu), null)
  })
}
