// Elements of the page. Texts go into text nodes alone, whatever they hold.

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("aria-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

function labelled(text, control) {
  return make("label", {}, make("span", { textContent: text }), control);
}

function choice(options, chosen, onChange) {
  const select = make("select", { onchange: () => onChange(select.value) });
  for (const [value, text] of options) select.append(make("option", { value, textContent: text }));
  select.value = chosen;
  return select;
}

function slider(minimum, maximum, step, value, onInput) {
  const input = make("input", { type: "range", min: minimum, max: maximum, step, value });
  input.oninput = () => onInput(Number(input.value));
  return input;
}

function tick(text, checked, onChange) {
  const box = make("input", { type: "checkbox", checked, onchange: () => onChange(box.checked) });
  return make("label", { className: "tick" }, box, make("span", { textContent: text }));
}

// The width of an axis, and what uPlot makes of it, must be a number, too.
function isDrawable(value) {
  return Math.abs(value) < 1e300;
}

function shortNumber(value) {
  if (value === null || value === undefined) return "";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(3).replace(/\.?0+e\+?/, "e");
  return String(Number(value.toPrecision(5)));
}

// Not every step beyond 2^53 can be told from its neighbours here, unless it is counted from a base.
function stepText(step, base = 0n) {
  if (base && Number.isSafeInteger(step)) return `step ${base + BigInt(step)}`;
  return Number.isSafeInteger(step) ? `step ${step}` : `about step ${step}`;
}

function duration(seconds) {
  const size = Math.abs(seconds);
  if (size < 120) return `${shortNumber(seconds)} s`;
  if (size < 7200) return `${shortNumber(seconds / 60)} min`;
  return `${shortNumber(seconds / 3600)} h`;
}

function moment(seconds) {
  return seconds === null ? "" : new Date(seconds * 1000).toLocaleString();
}

const COLORS = [
  "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17a2b8", "#a0a020", "#7f7f7f",
];

function colorOf(number) {
  return COLORS[number % COLORS.length];
}

function faint(color, share) {
  return color + Math.round(share * 255).toString(16).padStart(2, "0");
}
