// The page's data: what _packing.py packed.

const index = JSON.parse(document.getElementById("index").textContent);

function base64Of(block) {
  return document.getElementById(`block${block}`).textContent;
}

async function inflated(block) {
  const bytes = Uint8Array.from(atob(base64Of(block)), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const unpackedBlocks = new Map();

function once(block, unpack) {
  if (!unpackedBlocks.has(block)) unpackedBlocks.set(block, inflated(block).then(unpack));
  return unpackedBlocks.get(block);
}

function jsonOf(block) {
  return once(block, (bytes) => JSON.parse(new TextDecoder().decode(bytes)));
}

// Bytes come in planes: the first byte of each number, then the second ones.
function columnOf(bytes, at, count, [kind, first]) {
  const width = kind === "f8" ? 8 : 4;
  const plain = new Uint8Array(count * width);
  for (let byte = 0; byte < width; byte++) {
    const plane = at + byte * count;
    for (let row = 0; row < count; row++) plain[row * width + byte] = bytes[plane + row];
  }
  if (kind === "f8") return new Float64Array(plain.buffer);
  if (kind === "f4") return Float64Array.from(new Float32Array(plain.buffer));
  let sum = first;
  return Float64Array.from(new Int32Array(plain.buffer), (delta) => (sum += delta));
}

// The curves of a tag: {run, points, of, base, steps, times, values, means}; steps from the base on, times in seconds, means only of thinned ones.
function curvesOf(tag) {
  return once(tag.block, (bytes) => {
    let at = 0;
    return tag.curves.map((curve) => {
      const columns = curve.columns.map((column) => {
        const start = at;
        at += curve.points * (column[0] === "f8" ? 8 : 4);
        return columnOf(bytes, start, curve.points, column);
      });
      const [steps, milliseconds, values, means] = columns;
      return { ...curve, base: BigInt(tag.base ?? 0), steps, times: milliseconds.map((time) => time / 1000), values, means };
    });
  });
}
