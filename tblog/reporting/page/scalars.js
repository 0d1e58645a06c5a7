// Curves: a card for each tag, with all runs in one chart.

function scalarCards() {
  return index.scalars.map((tag) => {
    const kept = tag.curves.reduce((sum, curve) => sum + curve.points, 0);
    const all = tag.curves.reduce((sum, curve) => sum + curve.of, 0);
    const note = kept < all ? `${kept.toLocaleString()} of ${all.toLocaleString()} points: extremes are kept` : "";
    return new Card(tag.tag, { note, prepare: () => curvesOf(tag), show: showCurves, reacts: true });
  });
}

function showCurves(content, curves, isWide) {
  const what = picture(curves);
  if (!what) {
    content.append(make("p", { className: "nothing", textContent: "Nothing to draw with these settings." }));
    return undefined;
  }
  const plot = drawChart(content, what, isWide ? 440 : 220);
  content.append(...unusual(curves));
  return () => plot.destroy();
}

// Values that no chart can show are told.
function unusual(curves) {
  const shown = curves.filter((curve) => !settings.hidden.has(curve.run));
  const count = shown.reduce((sum, curve) => sum + curve.values.filter((value) => !isDrawable(value)).length, 0);
  return count ? [make("p", { className: "note warning", textContent: `${count} points are NaN, infinite or too large to draw` })] : [];
}
