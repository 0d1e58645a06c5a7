// Cards: one thing with its title. What a card shows is made when it comes into view, and given up when it leaves.

const watcher = new IntersectionObserver(
  (entries) => entries.forEach((entry) => cardOf.get(entry.target).see(entry.isIntersecting)),
  { rootMargin: "250px" },
);
const cardOf = new WeakMap();

class Card {
  // `prepare` returns a promise of what `show(content, what)` needs; `show` returns what gives it up again, if any.
  constructor(tag, { run, note, prepare, show, reacts }) {
    Object.assign(this, { tag, run, prepare, show, reacts, isSeen: false, ready: null, giveUp: null });
    this.content = make("div", { className: "content" });
    const wide = make("button", { type: "button", textContent: "⤢", title: "Larger", "aria-label": `Larger: ${tag}`, "aria-pressed": false });
    wide.onclick = () => {
      wide.setAttribute("aria-pressed", this.element.classList.toggle("wide"));
      this.draw();
    };
    const title = make("h3", { title: tag }, make("span", { textContent: tag }));
    if (run !== undefined) {
      const name = make("small", { textContent: index.runs[run], title: index.runs[run] });
      name.style.setProperty("--color", colorOf(run));
      title.append(name);
    }
    this.element = make("article", { className: "card" }, make("div", { className: "bar" }, title, wide), this.content);
    if (note) this.element.append(make("p", { className: "note", textContent: note }));
    cardOf.set(this.element, this);
    watcher.observe(this.element);
    if (reacts) whenChanged(() => this.isSeen && this.drawSoon());
  }

  async see(isSeen) {
    this.isSeen = isSeen;
    if (isSeen) {
      await this.load();
      if (this.isSeen && !this.giveUp) this.draw();
    } else if (this.giveUp) {
      this.content.style.minHeight = `${this.content.clientHeight}px`;
      this.clear();
    }
  }

  async load() {
    this.ready ??= await this.prepare();
  }

  drawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.ready === null || this.element.offsetParent === null) return;
    this.clear();
    this.giveUp = this.show(this.content, this.ready, this.element.classList.contains("wide")) ?? (() => {});
    this.content.style.minHeight = "";
  }

  print() {
    if (this.ready !== null) this.draw();
    else this.content.replaceChildren(make("p", { className: "nothing", textContent: "Not read yet: wait a moment, and print again." }));
  }

  clear() {
    this.giveUp?.();
    this.giveUp = null;
    this.content.replaceChildren();
  }
}

// Cards under the first part of their tags, as TensorBoard groups them; returns the section and its cards.
function grouped(cards) {
  const groups = new Map();
  for (const card of cards) {
    const name = card.tag.split("/", 1)[0];
    groups.set(name, [...(groups.get(name) ?? []), card]);
  }
  const section = make("section", { className: "grid groups" });
  for (const [name, members] of groups) {
    const count = make("small");
    const grid = make("div", { className: "grid" }, ...members.map((card) => card.element));
    const group = make(
      "details",
      { className: members.length > 1 ? "group" : "group single", open: true },
      make("summary", {}, make("span", { textContent: name }), count),
      grid,
    );
    const search = () => {
      members.forEach((card) => (card.element.hidden = !isFound(card.tag) || settings.hidden.has(card.run)));
      const found = members.filter((card) => !card.element.hidden).length;
      group.hidden = !found;
      count.textContent = found > 1 || found < members.length ? `${found} of ${members.length}` : "";
    };
    whenChanged(search);
    search();
    section.append(group);
  }
  return section;
}
