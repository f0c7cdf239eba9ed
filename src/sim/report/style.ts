/** The style of the report: in the file itself, because the report is one file that may be sent by mail. */

export const reportStyle = `
:root { color-scheme: light dark; --ground: #fbfaf7; --sheet: #fff; --ink: #1d2327; --soft: #5c666d; --rule: #e2ded5;
  --good: #17694a; --good-ground: #e3f1ea; --bad: #9c2f1f; --bad-ground: #fbe7e2; --mark: #8a6d1b;
  --c0: #1f5f8b; --c1: #c2571a; --c2: #2a8a6a; --c3: #8d4a86; --c4: #b08a12; --c5: #4a4f8f; --c6: #7a7f83; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --sheet: #1b2024; --ink: #e7e9ea; --soft: #9aa5ac;
  --rule: #2d353b; --good: #74d3a7; --good-ground: #16302a; --bad: #ff9d85; --bad-ground: #3a1d18; --mark: #e3bf5a;
  --c0: #6cb4e4; --c1: #f0975a; --c2: #5fcaa5; --c3: #cf93ca; --c4: #e3c152; --c5: #9ba1ee; --c6: #9ca3a8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1560px; margin: 0 auto; padding: 28px clamp(16px, 3vw, 44px) 60px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em; text-wrap: balance; }
h2 { font-size: 18px; margin: 40px 0 12px; }
h3 { font-size: 15px; margin: 0; }
p { margin: 0 0 10px; max-width: 90ch; }
.soft, figcaption p { color: var(--soft); font-size: 13px; }
figcaption p { margin: 2px 0 6px; }
.verdict { display: grid; grid-template-columns: auto 1fr; gap: 4px 18px; align-items: baseline; margin: 20px 0; padding: 16px 20px;
  border-radius: 8px; background: var(--good-ground); border-left: 5px solid var(--good); }
.verdict.missed { background: var(--bad-ground); border-color: var(--bad); }
.verdict strong { font-size: 26px; font-variant-numeric: tabular-nums; color: var(--good); }
.verdict.missed strong { color: var(--bad); }
.verdict .scale { grid-column: 1 / -1; position: relative; height: 10px; border-radius: 5px; background: var(--sheet); }
.verdict .scale b { position: absolute; inset: 0 auto 0 0; border-radius: 5px; background: var(--good); min-width: 3px; }
.verdict.missed .scale b { background: var(--bad); }
.verdict .scale i { position: absolute; top: -4px; bottom: -4px; width: 2px; background: var(--ink); }
.notice { margin: 16px 0; padding: 12px 16px; border: 1px solid var(--mark); border-radius: 8px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(168px, 1fr)); background: var(--sheet); border: 1px solid var(--rule);
  border-radius: 8px; overflow: hidden; margin: 0; }
.facts div { padding: 10px 14px; box-shadow: 1px 1px 0 var(--rule); }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
.facts dd small { font-size: 13px; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 18px; }
.chart { margin: 0; padding: 14px 16px 10px; background: var(--sheet); border: 1px solid var(--rule); border-radius: 8px; min-width: 0; }
.chart:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; }
.plot { position: relative; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid line { stroke: var(--rule); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.area { stroke: none; fill-opacity: .82; }
.marker line { stroke: var(--mark); stroke-dasharray: 3 3; } .marker path { fill: var(--mark); }
.cross { stroke: var(--ink); stroke-width: 1; } .cross[hidden] { display: none; }
.reading { position: absolute; top: 4px; padding: 6px 10px; border-radius: 6px; background: var(--ink); color: var(--sheet); font-size: 12px;
  white-space: pre; pointer-events: none; font-variant-numeric: tabular-nums; z-index: 1; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; margin: 0 0 8px; padding: 0; font-size: 13px; }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
.legend .mark { background: var(--mark); border-radius: 50%; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); } .line.c3 { stroke: var(--c3); }
.line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); } .line.c6 { stroke: var(--c6); }
.area.c0, .bar.c0 { fill: var(--c0); } .area.c1, .bar.c1 { fill: var(--c1); } .area.c2, .bar.c2 { fill: var(--c2); }
.area.c3, .bar.c3 { fill: var(--c3); } .area.c4, .bar.c4 { fill: var(--c4); } .area.c5, .bar.c5 { fill: var(--c5); } .area.c6, .bar.c6 { fill: var(--c6); }
i.c0 { background: var(--c0); } i.c1 { background: var(--c1); } i.c2 { background: var(--c2); } i.c3 { background: var(--c3); }
i.c4 { background: var(--c4); } i.c5 { background: var(--c5); } i.c6 { background: var(--c6); }
.funnel { display: grid; grid-template-columns: max-content 1fr max-content; gap: 7px 14px; align-items: center; font-variant-numeric: tabular-nums; }
.funnel b { display: block; height: 22px; border-radius: 3px; background: var(--c0); min-width: 2px; }
details { margin-top: 8px; font-size: 13px; } summary { cursor: pointer; color: var(--soft); }
.scroll { overflow: auto; max-height: 320px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
.wide { width: 100%; background: var(--sheet); border: 1px solid var(--rule); }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 600; } th[scope=row], td.text, th.text { text-align: left; } td.text { max-width: 62ch; }
tr.missed td, tr.missed th { color: var(--bad); }
.tag { display: inline-block; padding: 0 8px; border-radius: 9px; border: 1px solid var(--rule); font-size: 12px; white-space: nowrap; }
.tag.story { border-color: var(--c0); color: var(--c0); } .tag.assumption { border-color: var(--c1); color: var(--c1); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
@media print { .chart { break-inside: avoid; } details { display: none; } }
`
