/**
 * A filter as chips. It is one line of text (`expires<30d state=active tag.site=kl`), the same in the address, the API and the
 * command line; here each condition is a chip, and the next one is typed with completion.
 */
import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { shown } from '../base/text.ts'

export interface FilterWord {
  /** What stands before the sign: `state`, `expires`. */
  readonly name: string
  readonly means: string
  /** What it may be compared with; default `=`. */
  readonly signs?: readonly string[]
  readonly values?: readonly string[]
}

interface FilterBarProps {
  readonly label: string
  readonly value: string
  readonly words: readonly FilterWord[]
  readonly onValue: (value: string) => void
  /** What the server says about it. */
  readonly problem?: string | null
}

/** Conditions are parted by blanks; a value in quotes may hold some. */
export function conditionsOf(filter: string): string[] {
  return filter.match(/(?:[^\s"]+|"(?:[^"\\]|\\.)*"?)+/g) ?? []
}

interface Option {
  readonly text: string
  readonly means: string
  /** A value was chosen: the condition is complete. */
  readonly isWhole: boolean
}

function optionsFor(typed: string, words: readonly FilterWord[]): Option[] {
  const [, name = '', sign = ''] = /^(-?[\w.]*)(!=|<=|>=|[=<>~:])?/.exec(typed) ?? []
  const word = words.find((each) => each.name === name)
  if (word && sign !== '') {
    const begun = typed.slice(name.length + sign.length)
    return (word.values ?? [])
      .filter((value) => value.startsWith(begun))
      .slice(0, 40)
      .map((value) => ({ text: `${name}${sign}${value}`, means: '', isWhole: true }))
  }
  return words
    .filter((each) => each.name.startsWith(typed) || each.means.toLowerCase().includes(typed.toLowerCase()))
    .flatMap((each) =>
      (each.signs ?? ['=']).map((each_) => ({
        text: `${each.name}${each_}`,
        means: each.means,
        isWhole: false,
      })),
    )
}

export function FilterBar({ label, value, words, onValue, problem }: FilterBarProps): ReactNode {
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(-1)
  const [isOpen, setOpen] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  const id = useId()
  const conditions = conditionsOf(value)
  const options = isOpen ? optionsFor(typed, words) : []

  const add = (condition: string): void => {
    if (condition.trim() !== '') onValue([...conditions, condition.trim()].join(' '))
    setTyped('')
    setAt(-1)
    setOpen(false)
  }
  const choose = (option: Option): void => {
    if (option.isWhole) return add(option.text)
    setTyped(option.text)
    setAt(-1)
    input.current?.focus()
  }
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'Enter') {
      event.preventDefault()
      const option = options[at]
      if (option) choose(option)
      else add(typed)
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      setOpen(true)
      const step = event.key === 'ArrowDown' ? 1 : -1
      setAt((options.length + at + step + (at < 0 && step < 0 ? 1 : 0)) % Math.max(1, options.length))
    } else if (event.key === 'Escape') setOpen(false)
    else if (event.key === 'Backspace' && typed === '' && conditions.length > 0) {
      setTyped(conditions.at(-1) as string)
      onValue(conditions.slice(0, -1).join(' '))
    }
  }
  return (
    <div className="stack">
      <div className="filter" role="group" aria-label={label}>
        {conditions.map((condition, index) => (
          <Chip
            key={`${condition} ${index}`}
            text={condition}
            onRemove={() => onValue(conditions.filter((_, other) => other !== index).join(' '))}
          />
        ))}
        <input
          ref={input}
          data-find=""
          role="combobox"
          aria-label={label}
          aria-expanded={options.length > 0}
          aria-controls={`${id}-options`}
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
          aria-invalid={problem ? true : undefined}
          placeholder={
            conditions.length === 0
              ? `Filter by ${words
                  .slice(0, 3)
                  .map(({ name }) => name)
                  .join(', ')} …`
              : ''
          }
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value)
            setAt(-1)
            setOpen(true)
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={press}
        />
        {options.length > 0 && (
          <ul id={`${id}-options`} role="listbox" className="options" aria-label="Conditions">
            {options.map((option, index) => (
              <li
                key={option.text}
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === at}
                onMouseDown={(event) => {
                  event.preventDefault()
                  choose(option)
                }}
              >
                <code>{option.text}</code>
                <span>{option.means}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
      {problem && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}

function Chip({ text, onRemove }: { readonly text: string; readonly onRemove: () => void }): ReactNode {
  return (
    <span className="chip">
      <bdi>{shown(text)}</bdi>
      <button type="button" aria-label={`Remove ${text}`} onClick={onRemove}>
        ×
      </button>
    </span>
  )
}
