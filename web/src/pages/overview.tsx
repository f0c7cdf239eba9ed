import type { ReactNode } from 'react'
import { Lead } from '../parts/lead.tsx'

export function Overview(): ReactNode {
  return <Lead title="Overview">The fleet.</Lead>
}
