// The style sheet of the report's page. Colours of series are s0 to s6, as svg.hpp numbers them.
#pragma once

namespace takt::tool {

inline constexpr const char* kStyle = R"(
:root {
  --ink: #1a1c1f; --soft: #5c6269; --line: #d9dce0; --ground: #fff; --shade: #f4f5f7;
  --s0: #0b5fd6; --s1: #c2410c; --s2: #15803d; --s3: #9333ea; --s4: #0e7490; --s5: #be185d; --s6: #8a9099;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8eb; --soft: #a0a7b0; --line: #3a3f46; --ground: #15171a; --shade: #1f2226;
    --s0: #6ea8fe; --s1: #fb923c; --s2: #4ade80; --s3: #c084fc; --s4: #22d3ee; --s5: #f472b6; --s6: #8b929b;
  }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 1180px; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.6rem; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-top: 1px solid var(--line); padding-top: 1rem; }
p, li { max-width: 75ch; }
code { background: var(--shade); padding: 0 .25em; border-radius: 3px; font-size: .92em; }
.row { display: flex; flex-wrap: wrap; gap: .4rem 2rem; align-items: flex-start; }
.scroll { overflow-x: auto; margin: .8rem 0; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; white-space: nowrap; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { font-weight: 600; border-bottom-color: var(--soft); }
td.n, th.n { text-align: right; }
tr.own td { font-weight: 600; background: var(--shade); }
figure { margin: .6rem 0; }
figcaption { font-size: 13px; color: var(--soft); max-width: 60ch; }
figcaption b { color: var(--ink); }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); }
)";

}  // namespace takt::tool
