/** Where to? Pages by name, and a device by its id. */
import { useId, useState, type KeyboardEvent, type ReactNode } from 'react'
import { useApi, type Page } from '../api/use-api.ts'
import { useSession } from '../api/session.tsx'
import { shown } from '../base/text.ts'
import { Dialog } from '../parts/dialog.tsx'
import { allPlaces } from './places.ts'

interface Choice {
  readonly key: string
  readonly text: string
  readonly hint: string
  readonly to: string
}

export function CommandPalette({
  onClose,
  onGo,
}: {
  readonly onClose: () => void
  readonly onGo: (to: string) => void
}): ReactNode {
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const { permissions } = useSession()
  const id = useId()
  const wanted = typed.trim()
  const devices = useApi<Page<{ id: string; profile: string; site: string | null }>>(
    '/devices',
    { limit: 6, fields: 'id,profile,site', filter: `id=${wanted}*` },
    { enabled: wanted.length >= 2 && /^[\w.:-]+$/.test(wanted), isLive: false },
  )
  const choices: Choice[] = [
    ...allPlaces
      .filter(
        ({ name, permission }) =>
          permissions.has(permission) && name.toLowerCase().includes(wanted.toLowerCase()),
      )
      .map(({ name, to, key }) => ({ key: to, text: name, hint: `g ${key}`, to })),
    ...(wanted.length >= 2 && devices.data ? devices.data.items : []).map((device) => ({
      key: `device ${device.id}`,
      text: device.id,
      hint: [device.profile, device.site].filter(Boolean).join(' · '),
      to: `/devices/${encodeURIComponent(device.id)}`,
    })),
  ]
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') setAt(Math.min(choices.length - 1, at + 1))
    else if (event.key === 'ArrowUp') setAt(Math.max(0, at - 1))
    else if (event.key === 'Enter' && choices[at]) onGo(choices[at].to)
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Go to" onClose={onClose}>
      <input
        className="input"
        role="combobox"
        aria-label="Page or device"
        aria-expanded={choices.length > 0}
        aria-controls={`${id}-choices`}
        aria-activedescendant={choices[at] ? `${id}-${at}` : undefined}
        placeholder="A page, or the id of a device"
        autoFocus
        spellCheck={false}
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setAt(0)
        }}
        onKeyDown={press}
      />
      <ul id={`${id}-choices`} role="listbox" aria-label="Places" className="palette-list">
        {choices.map((choice, index) => (
          <li
            key={choice.key}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => onGo(choice.to)}
          >
            <bdi>{shown(choice.text)}</bdi>
            <span>{shown(choice.hint)}</span>
          </li>
        ))}
      </ul>
      {choices.length === 0 && <p className="muted">Nothing has this name.</p>}
    </Dialog>
  )
}

export function KeysDialog({ onClose }: { readonly onClose: () => void }): ReactNode {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="facts">
        <dt>
          <kbd>/</kbd>
        </dt>
        <dd>to the filter of this page, or the palette</dd>
        <dt>
          <kbd>Ctrl</kbd> <kbd>K</kbd>
        </dt>
        <dd>palette: pages and devices</dd>
        <dt>
          <kbd>?</kbd>
        </dt>
        <dd>these keys</dd>
        {allPlaces.map(({ name, key }) => (
          <div key={key} className="pair">
            <dt>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>
            <dd>{name}</dd>
          </div>
        ))}
      </dl>
      <div className="dialog-acts">
        <button type="button" className="button" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  )
}
