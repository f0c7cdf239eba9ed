/** What people ask of renewals. Edges never see the store; they see this. */
import { Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import type { Page } from '../../store/page.ts'
import { attemptsOf, type AttemptRecord } from '../../store/renewal-attempts.ts'
import { listRenewals, renewalsOfDevice, type RenewalsRequest } from '../../store/renewal-lists.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import { findRenewal } from '../../store/renewals.ts'
import type { Engine } from '../context.ts'

export { renewalStatuses } from '../../store/renewal-record.ts'
export type { AttemptRecord, RenewalRecord }

/** The targets of a campaign, in the order in which they were drawn. */
export async function renewalPage({ store }: Engine, request: RenewalsRequest): Promise<Page<RenewalRecord>> {
  return await listRenewals(store.db, request)
}

/** More than a device has in its life. */
const maxOfDevice = 1_000

/** All of a device, the latest first. */
export async function renewalsFor({ store }: Engine, deviceId: DeviceId): Promise<RenewalRecord[]> {
  return await renewalsOfDevice(store.db, deviceId, maxOfDevice)
}

export interface RenewalDetails {
  readonly renewal: RenewalRecord
  readonly attempts: readonly AttemptRecord[]
}

/** @throws Refusal `not-found` */
export async function renewalDetails({ store }: Engine, id: number): Promise<RenewalDetails> {
  const renewal = await findRenewal(store.db, id)
  if (!renewal) throw new Refusal('not-found', `there is no renewal ${id}`)
  return { renewal, attempts: await attemptsOf(store.db, id) }
}
