// What the reader of the page chooses, and who is told when it changes.

const MOST_RUNS_AT_FIRST = 40;

const settings = {
  weight: 0.6,
  axis: "step",
  logX: false,
  logY: false,
  grouping: "runs",
  pattern: "[/_.-]?seed[=_-]?\\d+",
  search: "",
  hidden: new Set([...index.runs.keys()].slice(MOST_RUNS_AT_FIRST)),
};

const listeners = [];

function whenChanged(listener) {
  listeners.push(listener);
}

function change(values) {
  Object.assign(settings, values);
  for (const listener of listeners) listener();
}

function isFound(tag) {
  try {
    return new RegExp(settings.search, "i").test(tag);
  } catch {
    return tag.toLowerCase().includes(settings.search.toLowerCase());
  }
}

// What the runs of one group have in common: their name without the seed.
function groupOf(name) {
  try {
    return name.replace(new RegExp(settings.pattern, "i"), "") || name;
  } catch {
    return name;
  }
}

function showSettings(place) {
  const weight = make("output", { textContent: settings.weight });
  const smoothing = slider(0, 0.999, 0.001, settings.weight, (value) => {
    weight.textContent = value;
    change({ weight: value });
  });
  smoothing.id = "smoothing";
  const pattern = make("input", { type: "text", value: settings.pattern, spellcheck: false });
  pattern.oninput = () => change({ pattern: pattern.value });
  const patternRow = labelled("A group is a run's name without", pattern);
  const showPattern = () => (patternRow.hidden = settings.grouping === "runs");
  const groupings = [
    ["runs", "each run"],
    ["range", "groups: mean, min to max"],
    ["std", "groups: mean ± standard deviation"],
  ];
  const axes = [
    ["step", "step"],
    ["relative", "time since the start"],
    ["wall", "date and time"],
  ];
  place.append(
    labelled("Smoothing", make("span", { className: "pair" }, smoothing, weight)),
    labelled("Horizontal axis", choice(axes, settings.axis, (axis) => change({ axis }))),
    make(
      "div",
      { className: "pair" },
      tick("log x", false, (logX) => change({ logX })),
      tick("log y", false, (logY) => change({ logY })),
    ),
    labelled("Show", choice(groupings, settings.grouping, (grouping) => change({ grouping }))),
    patternRow,
  );
  whenChanged(showPattern);
  showPattern();
}

function showRuns(place) {
  const boxes = index.runs.map((name, run) => {
    const row = tick(name, !settings.hidden.has(run), (isShown) => {
      if (isShown) settings.hidden.delete(run);
      else settings.hidden.add(run);
      change({});
    });
    row.style.setProperty("--color", colorOf(run));
    row.title = name;
    return row;
  });
  const all = tick("all runs", settings.hidden.size === 0, (isShown) => {
    settings.hidden = new Set(isShown ? [] : index.runs.keys());
    boxes.forEach((box) => (box.querySelector("input").checked = isShown));
    change({});
  });
  place.append(make("h2", { textContent: `Runs (${index.runs.length})` }), all, ...boxes);
}
