/** Whatever a device or a person wrote: isolated in direction, unsafe characters visible. */
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { shown } from '../base/text.ts'

export function Foreign({ text }: { readonly text: string | null | undefined }): ReactNode {
  if (text === null || text === undefined || text === '') return <span className="muted">–</span>
  return <bdi className="foreign">{shown(text)}</bdi>
}

export function DeviceLink({ id }: { readonly id: string }): ReactNode {
  return (
    <Link to="/devices/$id" params={{ id }}>
      <Foreign text={id} />
    </Link>
  )
}

export function Tags({ tags }: { readonly tags: Readonly<Record<string, string>> }): ReactNode {
  const entries = Object.entries(tags)
  if (entries.length === 0) return <span className="muted">–</span>
  return <Foreign text={entries.map(([name, value]) => `${name}=${value}`).join('  ')} />
}
