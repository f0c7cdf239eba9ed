/** An ECharts picture on a canvas. Loaded only by pages that have one. */
import { BarChart, LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TooltipComponent } from 'echarts/components'
import { init, use, type ECharts, type EChartsCoreOption } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'
import { useEffect, useRef, useSyncExternalStore, type ReactNode } from 'react'
import { theme } from '../design/theme.ts'

use([
  BarChart,
  LineChart,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TooltipComponent,
  CanvasRenderer,
])

export interface Palette {
  readonly ink: string
  readonly ink2: string
  readonly line: string
  readonly sheet: string
  readonly accent: string
  readonly well: string
  readonly watch: string
  readonly act: string
  readonly wait: string
  readonly idle: string
}

function paletteNow(): Palette {
  const style = getComputedStyle(document.documentElement)
  const read = (name: string): string => style.getPropertyValue(name).trim()
  return {
    ink: read('--ink'),
    ink2: read('--ink-2'),
    line: read('--line'),
    sheet: read('--raised'),
    accent: read('--accent'),
    well: read('--well-state'),
    watch: read('--watch-state'),
    act: read('--act-state'),
    wait: read('--wait-state'),
    idle: read('--idle-state'),
  }
}

/** Series that stand beside each other, apart in lightness as well as in hue. */
export function seriesColours(palette: Palette): string[] {
  return [palette.accent, palette.wait, palette.watch, palette.idle, palette.act, palette.ink2]
}

interface ChartProps {
  /** What a person who does not see it is told; the table twin has the numbers. */
  readonly label: string
  readonly option: (palette: Palette) => EChartsCoreOption
  readonly isLow?: boolean
  readonly onPick?: (name: string, series: string) => void
}

export function Chart({ label, option, isLow, onPick }: ChartProps): ReactNode {
  const element = useRef<HTMLDivElement>(null)
  const chart = useRef<ECharts | null>(null)
  const shade = useSyncExternalStore(theme.subscribe, theme.shade)
  const pick = useRef(onPick)
  pick.current = onPick

  useEffect(() => {
    if (!element.current) return undefined
    const made = init(element.current)
    chart.current = made
    made.on('click', ({ name, seriesName }) => pick.current?.(name, seriesName ?? ''))
    const resize = new ResizeObserver(() => made.resize())
    resize.observe(element.current)
    return () => {
      resize.disconnect()
      made.dispose()
      chart.current = null
    }
  }, [])
  useEffect(() => {
    const palette = paletteNow()
    chart.current?.setOption({ ...frame(palette), ...option(palette) }, { replaceMerge: ['series'] })
  }, [option, shade])
  return <div ref={element} className={`chart ${isLow ? 'low' : ''}`} role="img" aria-label={label} />
}

/** What all charts have: the page’s own type, quiet lines, a tooltip that is drawn and is no HTML. */
function frame(palette: Palette): EChartsCoreOption {
  const text = { color: palette.ink2, fontSize: 11 }
  return {
    animationDuration: 300,
    animationDurationUpdate: 200,
    color: seriesColours(palette),
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: palette.ink2 },
    grid: { left: 8, right: 16, top: 48, bottom: 8, containLabel: true },
    tooltip: {
      trigger: 'axis',
      renderMode: 'richText',
      backgroundColor: palette.sheet,
      borderColor: palette.line,
      textStyle: { ...text, color: palette.ink, fontSize: 12 },
      axisPointer: { type: 'shadow', shadowStyle: { opacity: 0.08 } },
    },
    legend: { type: 'scroll', top: 0, left: 0, itemWidth: 12, itemHeight: 8, textStyle: text, icon: 'rect' },
  }
}

export function categoryAxis(palette: Palette, data: readonly string[]): object {
  return {
    type: 'category',
    data,
    axisLine: { lineStyle: { color: palette.line } },
    axisTick: { show: false },
    axisLabel: { color: palette.ink2, fontSize: 11, hideOverlap: true },
  }
}

export function valueAxis(palette: Palette, name?: string): object {
  return {
    type: 'value',
    minInterval: 1,
    ...(name === undefined
      ? {}
      : { name, nameTextStyle: { color: palette.ink2, fontSize: 11, align: 'left' } }),
    splitLine: { lineStyle: { color: palette.line } },
    axisLabel: { color: palette.ink2, fontSize: 11 },
  }
}
