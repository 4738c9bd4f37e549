// Maps as pictures. The scales are fixed: a perfect part looks calm. The overlay's table comes from
// defect/imaging/colours.py, so that a report's overlay looks like the one here.
// "rrggbb…" → [[r, g, b], …], or with four parts a colour and an opacity.
const parseTable = (hex, parts) =>
  hex
    .match(new RegExp(`.{${2 * parts}}`, "g"))
    .map((row) => row.match(/../g).map((part) => parseInt(part, 16)));
const PALETTES = Object.fromEntries(
  Object.entries(SETTINGS.palettes).map(([name, hex]) => [name, parseTable(hex, 3)]),
);
const OVERLAY = parseTable(SETTINGS.overlay.table, 4);
const { start: SCALE_START, end: SCALE_END } = SETTINGS.overlay;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const rowAt = (table, fraction) => table[Math.floor(clamp(fraction, 0, 1) * (table.length - 1) + 1e-9)];
const multipleOf = (steps) => steps / SETTINGS.steps;

// [r, g, b, opacity] of a multiple of the normal limit, 0 to 255 each.
function overlayAt(palette, multiple) {
  const row = rowAt(OVERLAY, (multiple - SCALE_START) / (SCALE_END - SCALE_START));
  return palette === "heat" ? row : [...rowAt(PALETTES[palette], multiple / SCALE_END), row[3]];
}

// How a view turns a map's value (in its own steps) into [r, g, b, opacity].
const SCALES = {
  overlay: {
    source: "map",
    ticks: [0.6, 1, 1.5, 2],
    colour: (palette, value) => overlayAt(palette, multipleOf(value)),
    position: (tick) => (tick - SCALE_START) / (SCALE_END - SCALE_START),
    at: (position) => (SCALE_START + position * (SCALE_END - SCALE_START)) * SETTINGS.steps,
  },
  map: {
    source: "map",
    ticks: [0, 0.5, 1, 1.5, 2],
    colour: (palette, value) => [...rowAt(PALETTES[palette], multipleOf(value) / SCALE_END), 255],
    position: (tick) => tick / SCALE_END,
    at: (position) => position * SCALE_END * SETTINGS.steps,
  },
  error: {
    source: "error",
    ticks: [0, 1, 5, 10, 20],
    colour: (palette, value) => [...rowAt(PALETTES[palette], value / 255), 255],
    position: (tick) => Math.sqrt(tick / SETTINGS.error_end),
    at: (position) => position * 255,
  },
};

function drawLayer({ values, width, height }, scale, colours) {
  const canvas = createCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const table = new Map();
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    let pixel = table.get(value);
    if (pixel === undefined) {
      const [r, g, b, opacity] = scale.colour(colours, value);
      pixel = ((opacity << 24) | (b << 16) | (g << 8) | r) >>> 0;
      table.set(value, pixel);
    }
    pixels[i] = pixel;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawLegend(canvas, scale, colours) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x++) {
    const [r, g, b, opacity] = scale.colour(colours, scale.at(x / (canvas.width - 1)));
    context.fillStyle = `rgb(${r} ${g} ${b} / ${opacity / 255})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}

// The photo with the view over it, without contour: kept while only the threshold moves.
function drawBase(inspection, { view, colours, opacity }, width, height) {
  const context = createCanvas(width, height).getContext("2d");
  if (view !== "photo") {
    context.drawImage(inspection.base({ view: "photo" }, width, height), 0, 0);
  }
  context.imageSmoothingQuality = "high";
  if (view === "photo") {
    context.drawImage(inspection.photo, 0, 0, width, height);
  } else if (view === "reconstruction") {
    context.drawImage(inspection.reconstructed, 0, 0, width, height);
  } else {
    context.globalAlpha = view === "overlay" ? opacity / 100 : 1;
    context.drawImage(inspection.layer(view, colours), 0, 0, width, height);
  }
  return context.canvas;
}

function createCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

// The picture on the stage: photo left of the wipe, the view right of it, contour on top.
function drawStage(canvas, inspection, state) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.drawImage(inspection.base(state, width, height), 0, 0);
  if (state.view !== "error") strokeContour(context, inspection, state.threshold);
  const wipe = Math.round((state.wipe / 100) * width);
  if (!wipe) return;
  const photo = inspection.base({ view: "photo" }, width, height);
  context.drawImage(photo, 0, 0, wipe, height, 0, 0, wipe, height);
  if (wipe === width) return;
  context.fillStyle = "#fff";
  context.fillRect(wipe - 1, 0, 2, height);
  context.fillStyle = "#0008";
  context.fillRect(wipe + 1, 0, 1, height);
}

function strokeContour(context, inspection, threshold) {
  const { width, height } = context.canvas, { map } = inspection;
  const line = new Path2D();
  for (const [x0, y0, x1, y1] of inspection.contour(threshold)) {
    line.moveTo((x0 / map.width) * width, (y0 / map.height) * height);
    line.lineTo((x1 / map.width) * width, (y1 / map.height) * height);
  }
  const thin = Math.max(1.5, Math.max(width, height) / 400);
  context.strokeStyle = "#141414";
  context.lineWidth = thin * 2.2;
  context.stroke(line);
  context.strokeStyle = "#fff";
  context.lineWidth = thin;
  context.stroke(line);
}

// An inspection as the server sends it → pictures and maps, each drawn once and kept.
async function openInspection(sent) {
  const picture = async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    return image;
  };
  const [photo, reconstructed, map, error] = await Promise.all([
    picture(sent.photo),
    sent.reconstruction && picture(sent.reconstruction),
    unpackMap(sent.map),
    sent.error && unpackMap(sent.error),
  ]);
  const layers = {}, latest = {}, bases = {};
  const once = (name, threshold, make) => {
    if (latest[name]?.threshold !== threshold) {
      latest[name] = { threshold, made: make(map, stepsOf(threshold)) };
    }
    return latest[name].made;
  };
  const inspection = {
    ...sent,
    photo,
    reconstructed,
    map,
    score: map.values.reduce((a, b) => Math.max(a, b), 0),
    contour: (threshold) => once("contour", threshold, contourSegments),
    regions: (threshold) => once("regions", threshold, findRegions),
    layer: (view, colours) => {
      const scale = SCALES[view];
      const values = scale.source === "map" ? map : error;
      return (layers[view + colours] ??= drawLayer(values, scale, colours));
    },
    base: (state, width, height) => {
      // One of the photo alone and one with a view; an opacity or colour left is drawn anew.
      const slot = state.view === "photo" ? "photo" : "view";
      const key = [state.view, state.colours, state.opacity, width, height].join();
      if (bases[slot]?.key !== key) {
        bases[slot] = { key, canvas: drawBase(inspection, state, width, height) };
      }
      return bases[slot].canvas;
    },
  };
  return inspection;
}
