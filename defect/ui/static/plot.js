// Where a photo's score falls among the stored ones: bars, the threshold, the photo.
const BINS = 6; // an octave
const GROUPS = ["held_out", "good", "defective"];

function svgElement(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function scorePlot(box) {
  const W = 320, H = 170, LEFT = 26, RIGHT = 8, TOP = 12, BOTTOM = 38;
  let first = -3, last = 3, marks = {};
  const x = (multiple) => {
    const place = (Math.log2(Math.max(multiple, 2 ** first)) - first) / (last - first);
    return LEFT + Math.min(place, 1) * (W - LEFT - RIGHT);
  };
  const scoresOf = (scores, group) => scores[group].map((steps) => Math.max(steps, 1) / STEPS);

  function draw(scores) {
    box.replaceChildren();
    const every = GROUPS.flatMap((group) => scoresOf(scores, group));
    first = Math.floor(Math.min(-2, ...every.map(Math.log2)));
    last = Math.ceil(Math.max(2, ...every.map(Math.log2)));
    const svg = svgElement("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
    const bins = Array.from({ length: (last - first) * BINS }, () => [0, 0, 0]);
    GROUPS.forEach((group, g) => {
      for (const score of scoresOf(scores, group)) {
        // A hair up: 1.0 exactly belongs right of the limit's line.
        const bin = Math.floor((Math.log2(score) - first) * BINS + 1e-9);
        bins[Math.min(bin, bins.length - 1)][g]++;
      }
    });
    const most = Math.max(1, ...bins.map((bin) => bin[0] + bin[1] + bin[2]));
    const floor = H - BOTTOM;
    const y = (count) => floor - (count / most) * (floor - TOP);
    for (const count of [0, most]) {
      svg.append(
        svgElement("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(count), y2: y(count) }),
        svgElement("text", { x: LEFT - 5, y: y(count) + 4, "text-anchor": "end" }, count),
      );
    }
    bins.forEach((bin, i) => {
      let below = 0;
      const from = x(2 ** (first + i / BINS)), to = x(2 ** (first + (i + 1) / BINS));
      bin.forEach((count, g) => {
        if (!count) return;
        const top = y(below + count);
        const height = y(below) - top, width = Math.max(to - from - 1, 1);
        svg.append(svgElement("rect", { class: GROUPS[g], x: from + 0.5, y: top, width, height }));
        below += count;
      });
    });
    for (let power = first; power <= last; power++) {
      const at = { x: x(2 ** power), y: floor + 14, "text-anchor": "middle" };
      if ((last - first) <= 8 || power % 2 === 0) svg.append(svgElement("text", at, 2 ** power));
    }
    const title = { x: (LEFT + W - RIGHT) / 2, y: H - 6, "text-anchor": "middle" };
    svg.append(svgElement("text", title, say("plot_axis")));
    const names = document.createElement("div");
    names.className = "names";
    for (const group of GROUPS.filter((group) => scores[group].length)) {
      const name = document.createElement("span");
      const colour = document.createElement("i");
      colour.className = group;
      name.append(colour, `${say("plot_" + group)} (${scores[group].length})`);
      names.append(name);
    }
    marks = {
      limit: svgElement("line", { class: "limit", y1: TOP - 4, y2: floor }),
      photo: svgElement("path", { class: "photo" }),
    };
    svg.append(marks.limit, marks.photo);
    box.append(names, svg);
  }

  function move(limit, score) {
    const svg = box.lastChild;
    if (!svg) return;
    marks.limit.setAttribute("x1", x(limit));
    marks.limit.setAttribute("x2", x(limit));
    const floor = H - BOTTOM;
    const at = score === null ? 0 : x(score / STEPS);
    const arrow = `M${at} ${floor}l-6 -11h4v-24h4v24h4z`;
    marks.photo.setAttribute("d", score === null ? "" : arrow);
    const photo = score === null ? "" : say("plot_photo", { score: multiple(score) });
    svg.setAttribute("aria-label", say("plot_label", { limit: limit.toFixed(2) }) + " " + photo);
  }
  return { draw, move };
}
