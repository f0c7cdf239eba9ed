/** The same thing without this page: as a call of the API and as a command. */
import { useState, type ReactNode } from 'react'
import { later } from '../base/clock.ts'
import { quoted } from '../base/text.ts'
import { Note } from './explain.tsx'

export interface CallOf {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query, as apiPath makes it. */
  readonly path: string
  readonly body?: unknown
  /** Without the program’s name; null where the command line has no such command. */
  readonly command?: string | null
}

export function curlOf({ method = 'GET', path, body }: CallOf): string {
  const parts = ['curl -sS --fail-with-body']
  if (method !== 'GET') parts.push(`-X ${method}`)
  parts.push('-H "Authorization: Bearer $PERENNIAL_TOKEN"')
  if (body !== undefined)
    parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`)
  parts.push(quoted(`${location.origin}${path}`))
  return parts.join(' \\\n  ')
}

export function Copyable({ text, label }: { readonly text: string; readonly label: string }): ReactNode {
  const [isCopied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    later(2_000, () => setCopied(false))
  }
  return (
    <div className="copyable">
      <code>{text}</code>
      <button
        type="button"
        className="button quiet small"
        aria-label={`Copy ${label}`}
        onClick={() => void copy()}
      >
        {isCopied ? 'Copied' : 'Copy'}
      </button>
    </div>
  )
}

export function CallLines({ call }: { readonly call: CallOf }): ReactNode {
  return (
    <>
      <h3>API</h3>
      <Copyable text={curlOf(call)} label="the API call" />
      {call.command !== null && call.command !== undefined && (
        <>
          <h3>Command line</h3>
          <Copyable text={`perennial ${call.command}`} label="the command" />
        </>
      )}
    </>
  )
}

export function CallButton({ call }: { readonly call: CallOf }): ReactNode {
  return (
    <Note
      label="The same as an API call and as a command"
      button={{ className: 'button quiet small no-print', content: '</>' }}
    >
      <CallLines call={call} />
    </Note>
  )
}
