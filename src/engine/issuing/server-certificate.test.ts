import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { oids } from '../../pki/oid.ts'
import { findByIssuerAndSerial } from '../../store/inventory.ts'
import { forEachEngine, issuingId, refusal, testStart } from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { isServerCertificateDue, issueServerCertificate } from './server-certificate.ts'

forEachEngine((start) => {
  test('names hosts and addresses, may serve EST for the CA, and is in the inventory', async () => {
    const { engine } = await start()
    const { spki } = createKey()
    const hostnames = ['est.example', 'localhost', '127.0.0.1', '::1', 'localhost']
    const record = await issueServerCertificate(engine, { issuerId: issuingId, hostnames, spki })
    const { extensions, notAfter } = parseCertificate(record.der)
    assert.deepEqual(extensions.extendedKeyUsage, [oids.serverAuth, oids.cmcRA])
    assert.deepEqual(record.subjectAltNames, ['dns:est.example', 'dns:localhost', 'ip:127.0.0.1', 'ip:::1'])
    assert.equal(notAfter, testStart + 365 * dayMs)
    assert.equal(new X509Certificate(record.der).checkHost('est.example'), 'est.example')
    const row = await findByIssuerAndSerial(engine.store.db, issuingId, record.serialNumber)
    assert.deepEqual([row?.profile, row?.deviceId, row?.status], ['server', null, 'issued'])
  })

  test('is due 30 days before its end, and never outlives its issuer', async () => {
    const { engine, clock } = await start()
    const request = { issuerId: issuingId, hostnames: ['localhost'], spki: createKey().spki }
    const record = await issueServerCertificate(engine, request)
    const dueAt = record.notAfter - 30 * dayMs
    assert.deepEqual(
      [isServerCertificateDue(record, dueAt - 1), isServerCertificateDue(record, dueAt)],
      [false, true],
    )
    const issuer = await engine.issuers.find(issuingId)
    const end = issuer?.record.notAfter ?? assert.fail()
    await clock.advance(end - 10 * dayMs - clock.now())
    assert.equal((await issueServerCertificate(engine, request)).notAfter, end)
  })

  test('refuses no names and names that are none', async () => {
    const { engine } = await start()
    const ask = (hostnames: string[]) =>
      issueServerCertificate(engine, { issuerId: issuingId, hostnames, spki: createKey().spki })
    assert.equal((await refusal(ask([]))).code, 'invalid-input')
    assert.equal((await refusal(ask(['not a name']))).code, 'malformed')
  })
})
