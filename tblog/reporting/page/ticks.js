// The numbers on axes: the power of ten in which they are drawn, and texts in which no two ticks look alike.

const MOST_PLAIN_DIGITS = 9;
const SURE_DIGITS = 17;
const TEXT_PIXELS = 7;

function exponentOf(value) {
  return Math.floor(Math.log10(Math.abs(value)));
}

// uPlot draws differences below 1e-24 as flat, and has no ticks beyond 1e17. Such columns are drawn in another unit, a
// power of ten, whose exponent this is; on an axis of logarithms, in one that is amid the values.
function unitOf(columns, isLog, mostDigits = MOST_PLAIN_DIGITS) {
  let [low, high] = [Infinity, 0];
  for (const column of columns) {
    for (const value of column) {
      const size = Math.abs(value ?? 0);
      if (size > 0 && size < low) low = size;
      if (size > high && size < Infinity) high = size;
    }
  }
  if (!high) return 0;
  const exponent = isLog ? Math.round((exponentOf(low) + exponentOf(high)) / 2) : exponentOf(high);
  return Math.abs(exponent) > mostDigits ? exponent : 0;
}

// In two factors: 1e310 is no number.
function inUnit(value, exponent) {
  if (!exponent || value === null || value === undefined) return value;
  const half = Math.trunc(exponent / 2);
  return value / 10 ** half / 10 ** (exponent - half);
}

// The texts of ticks, which are drawn in the unit of 10 ** exponent, or counted from a whole number `base`.
function tickTexts(ticks, { exponent = 0, base = 0n } = {}) {
  const known = ticks.filter((tick) => tick !== null && tick !== undefined);
  if (base) return ticks.map((tick) => (Number.isInteger(tick) ? String(base + BigInt(tick)) : ""));
  const gaps = known.slice(1).map((tick, place) => Math.abs(tick - known[place]));
  const near = Math.min(...gaps.filter((gap) => gap > 0), Infinity) / 50;
  let digits = 5;
  while (digits < SURE_DIGITS && known.some((tick) => Math.abs(Number(tick.toPrecision(digits)) - tick) > near)) digits += 1;
  const isUsual = (tick) => !exponent && (tick === 0 || (Math.abs(tick) < 1e6 && Math.abs(tick) >= 1e-3));
  const plain = (tick) => String(Number(tick.toPrecision(digits)));
  const short = (tick) => {
    const [mantissa, power] = tick.toExponential(digits - 1).split("e");
    return tick === 0 ? "0" : `${Number(mantissa)}e${Number(power) + exponent}`;
  };
  const length = (texts) => texts.reduce((sum, text) => sum + text.length, 0);
  const unusual = known.filter((tick) => !isUsual(tick));
  const isShort = exponent || length(unusual.map(short)) <= length(unusual.map(plain));
  return ticks.map((tick) => (tick === null || tick === undefined ? "" : isShort && !isUsual(tick) ? short(tick) : plain(tick)));
}

function widthOf(text) {
  return TEXT_PIXELS * text.length;
}

// The least distance of ticks on a horizontal axis from low to high. Of long texts, some have no room then: a chart on a
// phone would have none of them otherwise.
function distanceOfTicks(low, high, unit) {
  const gap = 10 ** exponentOf((high - low) / 5);
  const first = Math.ceil(low / gap) * gap;
  const texts = Number.isFinite(first) ? tickTexts([first, first + gap, first + 2 * gap], unit) : [];
  const room = 16 + Math.max(0, ...texts.map(widthOf));
  return Math.max(50, Math.min(room, Math.max(100, room / 2)));
}

// The texts below a chart that are not cut off at its sides, and lie on no other one.
function withRoom(plot, ticks, texts) {
  let end = -Infinity;
  return texts.map((text, place) => {
    const center = plot.bbox.left / devicePixelRatio + plot.valToPos(ticks[place], "x");
    const half = widthOf(text) / 2;
    const isCut = text.length > 7 && (center < half || center + half > plot.width);
    if (!text || isCut || center - half < end) return "";
    end = center + half + TEXT_PIXELS;
    return text;
  });
}
