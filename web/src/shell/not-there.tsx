import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Lead } from '../parts/lead.tsx'

export function NotThere(): ReactNode {
  return (
    <Lead title="Not there" after={<Link to="/">To the overview</Link>}>
      There is no page at this address.
    </Lead>
  )
}
