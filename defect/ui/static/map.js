// Maps as the server packs them (defect/wire.py): unpacking, regions, contour. No page, no colours.
const SIDE = 256;
const STEPS = 200; // in 1 × the normal limit
const CELLS = SIDE * SIDE;

const stepsOf = (limit) => Math.round(limit * STEPS);

// Two digits, rounded down, so that what is shown reaches a limit exactly when the value does.
const multiple = (steps) => (Math.floor(steps / 2) / 100).toFixed(2);

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new Uint16Array(await new Response(plain).arrayBuffer());
  for (let i = 0; i < CELLS; i++) if (i % SIDE) values[i] += values[i - 1];
  return values;
}

const PLACES = [
  ["upper left", "top", "upper right"],
  ["left", "centre", "right"],
  ["lower left", "bottom", "lower right"],
];
const third = (share) => Math.min(Math.floor(3 * share), 2);

// What defect/regions.py finds, in the same order: the largest first, touching at corners counts.
function regionsOf(map, limit) {
  const seen = new Uint8Array(CELLS);
  const stack = [];
  const found = [];
  for (let start = 0; start < CELLS; start++) {
    if (seen[start] || map[start] < limit) continue;
    let area = 0, rows = 0, columns = 0, peak = 0;
    seen[start] = 1;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      const y = at >> 8, x = at & 255;
      area++;
      rows += y;
      columns += x;
      if (map[at] > peak) peak = map[at];
      for (let ny = Math.max(y - 1, 0); ny <= Math.min(y + 1, 255); ny++) {
        for (let nx = Math.max(x - 1, 0); nx <= Math.min(x + 1, 255); nx++) {
          const next = ny * SIDE + nx;
          if (!seen[next] && map[next] >= limit) {
            seen[next] = 1;
            stack.push(next);
          }
        }
      }
    }
    const row = (rows / area + 0.5) / SIDE, column = (columns / area + 0.5) / SIDE;
    const where = PLACES[third(row)][third(column)];
    found.push({ row, column, where, area: area / CELLS, peak });
  }
  return found.sort((a, b) => b.area - a.area || b.peak - a.peak);
}

// The line along the map's level, by marching squares over the pixels' middles; in map pixels.
function contourOf(map, limit) {
  const line = new Path2D();
  // Half a step under the limit: a pixel that just reaches it lies inside.
  const level = limit - 0.5;
  const value = (x, y) => (x < 0 || y < 0 || x > 255 || y > 255 ? 0 : map[y * SIDE + x]);
  const cut = (a, b) => (level - a) / (b - a);
  for (let y = -1; y < SIDE; y++) {
    for (let x = -1; x < SIDE; x++) {
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
      for (const [from, to] of SEGMENTS[kind]) {
        line.moveTo(...sides[from]());
        line.lineTo(...sides[to]());
      }
    }
  }
  return line;
}

const SEGMENTS = [
  [], ["wn"], ["ne"], ["we"], ["es"], ["wn", "es"], ["ns"], ["ws"],
  ["ws"], ["ns"], ["ne", "ws"], ["es"], ["we"], ["ne"], ["wn"], [],
];
