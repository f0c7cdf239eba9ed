/** Keys of the whole page: `g` and a letter goes somewhere, `/` finds, `?` shows the keys, Ctrl-K opens the palette. */
import { useEffect, useRef } from 'react'
import { later } from '../base/clock.ts'
import { allPlaces } from './places.ts'

export interface KeyActs {
  readonly go: (to: string) => void
  readonly openPalette: () => void
  readonly openKeys: () => void
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null
  )
}

export function useKeys(acts: KeyActs): void {
  const latest = useRef(acts)
  latest.current = acts
  useEffect(() => {
    let isGoing = false
    const press = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        latest.current.openPalette()
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      if (document.querySelector('dialog[open]')) return
      if (isGoing) {
        isGoing = false
        const place = allPlaces.find(({ key }) => key === event.key)
        if (place) latest.current.go(place.to)
        return
      }
      if (event.key === 'g') {
        isGoing = true
        later(1_500, () => (isGoing = false))
      } else if (event.key === '/') {
        event.preventDefault()
        const find = document.querySelector<HTMLInputElement>('main [data-find]')
        if (find) find.focus()
        else latest.current.openPalette()
      } else if (event.key === '?') latest.current.openKeys()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}
