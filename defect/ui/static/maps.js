// Anomaly maps as the server packs them (defect/ui/payload.py): unpacking, regions, contour.
// Values are whole steps; SETTINGS.steps of them are 1 × the normal limit.
const stepsOf = (multiple) => Math.round(multiple * SETTINGS.steps);

// Two digits, rounded down, so that what is shown reaches a threshold exactly when the value does.
const formatMultiple = (steps) => (Math.floor((steps * 100) / SETTINGS.steps) / 100).toFixed(2);

// { data, shape: [height, width] } → { values, width, height }
async function unpackMap({ data, shape: [height, width] }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new Uint16Array(await new Response(plain).arrayBuffer());
  for (let i = 0; i < values.length; i++) if (i % width) values[i] += values[i - 1];
  return { values, width, height };
}

const POSITIONS = [
  ["upper left", "top", "upper right"],
  ["left", "centre", "right"],
  ["lower left", "bottom", "lower right"],
];
const third = (fraction) => Math.min(Math.floor(3 * fraction), 2);

// What `find_regions` of defect/inspection.py finds, in the same order: the largest first; pixels
// that touch at a corner belong together.
function findRegions({ values, width, height }, threshold) {
  const seen = new Uint8Array(values.length);
  const stack = [];
  const found = [];
  for (let start = 0; start < values.length; start++) {
    if (seen[start] || values[start] < threshold) continue;
    let area = 0, rows = 0, columns = 0, peak = 0;
    seen[start] = 1;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      const y = Math.floor(at / width), x = at % width;
      area++;
      rows += y;
      columns += x;
      if (values[at] > peak) peak = values[at];
      for (let ny = Math.max(y - 1, 0); ny <= Math.min(y + 1, height - 1); ny++) {
        for (let nx = Math.max(x - 1, 0); nx <= Math.min(x + 1, width - 1); nx++) {
          const next = ny * width + nx;
          if (!seen[next] && values[next] >= threshold) {
            seen[next] = 1;
            stack.push(next);
          }
        }
      }
    }
    const row = (rows / area + 0.5) / height, column = (columns / area + 0.5) / width;
    const where = POSITIONS[third(row)][third(column)];
    found.push({ row, column, where, area: area / values.length, peak });
  }
  return found.sort((a, b) => b.area - a.area || b.peak - a.peak);
}

// The line along the map's level, by marching squares over the pixels' centres: [x, y, x, y]
// segments in map pixels.
function contourSegments({ values, width, height }, threshold) {
  // Half a step under the threshold: a pixel that just reaches it lies inside.
  const level = threshold - 0.5;
  const value = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x]);
  const cut = (a, b) => (level - a) / (b - a);
  const segments = [];
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const a = value(x, y), b = value(x + 1, y), c = value(x + 1, y + 1), d = value(x, y + 1);
      const kind = (a > level) | ((b > level) << 1) | ((c > level) << 2) | ((d > level) << 3);
      if (kind === 0 || kind === 15) continue;
      const left = x + 0.5, top = y + 0.5;
      const sides = {
        n: () => [left + cut(a, b), top],
        e: () => [left + 1, top + cut(b, c)],
        s: () => [left + cut(d, c), top + 1],
        w: () => [left, top + cut(a, d)],
      };
      for (const [from, to] of CROSSINGS[kind]) segments.push([...sides[from](), ...sides[to]()]);
    }
  }
  return segments;
}

// Which sides the line crosses, by which of a cell's four corners lie inside.
const CROSSINGS = [
  [], ["wn"], ["ne"], ["we"], ["es"], ["wn", "es"], ["ns"], ["ws"],
  ["ws"], ["ns"], ["ne", "ws"], ["es"], ["we"], ["ne"], ["wn"], [],
];
