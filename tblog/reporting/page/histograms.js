// Histograms: how they are distributed over the steps, and the one at a step.

function histogramCards() {
  return index.histograms.map(
    (one) => new Card(one.tag, { run: one.run, note: leftOut(one), prepare: () => jsonOf(one.block), show: (...given) => showHistograms(one, ...given) }),
  );
}

function showHistograms(one, content, shown, isWide) {
  if (!shown.length) return undefined;
  const color = colorOf(one.run);
  const over = make("div");
  const at = make("div");
  content.append(over, at);
  const plots = [];
  if (shown.length > 1) plots.push(drawChart(over, distribution(one, shown, color), isWide ? 300 : 170));
  let bars = null;
  content.insertBefore(
    stepSlider(one, (place) => {
      bars?.destroy();
      at.replaceChildren();
      bars = drawChart(at, barsOf(shown[place], color), isWide ? 240 : 150);
    }),
    at,
  );
  return () => [...plots, bars].forEach((plot) => plot?.destroy());
}

// Bands between quantiles, the widest the faintest, as on TensorBoard's page of distributions.
function distribution(one, shown, color) {
  const [xs, ...columns] = inOrder(
    Float64Array.from(one.steps),
    shown[0].quantiles.map((_, number) => shown.map((histogram) => histogram.quantiles[number])),
  );
  const last = columns.length - 1;
  const base = BigInt(one.base ?? 0);
  const names = ["minimum", "7 %", "16 %", "31 %", "median", "69 %", "84 %", "93 %", "maximum"];
  const series = columns.map((_, number) => ({
    label: names[number],
    color: number * 2 === last ? color : faint(color, 0.4),
    width: number * 2 === last ? 1.8 : 0.7,
    tell: (x, value) => [shortNumber(value), stepText(Math.round(x), base)],
  }));
  const bands = [0, 1, 2, 3].map((number) => ({ series: [last - number + 1, number + 1], fill: faint(color, 0.13) }));
  return { data: [xs, ...columns], series, bands, base };
}

function barsOf({ ends: [low, high], counts }, color) {
  const width = (high - low) / counts.length || 1;
  const xs = counts.map((_, bin) => low + bin * width);
  const label = "values from here on";
  const tell = (x, count) => [shortNumber(count), `${shortNumber(x)} to ${shortNumber(x + width)}`];
  const paths = uPlot.paths.bars({ size: [1], align: 1 });
  const data = [[...xs, xs.at(-1) + width], [...counts, null]];
  return { data, series: [{ label, color, width: 0.5, fill: faint(color, 0.5), paths, points: { show: false }, tell }] };
}
