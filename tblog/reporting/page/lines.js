// Curves -> what is drawn of them: smoothed, on the chosen axis, one line for each run or a band for each group.

// As TensorBoard draws it: an exponential mean whose start is debiased; a constant curve stays what it is.
function smoothed(values, weight) {
  let first;
  if (values.every((value) => !Number.isFinite(value) || value === (first ??= value))) return values;
  let sum = 0;
  let count = 0;
  return values.map((value) => {
    if (!Number.isFinite(value)) return NaN;
    sum = sum * weight + (1 - weight) * value;
    count += 1;
    return weight === 1 ? sum : sum / (1 - weight ** count);
  });
}

// Steps are counted from the tag's base, where a browser could not tell them apart otherwise; not for logarithms.
function positions(curve) {
  if (settings.axis === "step") return settings.logX ? curve.steps.map((step) => step + Number(curve.base)) : curve.steps;
  if (settings.axis === "wall") return curve.times;
  return curve.times.map((time) => time - curve.times[0]);
}

// In the order of x, each x once: uPlot draws from left to right, and points at one x must not hide each other.
function inOrder(xs, columns) {
  const order = [...xs.keys()].sort((one, other) => xs[one] - xs[other]);
  const least = Math.max(1e-9, 1e-12 * Math.abs(xs[order.at(-1)]));
  let last = -Infinity;
  const ordered = order.map((row) => (last = Math.max(xs[row], last + least)));
  return [ordered, ...columns.map((column) => order.map((row) => column[row]))];
}

// NaN is a gap in the curve; undefined is a point that another column has, and this one has not.
function drawable(values, hole) {
  return values.map((value) => {
    if (Number.isNaN(value)) return hole;
    return isDrawable(value) && (!settings.logY || value > 0) ? value : null;
  });
}

// {label, color, only, xs, raw, line}: raw is null where the line is the curve itself; only is the one place of all points, if any.
function lineOf(curve) {
  const source = curve.means ?? curve.values;
  const places = positions(curve);
  const isSmoothed = settings.weight > 0 && curve.points > 1;
  let [xs, raw, line] = inOrder(places, [curve.values, source]);
  line = isSmoothed || settings.grouping !== "runs" ? smoothed(line, settings.weight) : null;
  if (settings.logX) {
    const keep = (_, row) => xs[row] > 0;
    [raw, line] = [raw.filter(keep), line?.filter(keep)];
    xs = xs.filter((x) => x > 0);
  }
  return {
    run: curve.run,
    label: index.runs[curve.run],
    color: colorOf(curve.run),
    only: places.every((place) => place === places[0]) ? places[0] : null,
    xs,
    raw: drawable(raw, null),
    line: line && drawable(line, curve.means ? undefined : null),
  };
}

function baseOf(curves) {
  return settings.axis === "step" && !settings.logX ? curves[0].base : 0n;
}

function tellX(x, base) {
  if (settings.axis === "wall") return moment(x);
  return settings.axis === "relative" ? duration(x) : stepText(Math.round(x), base);
}

// What drawChart takes, for the curves of one tag; null if there is nothing to draw.
function picture(curves) {
  const lines = curves.filter((curve) => !settings.hidden.has(curve.run)).map(lineOf);
  const base = baseOf(curves);
  const parts = settings.grouping === "runs" ? lines.map((line) => runPart(line, base)) : groupParts(lines, base);
  const shown = parts.filter((part) => part.table[0].length);
  if (!shown.length) return null;
  const bands = [];
  const series = [];
  for (const part of shown) {
    if (part.band) bands.push({ series: part.band.map((place) => series.length + 1 + place), fill: part.fill });
    series.push(...part.series);
  }
  const data = shown.length > 1 ? uPlot.join(shown.map((part) => part.table)) : shown[0].table;
  const { logX, logY, axis } = settings;
  const only = lines.every((line) => line.only === lines[0].only) ? lines[0].only : null;
  return { data, series, bands, only, logX, logY, base, isTime: axis === "wall", formatX: axis === "relative" ? duration : null };
}

function runPart({ label, color, xs, raw, line }, base) {
  const tell = (x, value) => [shortNumber(value), tellX(x, base)];
  if (!line) return { table: [xs, raw], series: [{ label, color, width: 1.5, tell }] };
  return {
    table: [xs, raw, line],
    series: [
      { label, color: faint(color, 0.3), width: 1 },
      { label, color, width: 1.8, tell },
    ],
  };
}

function groupParts(lines, base) {
  const groups = new Map();
  for (const line of lines) {
    const name = groupOf(line.label);
    groups.set(name, [...(groups.get(name) ?? []), line]);
  }
  return [...groups].map(([name, members]) => groupPart(name, members, base));
}

function groupPart(name, members, base) {
  const known = members.map(({ xs, line }) => {
    const rows = [...xs.keys()].filter((row) => line[row] !== undefined && line[row] !== null);
    return { xs: rows.map((row) => xs[row]), ys: rows.map((row) => line[row]) };
  });
  const xs = [...new Set(known.flatMap((one) => one.xs))].sort((one, other) => one - other);
  const columns = known.map((one) => between(one, xs));
  const rows = xs.map((_, row) => spread(columns.map((column) => column[row]).filter((value) => value !== null)));
  const color = members[0].color;
  const label = members.length > 1 ? `${name} (${members.length} runs)` : members[0].label;
  const tell = (x, value) => {
    const row = rows[xs.indexOf(x)];
    return [row && members.length > 1 ? `${shortNumber(value)} (${shortNumber(row.low)} to ${shortNumber(row.high)})` : shortNumber(value), tellX(x, base)];
  };
  const edge = { label: name, color: faint(color, 0.35), width: 0.5 };
  return {
    table: [xs, rows.map((row) => row.high), rows.map((row) => row.low), rows.map((row) => row.mean)],
    series: [edge, edge, { label, color, width: 2, tell }],
    band: [0, 1],
    fill: faint(color, 0.18),
  };
}

// The values of a line at these places, straight between its points; null outside of it.
function between({ xs, ys }, places) {
  let row = 0;
  return places.map((x) => {
    while (row + 1 < xs.length && xs[row + 1] <= x) row += 1;
    if (!xs.length || x < xs[0] || x > xs.at(-1)) return null;
    if (xs[row] === x || row + 1 === xs.length) return ys[row];
    return ys[row] + ((ys[row + 1] - ys[row]) * (x - xs[row])) / (xs[row + 1] - xs[row]);
  });
}

function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (settings.grouping === "range") return { mean, low: Math.min(...values), high: Math.max(...values) };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0;
  const low = mean - deviation;
  return { mean, low: settings.logY && low <= 0 ? null : low, high: mean + deviation };
}
