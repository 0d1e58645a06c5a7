// Precision and recall: a card for each tag with all runs over each other, at one step.

function prCards() {
  const byTag = new Map();
  for (const one of index.prCurves) byTag.set(one.tag, [...(byTag.get(one.tag) ?? []), one]);
  return [...byTag].map(([tag, runs]) => {
    const note = [...new Set(runs.map(leftOut).filter(Boolean))].join("; ");
    const steps = [...new Set(runs.flatMap((one) => one.steps))].sort((one, other) => one - other);
    const all = { base: runs[0].base, steps, times: [] };
    const prepare = () => Promise.all(runs.map(async (one) => ({ ...one, shown: await jsonOf(one.block) })));
    return new Card(tag, { note, prepare, show: (...given) => showPrCurves(all, ...given), reacts: true });
  });
}

function showPrCurves(all, content, runs, isWide) {
  if (!all.steps.length) return undefined;
  const place = make("div");
  content.append(place);
  let plot = null;
  const row = stepSlider(all, (at) => {
    plot?.destroy();
    plot = null;
    const lines = runs.filter((one) => !settings.hidden.has(one.run)).map((one) => prLine(one, all.steps[at])).filter(Boolean);
    place.replaceChildren(...(lines.length ? [] : [make("p", { className: "nothing", textContent: "No run has a curve here." })]));
    if (!lines.length) return;
    const tables = lines.map((line) => line.table);
    const data = tables.length > 1 ? uPlot.join(tables) : tables[0];
    plot = drawChart(place, { data, series: lines.map((line) => line.series), isShare: true }, isWide ? 420 : 220);
  });
  content.prepend(row);
  return () => plot?.destroy();
}

// What a run had last at a step.
function prLine(one, step) {
  const place = one.steps.reduce((best, other, at) => (other <= step && (best < 0 || other >= one.steps[best]) ? at : best), -1);
  if (place < 0) return null;
  const { recall, precision, thresholds } = one.shown[place];
  const [xs, ys, marks] = inOrder(Float64Array.from(recall), [precision, thresholds]);
  const tell = (x, y) => [
    `precision ${shortNumber(y)}`,
    `recall ${shortNumber(Math.min(1, x))}`,
    `threshold ${shortNumber(marks[xs.indexOf(x)])}`,
    stepText(one.steps[place], BigInt(one.base ?? 0)),
  ];
  const series = { label: index.runs[one.run], color: colorOf(one.run), width: 1.5, tell };
  return { table: [xs, ys], series };
}
