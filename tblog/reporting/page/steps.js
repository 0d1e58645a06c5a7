// What is looked at step by step: images, sounds and texts, and the slider that histograms have, too.

function leftOut(one) {
  const notes = [];
  if (one.steps.length < one.of) notes.push(`${one.steps.length} of ${one.of} steps`);
  if (one.unreadable) notes.push(`${one.unreadable} could not be read`);
  if (one.noRoom) notes.push(`${one.noRoom} left out: too many bytes`);
  return notes.join("; ");
}

// A slider over the steps that there are; it shows the last one at first, and later the one that was looked at.
function stepSlider(one, show) {
  const last = one.steps.length - 1;
  const label = make("output");
  const go = (place) => {
    one.place = place;
    label.textContent = stepText(one.steps[place], BigInt(one.base ?? 0));
    label.title = moment(one.times[place]);
    show(place);
  };
  const row = make("div", { className: "pair" });
  if (last > 0) {
    const control = slider(0, last, 1, one.place ?? last, go);
    control.setAttribute("aria-label", "Step");
    row.append(control);
  }
  row.append(label);
  go(one.place ?? last);
  return row;
}

// Cards of images or sounds; `play` makes the element that shows one of them.
function mediaCards(those, className, play) {
  return those.map((one) => {
    const show = (content, shown) => {
      if (!shown.length) return;
      const place = make("div", { className });
      const row = stepSlider(one, (step) =>
        place.replaceChildren(...shown[step].map(([type, block]) => play(one.tag, `data:${type};base64,${base64Of(block)}`))),
      );
      content.append(row, place);
    };
    return new Card(one.tag, { run: one.run, note: leftOut(one), prepare: async () => one.shown, show });
  });
}

function imageCards() {
  return mediaCards(index.images, "pictures", (alt, src) => make("img", { alt, src }));
}

function audioCards() {
  return mediaCards(index.audio, "sounds", (label, src) => make("audio", { controls: true, "aria-label": label, src }));
}

function textCards() {
  return index.texts.map(
    (one) => new Card(one.tag, { run: one.run, note: leftOut(one), prepare: () => jsonOf(one.block), show: (content, shown) => showTexts(one, content, shown) }),
  );
}

// Texts are shown as they were written: Markdown reads well as it is, and cannot do anything.
function showTexts(one, content, shown) {
  if (!shown.length) return;
  const text = make("pre");
  content.append(
    stepSlider(one, (step) => (text.textContent = shown[step])),
    text,
  );
}
