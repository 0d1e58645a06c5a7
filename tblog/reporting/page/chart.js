// One chart: uPlot with the page's colours, and a box that tells what is under the pointer.

const NEAR_PIXELS = 40;
const SAME_PIXELS = 2;
const MOST_TOLD = 12;
const SHARES = [-0.02, 1.05];

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// The place of the value next to `at` in a column that has holes, or null if none is near on the screen.
function nearest(plot, column, at) {
  const xs = plot.data[0];
  for (let away = 0; away < xs.length; away++) {
    const found = [at - away, at + away].find((place) => column[place] !== undefined && column[place] !== null);
    if (found !== undefined) {
      const pixels = plot.valToPos(xs[found], "x") - plot.valToPos(xs[at], "x");
      return Math.abs(pixels) <= NEAR_PIXELS ? pointedAt(plot, column, found) : null;
    }
    if (at - away < 0 && at + away >= xs.length) return null;
  }
  return null;
}

// Where many points lie under the pointer, the one that it points at: so the tip of a spike can be read.
function pointedAt(plot, column, near) {
  const xs = plot.data[0];
  const center = plot.valToPos(xs[near], "x");
  const away = (place) => Math.abs(plot.valToPos(column[place], "y") - plot.cursor.top);
  let best = near;
  for (const step of [-1, 1]) {
    for (let place = near + step; place >= 0 && place < xs.length; place += step) {
      if (Math.abs(plot.valToPos(xs[place], "x") - center) > SAME_PIXELS) break;
      if (column[place] !== undefined && column[place] !== null && away(place) < away(best)) best = place;
    }
  }
  return best;
}

// The places of values that have no line to a neighbour, which would not be seen: they are drawn as points.
function lonely(plot, number) {
  const column = plot.data[number];
  const known = [...column.keys()].filter((place) => column[place] !== undefined);
  const isGap = (at) => (column[known[at]] ?? null) === null;
  return known.filter((_, at) => !isGap(at) && isGap(at - 1) && isGap(at + 1));
}

// `spare` is the share of its width that is left empty at both ends, `only` the one place at which all points are.
function rangeOf({ logX: isLog, spare = 0, only = null }) {
  return (_plot, first, last) => {
    if (first === null) return isLog ? [1, 10] : [0, 1];
    const [low, high] = only === null ? [first, last] : [only, only];
    const more = isLog ? 0 : (high - low) * spare;
    if (low < high) return [low - more, high + more];
    return isLog ? [low / 2, low * 2] : [low - 0.5, low + 0.5];
  };
}

function axis(texts, size, space) {
  return {
    stroke: cssColor("--text"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: cssColor("--grid"), width: 1 },
    ticks: { stroke: cssColor("--grid"), width: 1, size: 4 },
    gap: 4,
    size,
    ...(space && { space }),
    ...(texts && { values: (plot, splits) => texts(splits, plot) }),
  };
}

function sizeOfNumbers(_plot, texts) {
  return 14 + TEXT_PIXELS * Math.max(3, ...(texts ?? []).map((text) => (text ?? "").length));
}

// The horizontal axis: its texts, as many as there is room for.
function axisOfX({ isTime, formatX, logX, base }, exponent) {
  if (isTime) return axis(null, 30);
  if (formatX) return axis((splits) => splits.map((value) => (value === null ? "" : formatX(inUnit(value, -exponent)))), 30);
  const distance = (_plot, _number, low, high) => (logX ? 50 : distanceOfTicks(low, high, { exponent, base }));
  return axis((splits, plot) => withRoom(plot, splits, tickTexts(splits, { exponent, base })), 30, distance);
}

// `what` is {data, series: [{label, color, width, fill, paths, dash, tell}], bands, logX, logY, isTime, isShare, formatX, spare, only,
// base}; `base` is the whole number from which x is counted.
function drawChart(target, what, height) {
  const [xs, ...columns] = what.data;
  const exponents = { x: what.isTime ? 0 : unitOf([xs], what.logX, SURE_DIGITS - 2), y: unitOf(columns, what.logY) };
  const inUnits = (column, exponent) => (exponent ? Array.from(column, (value) => inUnit(value, exponent)) : column);
  const data = [inUnits(xs, exponents.x), ...columns.map((column) => inUnits(column, exponents.y))];
  const range = rangeOf({ ...what, only: inUnit(what.only, exponents.x) });
  const box = make("div", { className: "told", hidden: true, "aria-live": "polite" });
  const options = {
    width: Math.max(160, target.clientWidth),
    height,
    legend: { show: false },
    padding: [8, 10, 0, 0],
    cursor: {
      drag: { x: true, y: true, uni: 30 },
      points: { size: 6 },
      dataIdx: (plot, number, at) => (number === 0 ? at : nearest(plot, plot.data[number], at)),
    },
    scales: {
      x: { time: Boolean(what.isTime), distr: what.logX ? 3 : 1, range: what.isShare ? SHARES : range },
      y: { distr: what.logY ? 3 : 1, ...(what.isShare && { range: SHARES }) },
    },
    axes: [axisOfX(what, exponents.x), axis((splits) => tickTexts(splits, { exponent: exponents.y }), sizeOfNumbers)],
    series: [
      {},
      ...what.series.map((one) => ({
        stroke: one.color,
        width: one.width,
        fill: one.fill,
        dash: one.dash,
        points: one.points ?? { show: false, filter: lonely },
        ...(one.paths && { paths: one.paths }),
      })),
    ],
    bands: what.bands ?? [],
    hooks: { setCursor: [(plot) => tell(plot, what, box)] },
  };
  const plot = new uPlot(options, data, target);
  plot.over.append(box);
  plot.root.setAttribute("role", "group");
  plot.root.setAttribute("aria-roledescription", "chart");
  plot.root.setAttribute("aria-label", `${what.series.filter((one) => one.tell).length} curves. Keys: arrows, plus, minus, 0`);
  zoomByTouch(plot);
  useKeys(plot);
  return plot;
}

function tell(plot, what, box) {
  const { left, top, idxs } = plot.cursor;
  const lines = what.series
    .map((one, number) => ({ one, number: number + 1, at: idxs?.[number + 1] }))
    .filter(({ one, at }) => one.tell && at !== null && at !== undefined)
    .map((line) => ({ ...line, away: Math.abs(plot.valToPos(plot.data[line.number][line.at], "y") - top) }))
    .sort((first, second) => first.away - second.away);
  box.hidden = left < 0 || !lines.length;
  if (box.hidden) return;
  const rows = lines.slice(0, MOST_TOLD).map(({ one, at, number }) =>
    make(
      "tr",
      {},
      make("td", { textContent: "●" }),
      make("td", { textContent: one.label }),
      ...one.tell(what.data[0][at], what.data[number][at]).map((text) => make("td", { textContent: text })),
    ),
  );
  rows.forEach((row, place) => (row.firstChild.style.color = lines[place].one.color));
  if (lines.length > MOST_TOLD) {
    rows.push(make("tr", {}, make("td"), make("td", { textContent: `and ${lines.length - MOST_TOLD} more` })));
  }
  box.replaceChildren(make("table", {}, ...rows));
  const room = plot.over.clientWidth;
  box.style.left = left < room / 2 ? `${left + 12}px` : "auto";
  box.style.right = left < room / 2 ? "auto" : `${room - left + 12}px`;
  box.style.top = `${Math.max(0, top - 20)}px`;
}
