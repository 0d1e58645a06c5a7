// Hyperparameters and metrics: a table that can be sorted, lines over all columns, and any two of them against each other.

function hparamsSection() {
  const { names, metrics, rows } = index.hparams;
  const columns = [
    { name: "run", valueOf: (row) => index.runs[row.run] },
    ...names.map((name, number) => ({ name, valueOf: (row) => row.hparams[number] })),
    ...metrics.map((name, number) => ({ name, isMetric: true, valueOf: (row) => row.metrics[number] })),
  ];
  const section = make("section", { className: "hparams" });
  const body = make("tbody");
  const heads = columns.map((column, number) => {
    const button = make("button", { type: "button", textContent: column.name, onclick: () => sortBy(number) });
    return make("th", { className: column.isMetric ? "metric" : "", scope: "col", title: column.name }, button);
  });
  let order = { number: 0, sign: -1 };
  function sortBy(number) {
    order = { number, sign: order.number === number ? -order.sign : 1 };
    heads.forEach((head, place) => head.setAttribute("aria-sort", place !== number ? "none" : order.sign > 0 ? "ascending" : "descending"));
    const { valueOf } = columns[number];
    const sorted = [...rows].sort((one, other) => order.sign * compared(valueOf(one), valueOf(other)));
    body.replaceChildren(
      ...sorted.map((row) => make("tr", {}, ...columns.map((column) => make("td", cellContent(column.valueOf(row)))))),
    );
  }
  sortBy(0);
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  section.append(make("div", { className: "scroll" }, table));
  if (columns.length > 2) {
    section.append(parallelCard(columns.slice(1), rows).element, scatterCard(columns.slice(1), rows).element);
  }
  return section;
}

function cellContent(value) {
  const textContent = cellText(value);
  return { textContent, title: textContent };
}

function cellText(value) {
  return typeof value === "number" ? shortNumber(value) : String(value ?? "");
}

// Numbers before texts, and nothing at the end.
function compared(one, other) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one) < String(other) ? -1 : 1;
}

function scatterCard(columns, rows) {
  const names = columns.map((column, number) => [number, column.name]);
  const firstMetric = columns.findIndex((column) => column.isMetric);
  const chosen = { x: 0, y: firstMetric > 0 ? firstMetric : columns.length - 1, logX: false, logY: false };
  const redraw = (values) => {
    Object.assign(chosen, values);
    card.draw();
  };
  const card = new Card("One column against another", {
    prepare: async () => rows,
    show: (content) => {
      const what = scatter(columns[chosen.x], columns[chosen.y], rows, chosen);
      if (!what) {
        content.append(make("p", { className: "nothing", textContent: "No run has numbers in both columns." }));
        return undefined;
      }
      const plot = drawChart(content, what, 320);
      return () => plot.destroy();
    },
    reacts: true,
  });
  card.element.classList.add("wide");
  const controls = make(
    "div",
    { className: "pair controls" },
    labelled("x", choice(names, chosen.x, (x) => redraw({ x: Number(x) }))),
    labelled("y", choice(names, chosen.y, (y) => redraw({ y: Number(y) }))),
    tick("log x", false, (logX) => redraw({ logX })),
    tick("log y", false, (logY) => redraw({ logY })),
  );
  card.element.insertBefore(controls, card.content);
  return card;
}

// Texts and truths stand at the whole numbers, in their order.
function scatter(columnX, columnY, rows, { logX, logY }) {
  const texts = [...new Set(rows.map(columnX.valueOf).filter((value) => typeof value !== "number" && value !== null))].sort(compared);
  const place = (value) => (typeof value === "number" ? value : texts.indexOf(value));
  const points = rows
    .map((row) => ({ run: row.run, x: columnX.valueOf(row), y: columnY.valueOf(row) }))
    .filter(({ x, y }) => x !== null && x !== undefined && typeof y === "number")
    .map((point) => ({ ...point, x: place(point.x) }))
    .filter(({ x, y }) => isDrawable(x) && isDrawable(y))
    .filter(({ x, y }) => (!logX || x > 0) && (!logY || y > 0));
  if (!points.length) return null;
  const tables = points.map(({ x, y }) => [[x], [y]]);
  const series = points.map(({ run }) => ({
    label: index.runs[run],
    color: colorOf(run),
    width: 1,
    points: { show: true, size: 9, fill: colorOf(run) },
    tell: (x, y) => [`${columnX.name}: ${texts.length ? nameOf(x) : shortNumber(x)}`, `${columnY.name}: ${shortNumber(y)}`],
  }));
  const nameOf = (x) => String(texts[x] ?? "");
  return { data: tables.length > 1 ? uPlot.join(tables) : tables[0], series, logX, logY, formatX: texts.length ? nameOf : null, spare: 0.05 };
}
