// Parallel coordinates: an axis for each column, and a line for each run. Charts of this kind uPlot has not.
// Dragging along an axis keeps the lines that pass there.

const MOST_AXES = 10;
const LEAST_AXIS_WIDTH = 74;
const LOG_FROM = 50;
const AXIS_HEIGHT = 300;
const LETTER_WIDTH = 6.6;
const MARGIN = { top: 34, bottom: 12, side: 50 };

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function cut(text, most) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

// {name, shareOf(row), ticks: [[share, text]]}; a share of the height, or null where a run has no value.
function parallelAxis(column, rows) {
  const values = rows.map(column.valueOf).filter((value) => value !== null && value !== undefined);
  const numbers = values.filter((value) => typeof value === "number");
  if (column.isMetric || numbers.length === values.length) return numberAxis(column, numbers);
  const texts = [...new Set(values)].sort(compared);
  const share = (place) => (texts.length > 1 ? place / (texts.length - 1) : 0.5);
  const shareOf = (row) => (texts.includes(column.valueOf(row)) ? share(texts.indexOf(column.valueOf(row))) : null);
  const every = Math.ceil(texts.length / 20);
  const ticks = texts.map((text, place) => [share(place), cellText(text)]).filter((_, place) => place % every === 0);
  return { name: column.name, shareOf, ticks };
}

function numberAxis(column, numbers) {
  const least = numbers.reduce((one, other) => Math.min(one, other), Infinity);
  const most = numbers.reduce((one, other) => Math.max(one, other), -Infinity);
  const isLog = least > 0 && most / least >= LOG_FROM;
  const scale = (value) => (isLog ? Math.log10(value) : value / 2);
  const [low, high] = [scale(least), scale(most)];
  const share = (value) => (low < high ? (scale(value) - low) / (high - low) : 0.5);
  const shareOf = (row) => (typeof column.valueOf(row) === "number" ? share(column.valueOf(row)) : null);
  const middle = (part) => (isLog ? 10 ** (low + part * (high - low)) : 2 * (low + part * (high - low)));
  const parts = low < high ? [0, 0.25, 0.5, 0.75, 1] : [0.5];
  const ticks = numbers.length ? parts.map((part) => [part, String(Number(middle(part).toPrecision(3)))]) : [];
  return { name: isLog ? `${column.name} (log)` : column.name, shareOf, ticks };
}

function parallelCard(columns, rows) {
  const isVaried = (column) => new Set(rows.map(column.valueOf)).size > 1;
  const varied = columns.filter(isVaried);
  const first = [...varied.filter((column) => !column.isMetric).slice(0, MOST_AXES - 3), ...varied.filter((column) => column.isMetric)];
  const chosen = new Set((first.length > 1 ? first : columns).slice(0, MOST_AXES));
  let colored = null;
  const card = new Card("Parallel coordinates", {
    prepare: async () => rows,
    show: (content) => showParallel(content, columns.filter((column) => chosen.has(column)), rows, colored),
  });
  card.element.classList.add("wide");
  const boxes = columns.map((column) =>
    tick(column.name, chosen.has(column), (isChosen) => {
      if (isChosen) chosen.add(column);
      else chosen.delete(column);
      card.draw();
    }),
  );
  const colors = [["", "run"], ...columns.map((column, number) => [number, column.name])];
  const recolor = (number) => {
    colored = number === "" ? null : columns[Number(number)];
    card.draw();
  };
  const controls = make(
    "div",
    { className: "pair controls" },
    labelled("color by", choice(colors, "", recolor)),
    make("details", { className: "columns" }, make("summary", { textContent: "axes" }), make("div", {}, ...boxes)),
  );
  card.element.insertBefore(controls, card.content);
  return card;
}

function showParallel(content, columns, rows, colored) {
  if (columns.length < 2) {
    content.append(make("p", { className: "nothing", textContent: "Choose two axes or more." }));
    return;
  }
  const axes = columns.map((column) => parallelAxis(column, rows));
  const gap = Math.max(LEAST_AXIS_WIDTH, (content.clientWidth - 2 * MARGIN.side) / (axes.length - 1));
  const [width, height] = [gap * (axes.length - 1) + 2 * MARGIN.side, AXIS_HEIGHT + MARGIN.top + MARGIN.bottom];
  const x = (number) => MARGIN.side + number * gap;
  const y = (share) => MARGIN.top + (1 - share) * AXIS_HEIGHT;
  const told = make("output", { className: "note" });
  const tone = colored && parallelAxis(colored, rows);
  const lines = rows.map((row) => {
    const places = axes.map((axis, number) => ({ x: x(number), share: axis.shareOf(row) }));
    const path = svg("path", { d: pathOf(places, y), class: "run" });
    path.style.stroke = tone ? toneOf(tone.shareOf(row)) : colorOf(row.run);
    const text = [index.runs[row.run], ...columns.map((column) => `${column.name}: ${cellText(column.valueOf(row))}`)].join(", ");
    path.append(svg("title", {}, text));
    path.onpointerenter = () => (told.textContent = text);
    return { row, path };
  });
  const ranges = new Map();
  const narrow = (axis, range) => {
    if (range) ranges.set(axis, range);
    else ranges.delete(axis);
    const passes = (row) => [...ranges].every(([one, [low, high]]) => one.shareOf(row) !== null && one.shareOf(row) >= low && one.shareOf(row) <= high);
    let left = 0;
    for (const { row, path } of lines) {
      const isKept = passes(row);
      left += isKept;
      path.classList.toggle("faded", !isKept);
    }
    told.textContent = ranges.size ? `${left} of ${rows.length} runs` : "";
  };
  const drawn = axes.map((axis, number) => drawAxis(axis, x(number), y, gap, (range) => narrow(axis, range)));
  const label = `Parallel coordinates of ${rows.length} runs over ${axes.map((axis) => axis.name).join(", ")}; the table above has their values`;
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  picture.append(svg("g", {}, ...lines.map(({ path }) => path)), ...drawn);
  content.append(make("div", { className: "parallel" }, picture), told);
}

// A run without a value on an axis has a gap there.
function pathOf(places, y) {
  let isDown = false;
  const parts = places.map(({ x, share }) => {
    if (share === null) {
      isDown = false;
      return "";
    }
    const part = `${isDown ? "L" : "M"}${x.toFixed(1)} ${y(share).toFixed(1)}`;
    isDown = true;
    return part;
  });
  return parts.join("");
}

function toneOf(share) {
  return share === null ? "var(--dim)" : `hsl(${Math.round(255 - 225 * share)} 75% 52%)`;
}

// An axis with its name and ticks; `onRange` gets the shares that were dragged over, or null after a tap.
function drawAxis({ name, ticks }, x, y, gap, onRange) {
  const letters = Math.floor(Math.min(gap, 2 * MARGIN.side) / LETTER_WIDTH);
  const title = svg("text", { x, y: 14, class: "name" }, cut(name, letters));
  title.append(svg("title", {}, name));
  const marks = ticks.map(([share, text]) => svg("text", { x: x + 5, y: y(share) + 3 }, cut(text, letters)));
  const band = svg("rect", { x: x - 7, width: 14, class: "band" });
  const handle = svg("rect", { x: x - 12, y: y(1) - 8, width: 24, height: AXIS_HEIGHT + 16, class: "handle" });
  let from = null;
  const shareAt = (event) => {
    const box = handle.getBoundingClientRect();
    const share = 1 - ((event.clientY - box.top) / box.height * (AXIS_HEIGHT + 16) - 8) / AXIS_HEIGHT;
    return Math.min(1, Math.max(0, share));
  };
  const drag = (event) => {
    if (from === null) return;
    const [low, high] = [from, shareAt(event)].sort((one, other) => one - other);
    const isRange = high - low > 0.01;
    band.setAttribute("y", y(high));
    band.setAttribute("height", isRange ? (high - low) * AXIS_HEIGHT : 0);
    onRange(isRange ? [low, high] : null);
  };
  handle.onpointerdown = (event) => {
    handle.setPointerCapture(event.pointerId);
    from = shareAt(event);
    drag(event);
  };
  handle.onpointermove = drag;
  handle.onpointerup = () => (from = null);
  handle.onpointercancel = () => (from = null);
  return svg("g", { class: "axis" }, svg("line", { x1: x, x2: x, y1: y(0), y2: y(1) }), ...marks, title, band, handle);
}
