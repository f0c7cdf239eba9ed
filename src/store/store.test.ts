import { storeConformance } from '../../test/conformance/store.ts'
import { allEngines, forEachStore } from '../../test/helpers/stores.ts'

forEachStore(storeConformance, allEngines)
