/**
 * The browser refuses every string that would become markup or script (Content-Security-Policy: require-trusted-types-for).
 * The chart library empties an element with `innerHTML = ''`: only that is let through.
 */
interface Policies {
  createPolicy(name: string, rules: Record<string, (text: string) => string>): unknown
}

export function refuseMarkup(): void {
  const policies = (globalThis as { trustedTypes?: Policies }).trustedTypes
  policies?.createPolicy('default', {
    createHTML: (text) => {
      if (text !== '') throw new TypeError('markup from a string')
      return text
    },
  })
}
