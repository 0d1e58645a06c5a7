// The page: its tabs, the theme, and what printing needs.

const TABS = [
  ["Scalars", index.scalars.length, () => grouped(scalarCards())],
  ["Images", index.images.length, () => grouped(imageCards())],
  ["Histograms", index.histograms.length, () => grouped(histogramCards())],
  ["Audio", index.audio.length, () => grouped(audioCards())],
  ["PR curves", new Set(index.prCurves.map((one) => one.tag)).size, () => grouped(prCards())],
  ["Texts", index.texts.length, () => grouped(textCards())],
  ["HParams", index.hparams ? index.hparams.rows.length : 0, hparamsSection],
];
const sections = new Map();
const byId = (id) => document.getElementById(id);
const panelId = (name) => `tab-${name.replaceAll(" ", "-")}`;

function openTab(name) {
  if (!sections.has(name)) {
    const section = TABS.find(([tab]) => tab === name)[2]();
    section.id = panelId(name);
    section.setAttribute("role", "tabpanel");
    section.setAttribute("aria-label", name);
    sections.set(name, section);
    byId("main").append(section);
  }
  for (const [other, section] of sections) section.hidden = other !== name;
  byId("settings").hidden = name !== "Scalars";
  for (const tab of byId("tabs").children) {
    const isOpen = tab.dataset.name === name;
    tab.setAttribute("aria-selected", isOpen);
    tab.tabIndex = isOpen ? 0 : -1;
    if (isOpen) tab.setAttribute("aria-controls", panelId(name));
  }
}

// The arrow keys go from tab to tab, as pages with tabs have it.
function moveTab(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  const tabs = [...byId("tabs").children];
  const next = tabs[(tabs.indexOf(event.target) + by + tabs.length) % tabs.length];
  next.focus();
  openTab(next.dataset.name);
}

function cards() {
  return [...document.querySelectorAll("section:not([hidden]) .card")].map((element) => cardOf.get(element));
}

function redraw() {
  for (const card of cards()) if (card.giveUp) card.draw();
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  redraw();
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showAbout() {
  const absent = Object.entries(index.absent).map(([kind, tags]) => `${kind} (${tags})`);
  byId("about").textContent =
    `Made by tblog, ${index.made}. Drag in a chart to zoom, double-click to go back; by touch, two fingers and a double tap.` +
    (absent.length ? ` Not in this report: ${absent.join(", ")}.` : "");
}

const BUSY_MILLISECONDS = 30;

// What is unpacked can be drawn at once when the page is printed, where nothing waits.
async function unpackAll() {
  let pauseAt = performance.now() + BUSY_MILLISECONDS;
  for (const card of cards()) {
    await card.load();
    if (performance.now() < pauseAt) continue;
    await new Promise((go) => setTimeout(go));
    pauseAt = performance.now() + BUSY_MILLISECONDS;
  }
  document.documentElement.dataset.unpacked = "yes";
}

function start() {
  byId("title").textContent = index.title;
  showSettings(byId("settings"));
  showRuns(byId("runs"));
  showAbout();
  byId("search").oninput = () => change({ search: byId("search").value });
  byId("theme").onclick = () => setTheme(isDark() ? "light" : "dark");
  if (matchMedia("(max-width: 760px)").matches) byId("panel").open = false;
  byId("tabs").onkeydown = moveTab;
  const filled = TABS.filter(([, count]) => count);
  for (const [name, count] of filled) {
    const tab = make("button", { type: "button", role: "tab", onclick: () => openTab(name) }, name, make("small", { textContent: count }));
    tab.dataset.name = name;
    byId("tabs").append(tab);
  }
  if (filled.length) openTab(filled[0][0]);
  else byId("main").append(make("p", { className: "nothing", textContent: "There is nothing in these runs." }));
  requestAnimationFrame(() => setTimeout(unpackAll));
}

let themeBefore;
addEventListener("beforeprint", () => {
  themeBefore = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  document.documentElement.classList.add("printing");
  for (const card of cards()) card.print();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  if (themeBefore) setTheme(themeBefore);
  else delete document.documentElement.dataset.theme;
  redraw();
});
let resizing;
let widthBefore = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === widthBefore) return;
  widthBefore = innerWidth;
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
start();
