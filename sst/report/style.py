"""The style sheet of a report's page, for light and dark displays."""

STYLE = """
:root {
  color-scheme: light dark;
  --line: #8884; --soft: #8881; --dim: #777; --good: #2a8f4f; --bad: #c2553a;
}
body {
  font: 15px/1.5 system-ui, sans-serif;
  max-width: 1240px; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .3rem; }
p, ul { max-width: 52rem; }
code { overflow-wrap: anywhere; }
.dim, small { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td {
  padding: .3rem .55rem; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line);
}
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 10rem; }
thead th { font-weight: 600; }
small { display: block; font-weight: 400; font-size: .75rem; }
tr.ours td { background: var(--soft); font-weight: 600; }
tr.ours td small { font-weight: 400; }
.met { color: var(--good); }
.missed { color: var(--bad); }
.heat td { text-align: center; min-width: 2.4rem; }
.heat td:first-child { text-align: left; }
.sounds td, .sounds th { text-align: left; padding: .4rem; }
.sounds td:first-child { max-width: 13rem; overflow-wrap: anywhere; font-size: .85rem; }
.sounds img { width: 140px; height: 84px; display: block; image-rendering: pixelated; }
.files td, .files th { text-align: left; white-space: normal; }
.files td:first-child { min-width: 16rem; overflow-wrap: anywhere; }
audio { width: 140px; height: 28px; display: block; margin-top: 2px; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem 1rem; max-width: 52rem; }
"""
