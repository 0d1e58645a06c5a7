// Zoom without a mouse: two fingers on a chart, or its keys. uPlot itself knows the mouse alone.

const LEAST_SPREAD = 0.12;
const KEY_STEPS = 40;

// A scale's ends, on a line: logarithms where the axis has them.
function endsOf(plot, key) {
  const scale = plot.scales[key];
  const isLog = scale.distr === 3;
  return { ends: [scale.min, scale.max].map((end) => (isLog ? Math.log10(end) : end)), isLog };
}

// The ends that put what was at the places `from` to the places `to`; places are shares of the axis.
function movedEnds({ ends: [low, high], isLog }, from, to) {
  const size = high - low;
  const [first, second] = from.map((place) => low + place * size);
  const isStretched = Math.min(Math.abs(from[1] - from[0]), Math.abs(to[1] - to[0])) > LEAST_SPREAD;
  const span = isStretched ? Math.abs((second - first) / (to[1] - to[0])) : size;
  const start = (first + second) / 2 - ((to[0] + to[1]) / 2) * span;
  const [min, max] = [start, start + span].map((end) => (isLog ? 10 ** end : end));
  return { min, max };
}

function zoomByTouch(plot) {
  const over = plot.over;
  let before = null;
  const places = (event) => {
    const box = over.getBoundingClientRect();
    const fingers = [...event.touches];
    return {
      x: fingers.map((finger) => (finger.clientX - box.left) / box.width),
      y: fingers.map((finger) => 1 - (finger.clientY - box.top) / box.height),
    };
  };
  over.addEventListener(
    "touchstart",
    (event) => {
      before = event.touches.length === 2 ? { at: places(event), x: endsOf(plot, "x"), y: endsOf(plot, "y") } : null;
      if (before) event.preventDefault();
    },
    { passive: false },
  );
  over.addEventListener(
    "touchmove",
    (event) => {
      if (!before || event.touches.length !== 2) return;
      event.preventDefault();
      const now = places(event);
      plot.batch(() => ["x", "y"].forEach((key) => plot.setScale(key, movedEnds(before[key], before.at[key], now[key]))));
    },
    { passive: false },
  );
}

function showAll(plot) {
  plot.setData(plot.data, true);
}

function useKeys(plot) {
  const width = () => plot.over.clientWidth;
  const at = () => (plot.cursor.left >= 0 ? plot.cursor.left : width() / 2);
  const move = (by) => plot.setCursor({ left: Math.min(width(), Math.max(0, at() + by)), top: plot.over.clientHeight / 2 });
  const zoom = (factor) => {
    const place = at() / width();
    plot.setScale("x", movedEnds(endsOf(plot, "x"), [0, 1], [place - place * factor, place + (1 - place) * factor]));
  };
  const keys = {
    ArrowLeft: () => move(-width() / KEY_STEPS),
    ArrowRight: () => move(width() / KEY_STEPS),
    "+": () => zoom(1.5),
    "-": () => zoom(1 / 1.5),
    0: () => showAll(plot),
    Escape: () => plot.setCursor({ left: -10, top: -10 }),
  };
  plot.root.tabIndex = 0;
  plot.root.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
}
