#include "tranche/report/style.h"

namespace tranche::html {

const std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #ffffff; --ink: #1b2028; --soft: #5b6471; --rule: #e2e5ea; --code: #f3f5f8;
  --good: #14794a; --good-soft: #e3f4eb; --warn: #96560a; --warn-soft: #fdf1dc; --bad: #b4232c; --bad-soft: #fce8e8;
  --c1: #2b62d9; --c2: #d9752b; --c3: #1c8f6b; --c4: #a34bb5; --c5: #b58900; --c6: #64748b;
  --input: #1c8f6b; --stage: #2b62d9; --store: #7a4bc9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --card: #1a1f26; --ink: #e6e9ee; --soft: #98a2b1; --rule: #2c333d; --code: #14181e;
    --good: #54cb92; --good-soft: #153226; --warn: #f0b155; --warn-soft: #37290f; --bad: #ff8080; --bad-soft: #3d1b1e;
    --c1: #7da4ff; --c2: #f2a366; --c3: #4fc79e; --c4: #cf8ae0; --c5: #e0bd4a; --c6: #94a3b8;
    --input: #4fc79e; --stage: #7da4ff; --store: #b195f5;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 36px 24px 56px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 44px 0 14px; }
h3 { font-size: 16px; margin: 0; overflow-wrap: anywhere; }
h4 { font-size: 13px; font-weight: 600; margin: 0 0 4px; color: var(--soft); }
p { margin: 0 0 10px; }
.soft { color: var(--soft); }
.small { font-size: 13px; }
header .top { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 14px; margin-bottom: 8px; }
.badge { border-radius: 99px; padding: 3px 12px; font-size: 13px; font-weight: 600; white-space: nowrap; }
.badge.good { color: var(--good); background: var(--good-soft); }
.badge.warn { color: var(--warn); background: var(--warn-soft); }
.badge.bad { color: var(--bad); background: var(--bad-soft); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px; break-inside: avoid; }
.card + .card { margin-top: 16px; }
.card > :last-child { margin-bottom: 0; }
.scroll { overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 22px 0 16px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; }
.tile span { color: var(--soft); font-size: 13px; }
.note { border-left: 4px solid var(--warn); background: var(--warn-soft); border-radius: 6px; padding: 10px 14px; margin: 12px 0; overflow-wrap: anywhere; }
.note.bad { border-color: var(--bad); background: var(--bad-soft); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 18px 28px; }
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px; margin-bottom: 14px; }
.head p { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 13px; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.number + td:not(.number), th.number + th:not(.number) { padding-left: 14px; }
td.text { overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
td.null { color: var(--soft); }
.yes { color: var(--good); font-weight: 600; white-space: nowrap; }
.no { color: var(--bad); font-weight: 600; white-space: nowrap; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
pre { background: var(--code); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; margin: 10px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin-top: 12px; }
details.card { margin-top: 0; padding: 14px 20px; }
details.card + details.card { margin-top: 10px; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; }
summary b { color: var(--ink); font-size: 15px; }
ol { margin: 12px 0 0; padding-left: 22px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 0; font-size: 14px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
svg text { fill: var(--ink); }
.share { max-width: 300px; margin-top: 4px; } .share rect { fill: var(--warn); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 2px 0 0 52px; font-size: 12px; color: var(--soft); }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; background: var(--key); }
.c1 { --key: var(--c1); } .c2 { --key: var(--c2); } .c3 { --key: var(--c3); }
.c4 { --key: var(--c4); } .c5 { --key: var(--c5); } .c6 { --key: var(--c6); }
.chart .grid { stroke: var(--rule); } .chart .axis { stroke: var(--soft); stroke-opacity: .5; }
.chart .tick { font-size: 11px; fill: var(--soft); }
.chart .name { font-size: 12px; } .chart .value { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.chart .line { fill: none; stroke: var(--key); stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.chart .area { fill: var(--key); fill-opacity: .12; }
.chart .dot { fill: var(--card); stroke: var(--key); stroke-width: 1.6; }
.chart .ghost { fill: transparent; } .chart .ghost:hover { fill: var(--key); }
.chart .bar { fill: var(--key); fill-opacity: .85; } .chart .bar:hover, .chart g:hover .bar { fill-opacity: 1; }
.chart .mark { stroke: var(--ink); stroke-opacity: .65; stroke-dasharray: 3 3; } .chart .note { font-size: 11.5px; font-weight: 600; }
.flow .column { font-size: 12px; fill: var(--soft); font-weight: 600; }
.flow .card rect { fill: var(--card); stroke: var(--kind); stroke-width: 1.4; }
.flow .input { --kind: var(--input); } .flow .stage { --kind: var(--stage); } .flow .store { --kind: var(--store); } .flow .card.bad { --kind: var(--bad); }
.flow .card.bad rect { stroke-width: 2.4; }
.flow .title { font-size: 14px; font-weight: 650; } .flow .subtitle { font-size: 11.5px; fill: var(--soft); }
.flow .number { font-size: 13px; font-variant-numeric: tabular-nums; }
.flow text.chip { font-size: 12px; fill: var(--tone); font-variant-numeric: tabular-nums; } .flow circle.chip { fill: var(--tone); }
.flow .chip.warn { --tone: var(--warn); } .flow .chip.mute { --tone: var(--soft); } .flow .chip.bad { --tone: var(--bad); }
.flow .band { fill: var(--stage); fill-opacity: .2; } .flow .band:hover { fill-opacity: .38; }
.flow .band.joined { fill: var(--c6); fill-opacity: .18; }
footer { margin-top: 44px; color: var(--soft); font-size: 13px; }
@media print {
  :root {
    color-scheme: light;
    --page: #fff; --card: #fff; --ink: #1b2028; --soft: #5b6471; --rule: #d8dce2; --code: #f6f7f9;
    --good: #14794a; --good-soft: #e3f4eb; --warn: #96560a; --warn-soft: #fdf1dc; --bad: #b4232c; --bad-soft: #fce8e8;
    --c1: #2b62d9; --c2: #d9752b; --c3: #1c8f6b; --c4: #a34bb5; --c5: #b58900; --c6: #64748b;
    --input: #1c8f6b; --stage: #2b62d9; --store: #7a4bc9;
  }
  @page { margin: 14mm; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { padding: 0; max-width: none; }
  body, table, dl, .card { font-size: 11px; }
  .card { padding: 12px; }
  .card + .card { margin-top: 10px; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  .tile b { font-size: 18px; }
  .pair { grid-template-columns: 1fr 1fr; }
  h1 { font-size: 22px; } h2 { font-size: 15px; margin-top: 22px; }
  th, td { padding: 3px 10px 3px 0; }
  .card details:not([open]) { display: none; }
  h2 { break-after: avoid; }
  .scroll { overflow: visible; }
  .flow { min-width: 0 !important; }
  summary { list-style: none; }
}
)css";

}  // namespace tranche::html
