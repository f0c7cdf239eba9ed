/** Light, dark, or as the machine says. */
import { kept } from '../base/kept.ts'

const choice = kept('theme', 'auto')
const machine = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()

function shade(): 'light' | 'dark' {
  const value = choice.read()
  if (value === 'light' || value === 'dark') return value
  return machine.matches ? 'dark' : 'light'
}

function apply(): void {
  document.documentElement.dataset['theme'] = shade()
  for (const listener of listeners) listener()
}

export const theme = {
  apply,
  shade,
  choice: () => choice.read(),
  choose(value: 'light' | 'dark' | 'auto'): void {
    choice.write(value)
    apply()
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

machine.addEventListener('change', apply)
