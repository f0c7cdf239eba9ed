/** `cert import`. */
import { Refusal } from '../base/errors.ts'
import { importDevices, type ImportLine, type ImportResult } from '../engine/inventory/device.ts'
import { deviceIdOf, parseDeviceIdRule, type DeviceIdRule } from '../engine/issuing/device-id-rule.ts'
import { importCertificates as importBatch, type ForeignCertificate } from '../engine/inventory/import.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { commandLineActor } from './account.ts'
import { certificateSources } from './certificate-source.ts'
import type { CliContext } from './context.ts'
import { runImport } from './import.ts'

export interface ImportCertificatesOptions {
  readonly deviceIdFrom?: string
  readonly register?: string
  readonly dryRun?: boolean
}

export async function importCertificates(
  cli: CliContext,
  files: readonly string[],
  { deviceIdFrom, register, dryRun = false }: ImportCertificatesOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const rule = deviceIdFrom === undefined ? null : parseDeviceIdRule(deviceIdFrom)
  if (register !== undefined && !engine.settings.profiles.has(register)) {
    throw new Refusal('profile-unknown', `there is no profile ${register}; see: perennial profile list`)
  }
  const actor = commandLineActor()
  const options = { actor, dryRun }
  await runImport(cli, {
    sources: certificateSources(files),
    store: async (batch) => {
      if (register === undefined)
        return await importBatch(engine, batch, { ...options, deviceIdRule: rule?.text ?? null })
      const { named, invalid } = nameDevices(batch, rule)
      const devices = named.map(({ line, deviceId }) => ({ line, item: { id: deviceId, profile: register } }))
      const refused = await refusedOf(importDevices(engine, devices, options))
      const wanted = batch.filter(({ line }) => !refused.has(line) && !invalid.has(line))
      // in a dry run the devices are not there yet, so their certificates are looked at as if they were nobody's
      const certificates = dryRun
        ? wanted.map(({ line, item }) => ({ line, item: { ...item, deviceId: null } }))
        : withDevices(wanted, named)
      const stored = await importBatch(engine, certificates, options)
      return inOrder(batch, [...stored, ...refused.values(), ...invalid.values()])
    },
    dryRun,
    noun: 'certificate',
  })
}

type Batch = readonly ImportLine<ForeignCertificate>[]
type Results = Map<number, ImportResult>

/** Which device each certificate is of: as the line says, else by the rule. */
function nameDevices(
  batch: Batch,
  rule: DeviceIdRule | null,
): { named: { line: number; deviceId: string }[]; invalid: Results } {
  const named: { line: number; deviceId: string }[] = []
  const invalid: Results = new Map()
  for (const { line, item } of batch) {
    try {
      const deviceId = item.deviceId ?? (rule && deviceIdOf(rule, parseCertificate(item.certificate)))
      if (deviceId !== null) named.push({ line, deviceId })
      else
        invalid.set(line, {
          line,
          outcome: 'invalid',
          reason: 'nothing says whose it is; give --device-id-from',
        })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      invalid.set(line, { line, outcome: 'invalid', reason: error.message })
    }
  }
  return { named, invalid }
}

async function refusedOf(importing: Promise<readonly ImportResult[]>): Promise<Results> {
  const refused = (await importing).filter(({ outcome }) => outcome === 'invalid')
  return new Map(refused.map((result) => [result.line, result]))
}

function withDevices(
  batch: Batch,
  named: readonly { line: number; deviceId: string }[],
): ImportLine<ForeignCertificate>[] {
  const byLine = new Map(named.map(({ line, deviceId }) => [line, deviceId]))
  return batch.map(({ line, item }) => ({
    line,
    item: { certificate: item.certificate, deviceId: byLine.get(line) ?? item.deviceId },
  }))
}

function inOrder(batch: Batch, results: readonly ImportResult[]): ImportResult[] {
  const byLine = new Map(results.map((result) => [result.line, result]))
  return batch.flatMap(({ line }) => byLine.get(line) ?? [])
}
