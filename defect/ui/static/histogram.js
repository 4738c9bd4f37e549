// <score-histogram scores='{"good": [steps, …], …}' threshold="1" photo="steps">: scores on a scale
// that doubles to the right. Every histogram of scores in the app is one of these.
const BINS_PER_OCTAVE = 6;
const FIRST_OCTAVE = -2, LAST_OCTAVE = 2;

// Groups of scores (in steps) → the octaves they span and, a bin, how many of each group fall in.
function binScores(groups) {
  const lists = groups.map((list) => list.map((steps) => Math.max(steps, 1) / SETTINGS.steps));
  const every = lists.flat().map(Math.log2);
  const first = Math.floor(Math.min(FIRST_OCTAVE, ...every));
  const last = Math.ceil(Math.max(LAST_OCTAVE, ...every));
  const bins = Array.from({ length: (last - first) * BINS_PER_OCTAVE }, () => lists.map(() => 0));
  lists.forEach((list, group) => {
    for (const score of list) {
      // A hair up: 1.0 exactly belongs right of the normal limit.
      const bin = Math.floor((Math.log2(score) - first) * BINS_PER_OCTAVE + 1e-9);
      bins[Math.min(bin, bins.length - 1)][group]++;
    }
  });
  return { first, last, bins };
}

function createSvg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const PLOT = { width: 320, height: 170, left: 26, right: 8, top: 12, bottom: 38 };

class ScoreHistogram extends HTMLElement {
  static observedAttributes = ["scores", "threshold", "photo"];

  connectedCallback() {
    this.draw();
    this.observer = new MutationObserver(() => this.draw());
    this.observer.observe(document.documentElement, { attributeFilter: ["lang"] });
  }

  disconnectedCallback() {
    this.observer?.disconnect();
  }

  attributeChangedCallback(name) {
    if (!this.isConnected) return;
    if (name === "scores") this.draw();
    else this.move();
  }

  x(multiple) {
    const { first, last } = this.binned;
    const position = (Math.log2(Math.max(multiple, 2 ** first)) - first) / (last - first);
    return PLOT.left + Math.min(position, 1) * (PLOT.width - PLOT.left - PLOT.right);
  }

  draw() {
    const scores = JSON.parse(this.getAttribute("scores") || "null");
    if (!scores) return this.replaceChildren();
    const names = Object.keys(scores).filter((name) => scores[name].length);
    this.binned = binScores(names.map((name) => scores[name]));
    const { first, last, bins } = this.binned;
    const { width, height, left, right, top, bottom } = PLOT;
    const svg = createSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const sum = (bin) => bin.reduce((a, b) => a + b, 0);
    const most = Math.max(1, ...bins.map(sum));
    const floor = height - bottom;
    const y = (count) => floor - (count / most) * (floor - top);
    for (const count of [0, most]) {
      const line = { class: "grid", x1: left, x2: width - right, y1: y(count), y2: y(count) };
      const text = { x: left - 5, y: y(count) + 4, "text-anchor": "end" };
      svg.append(createSvg("line", line), createSvg("text", text, count));
    }
    bins.forEach((bin, i) => {
      const low = 2 ** (first + i / BINS_PER_OCTAVE), high = 2 ** (first + (i + 1) / BINS_PER_OCTAVE);
      let below = 0;
      bin.forEach((count, group) => {
        if (!count) return;
        const from = this.x(low), upper = y(below + count);
        const bar = createSvg("rect", {
          class: names[group],
          x: from + 0.5,
          y: upper,
          width: Math.max(this.x(high) - from - 1, 1),
          height: y(below) - upper,
        });
        const values = { low: low.toFixed(2), high: high.toFixed(2), count };
        bar.append(createSvg("title", {}, translate("histogram_bar", values)));
        svg.append(bar);
        below += count;
      });
    });
    for (let power = first; power <= last; power++) {
      const at = { x: this.x(2 ** power), y: floor + 14, "text-anchor": "middle" };
      if (last - first <= 8 || power % 2 === 0) svg.append(createSvg("text", at, 2 ** power));
    }
    const title = { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" };
    svg.append(createSvg("text", title, translate("histogram_axis")));
    this.marks = {
      threshold: createSvg("line", { class: "threshold", y1: top - 4, y2: floor }),
      photo: createSvg("path", { class: "photo" }),
    };
    svg.append(this.marks.threshold, this.marks.photo);
    this.replaceChildren(this.legend(names, scores), svg);
    this.move();
  }

  legend(names, scores) {
    const legend = document.createElement("div");
    legend.className = "names";
    for (const name of names) {
      const entry = document.createElement("span"), colour = document.createElement("i");
      colour.className = name;
      entry.append(colour, `${translate("histogram_" + name)} (${scores[name].length})`);
      legend.append(entry);
    }
    return legend;
  }

  move() {
    if (!this.marks) return;
    const threshold = Number(this.getAttribute("threshold") || 1);
    this.marks.threshold.setAttribute("x1", this.x(threshold));
    this.marks.threshold.setAttribute("x2", this.x(threshold));
    const score = this.getAttribute("photo");
    const at = score ? this.x(score / SETTINGS.steps) : 0;
    const arrow = score ? `M${at} ${PLOT.height - PLOT.bottom}l-6 -11h4v-24h4v24h4z` : "";
    this.marks.photo.setAttribute("d", arrow);
    const photo = score ? translate("histogram_photo", { score: formatMultiple(score) }) : "";
    const label = translate("histogram_label", { threshold: threshold.toFixed(2) });
    this.lastChild.setAttribute("aria-label", `${label} ${photo}`.trim());
  }
}
