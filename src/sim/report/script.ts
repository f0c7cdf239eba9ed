/**
 * What moves in the report: the reading under the pointer, or under the arrow keys, of a chart over days. Runs in a browser, so
 * it is text here; without it the report says the same, in its tables.
 */

export const reportScript = `
for (const figure of document.querySelectorAll('[data-chart]')) {
  const chart = JSON.parse(figure.querySelector('script').textContent)
  const plot = figure.querySelector('.plot'), cross = figure.querySelector('.cross'), reading = figure.querySelector('.reading')
  const last = Math.max(1, ...chart.series.map((series) => series.values.length - 1))
  const format = (value) => chart.unit === 'share' ? (value * 100).toFixed(3) + ' %' : Math.round(value).toLocaleString('en-US')
  let at = 0
  const show = (day) => {
    at = Math.max(0, Math.min(last, day))
    const share = chart.left + (at / last) * (1 - chart.left - chart.right)
    cross.setAttribute('x1', share * 720); cross.setAttribute('x2', share * 720)
    const date = new Date(chart.start + at * 86400000).toISOString().slice(0, 10)
    reading.textContent = 'day ' + at + ', ' + date + chart.series.map((series) => '\\n' + series.name + ': ' + (at < series.values.length ? format(series.values[at]) : '-')).join('')
    cross.toggleAttribute('hidden', false); reading.hidden = false
    reading.style.left = share < 0.5 ? share * 100 + 1 + '%' : 'auto'
    reading.style.right = share < 0.5 ? 'auto' : (1 - share) * 100 + 1 + '%'
  }
  const hide = () => { cross.toggleAttribute('hidden', true); reading.hidden = true }
  plot.addEventListener('pointermove', (event) => {
    const box = plot.getBoundingClientRect()
    show(Math.round((((event.clientX - box.left) / box.width - chart.left) / (1 - chart.left - chart.right)) * last))
  })
  plot.addEventListener('pointerleave', hide)
  figure.addEventListener('blur', hide)
  figure.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: 10, PageUp: -10 }[event.key]
    if (by === undefined || event.target !== figure) return
    event.preventDefault()
    show(at + by)
  })
}
`
