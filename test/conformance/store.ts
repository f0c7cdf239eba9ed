/** What every engine of the store must do. */
import { deviceConformance } from './store-devices.ts'
import { transactionConformance } from './store-transactions.ts'
import { inventoryConformance } from './store-inventory.ts'
import { pagingConformance } from './store-paging.ts'
import { recordConformance } from './store-records.ts'
import { renewalWorkConformance } from './store-renewal-work.ts'
import { renewalConformance } from './store-renewals.ts'
import { workConformance } from './store-work.ts'
import type { EngineName, StoreOpener } from '../helpers/stores.ts'

export function storeConformance(name: EngineName, open: StoreOpener): void {
  transactionConformance(name, open)
  inventoryConformance(open)
  deviceConformance(open)
  pagingConformance(open)
  recordConformance(open)
  workConformance(open)
  renewalConformance(open)
  renewalWorkConformance(open)
}
