// Maps as pictures. The scales are fixed: a perfect part looks calm.
const SCALE_START = 0.6, SCALE_END = 2; // × the normal limit, of the overlay
const ERROR_END = 20; // × the thesis's normal limit; the scale goes by roots

const COLOURS = {
  heat: [[250, 246, 232], [253, 238, 170], [255, 190, 40], [235, 80, 20], [150, 0, 60]],
  viridis: [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]],
  inferno: [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]],
};

function colourAt(name, share) {
  const stops = COLOURS[name];
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const first = Math.min(Math.floor(place), stops.length - 2);
  return stops[first].map((from, c) => from + (stops[first + 1][c] - from) * (place - first));
}

// How a view turns a map's value (in its own steps) into a colour and an opacity.
const SCALES = {
  overlay: {
    source: "map",
    ticks: [0.6, 1, 1.5, 2],
    share: (value) => value / STEPS / SCALE_END,
    place: (tick) => (tick - SCALE_START) / (SCALE_END - SCALE_START),
    at: (place) => (SCALE_START + place * (SCALE_END - SCALE_START)) * STEPS,
    solid: (value) => {
      const over = (value / STEPS - SCALE_START) / (SCALE_END - SCALE_START);
      return over <= 0 ? 0 : Math.min(1, over < 0.29 ? over * 1.83 : 0.53 + (over - 0.29) * 0.67);
    },
  },
  map: {
    source: "map",
    ticks: [0, 0.5, 1, 1.5, 2],
    share: (value) => value / STEPS / SCALE_END,
    place: (tick) => tick / SCALE_END,
    at: (place) => place * SCALE_END * STEPS,
    solid: () => 1,
  },
  error: {
    source: "error",
    ticks: [0, 1, 5, 10, 20],
    share: (value) => value / 255,
    place: (tick) => Math.sqrt(tick / ERROR_END),
    at: (place) => place * 255,
    solid: () => 1,
  },
};

function layerOf(values, scale, colours) {
  const canvas = blank(SIDE, SIDE);
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const words = new Uint32Array(image.data.buffer);
  const table = new Map();
  for (let i = 0; i < CELLS; i++) {
    const value = values[i];
    let word = table.get(value);
    if (word === undefined) {
      const [r, g, b] = colourAt(colours, scale.share(value));
      word = ((Math.round(scale.solid(value) * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0;
      table.set(value, word);
    }
    words[i] = word;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawLegend(canvas, scale, colours) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x++) {
    const value = scale.at(x / (canvas.width - 1));
    const [r, g, b] = colourAt(colours, scale.share(value)).map(Math.round);
    context.fillStyle = `rgb(${r} ${g} ${b} / ${scale.solid(value)})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}

// The photo with the view over it, without contour: kept while only the threshold moves.
function baseOf(look, { view, colours, opacity }, width, height) {
  const context = blank(width, height).getContext("2d");
  if (view !== "photo") context.drawImage(look.base({ view: "photo" }, width, height), 0, 0);
  context.imageSmoothingQuality = "high";
  if (view === "photo") {
    context.drawImage(look.photo, 0, 0, width, height);
  } else if (view === "reconstruction") {
    context.drawImage(look.rebuilt, 0, 0, width, height);
  } else {
    context.globalAlpha = view === "overlay" ? opacity / 100 : 1;
    context.drawImage(look.layer(view, colours), 0, 0, width, height);
  }
  return context.canvas;
}

function blank(width, height) {
  const canvas = document.createElement("canvas");
  return Object.assign(canvas, { width, height });
}

// The picture on the stage: photo left of the wipe, the view right of it, contour on top.
function drawStage(canvas, look, state) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.drawImage(look.base(state, width, height), 0, 0);
  if (state.view !== "error") strokeContour(context, look.contour(state.limit), width, height);
  const wipe = Math.round((state.wipe / 100) * width);
  if (!wipe) return;
  const photo = look.base({ view: "photo" }, width, height);
  context.drawImage(photo, 0, 0, wipe, height, 0, 0, wipe, height);
  if (wipe === width) return;
  context.fillStyle = "#fff";
  context.fillRect(wipe - 1, 0, 2, height);
  context.fillStyle = "#0008";
  context.fillRect(wipe + 1, 0, 1, height);
}

function strokeContour(context, line, width, height) {
  const across = new Path2D();
  across.addPath(line, new DOMMatrix([width / SIDE, 0, 0, height / SIDE, 0, 0]));
  const thin = Math.max(1.5, Math.max(width, height) / 400);
  context.strokeStyle = "#141414";
  context.lineWidth = thin * 2.2;
  context.stroke(across);
  context.strokeStyle = "#fff";
  context.lineWidth = thin;
  context.stroke(across);
}

// A look as the server sends it → pictures and maps, each drawn once and kept.
async function openLook(sent) {
  const picture = async (address) => {
    const image = new Image();
    image.src = address;
    await image.decode();
    return image;
  };
  const [photo, rebuilt, map, error] = await Promise.all([
    picture(sent.photo),
    sent.reconstruction && picture(sent.reconstruction),
    unpack(sent.map),
    sent.error && unpack(sent.error),
  ]);
  const layers = {}, kept = {}, bases = {};
  const once = (name, limit, make) => {
    if (kept[name]?.limit !== limit) kept[name] = { limit, made: make(map, stepsOf(limit)) };
    return kept[name].made;
  };
  const look = {
    ...sent,
    photo,
    rebuilt,
    score: map.reduce((a, b) => Math.max(a, b), 0),
    contour: (limit) => once("contour", limit, contourOf),
    regions: (limit) => once("regions", limit, regionsOf),
    layer: (view, colours) => {
      const scale = SCALES[view];
      const values = scale.source === "map" ? map : error;
      return (layers[view + colours] ??= layerOf(values, scale, colours));
    },
    base: (state, width, height) => {
      // One of the photo alone and one with a view; an opacity or colour left is drawn anew.
      const slot = state.view === "photo" ? "photo" : "view";
      const key = [state.view, state.colours, state.opacity, width, height].join();
      if (bases[slot]?.key !== key) bases[slot] = { key, canvas: baseOf(look, state, width, height) };
      return bases[slot].canvas;
    },
  };
  return look;
}
