// The viewer: every control redraws what the browser holds; none asks the server.
const MOST_ROWS = 8;

// As last chosen; the models compared are drawn alike.
const latest = { limit: 1, view: "overlay", wipe: 0, opacity: 72, colours: "heat" };
const moved = () => document.dispatchEvent(new Event("defect:moved"));

function viewer(element, props, watch) {
  const $ = (selector) => element.querySelector(selector);
  const canvas = $(".stage canvas"), verdict = $(".verdict"), legend = $(".legend canvas");
  const [number, range] = element.querySelectorAll(".strong input");
  const [wipe, opacity] = ["wipe", "opacity"].map((name) => $(`input[id$=${name}-range]`));
  const colours = $("select");
  const plot = scorePlot($(".plot"));
  const state = latest;
  let sent = {}, look = null, asked = 0, waiting = false;

  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  };

  function paint() {
    canvas.hidden = !look;
    $(".empty").hidden = Boolean(look);
    if (look) {
      const scale = Math.min(2, Math.max(1, 640 / look.photo.width), 1280 / look.photo.width);
      const width = Math.round(look.photo.width * scale);
      const height = Math.round(look.photo.height * scale);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      drawStage(canvas, look, state);
    }
    showVerdict();
    showLegend();
    showRegions();
    showCost();
    plot.move(state.limit, look && look.score);
    // For whoever looks on: what is on the screen now.
    element.dataset.painted = state.limit.toFixed(2);
  }

  // A model that rebuilds nothing has no view of it.
  function offerViews() {
    const absent = { reconstruction: look && !look.reconstruction, error: look && !look.error };
    for (const view of element.querySelectorAll(".views input")) {
      view.parentElement.hidden = Boolean(absent[view.value]);
      if (absent[state.view]) view.checked = view.value === "overlay";
    }
    if (absent[state.view]) state.view = "overlay";
  }

  function showVerdict() {
    const bad = look && look.score >= stepsOf(state.limit);
    const kind = look ? (bad ? "bad" : "good") : sent.kind === "problem" ? "problem" : "";
    const word = look ? (bad ? "defective" : "looks_normal") : kind ? "not_inspected" : "no_photo";
    const why = look
      ? sentenceOf(look, state.limit)
      : sent.kind === "problem" ? sent.text : say(sent.prompt || "prompt_upload");
    verdict.className = "verdict " + kind;
    $(".word").textContent = say(word);
    $(".why").textContent = why;
    const seen = look ? verdictOf(look, state.limit) : why;
    canvas.setAttribute("aria-label", `${say("view_" + state.view)}. ${seen}`);
    const gauge = $(".gauge"), tick = $(".tick");
    gauge.classList.toggle("idle", !look);
    const part = (value) => Math.min(value / 3, 1) * 100;
    const at = part(state.limit);
    $(".fill").style.width = `${look ? part(look.score / STEPS) : 0}%`;
    tick.style.left = `${at}%`;
    tick.className = "tick " + (at > 78 ? "last" : at < 22 ? "first" : "");
    const limit = state.limit.toFixed(2);
    tick.firstChild.textContent = state.limit === 1 ? say("normal_limit") : say("threshold_at", { limit });
    const score = look ? multiple(look.score) : "";
    gauge.setAttribute("aria-label", look ? say("gauge", { score, limit }) : say("no_photo"));
    const numbers = look && {
      score,
      limit,
      model: look.model.toUpperCase(),
      category: look.category,
    };
    const thesis = look && look.thesis_score !== null && {
      thesis: look.thesis_score.toFixed(4),
      thesis_limit: look.thesis_limit.toFixed(4),
    };
    $(".numbers-line").textContent =
      (look ? say("numbers", numbers) : "") + (thesis ? say("numbers_thesis", thesis) : "");
    $(".notes").textContent = look ? look.notes.join(" ") : "";
    $(".warning").hidden = !look?.unfamiliar;
    $(".warning").textContent = look?.unfamiliar ? say("unfamiliar", { category: look.category }) : "";
  }

  function showLegend() {
    const scale = SCALES[state.view];
    $(".legend").style.visibility = scale ? "visible" : "hidden";
    const key = [state.view, state.colours, language()].join();
    if (!scale || legend.dataset.drawn === key) return;
    legend.dataset.drawn = key;
    drawLegend(legend, scale, state.colours);
    $(".legend-name").textContent = say(state.view === "error" ? "legend_error" : "legend_map");
    const ticks = scale.ticks.map((tick) => {
      const mark = document.createElement("span");
      mark.textContent = tick === scale.ticks.at(-1) ? `${tick}+` : tick;
      mark.style.left = `${100 * scale.place(tick)}%`;
      return mark;
    });
    $(".ticks").replaceChildren(...ticks);
  }

  function showRegions() {
    const box = $(".regions");
    const found = look ? look.regions(state.limit) : [];
    if (!found.length) {
      const nothing = document.createElement("p");
      nothing.className = "absent";
      nothing.textContent = say(look ? "regions_none" : "regions_wait");
      return box.replaceChildren(nothing);
    }
    const table = document.createElement("table");
    const heads = ["region", "region_area", "region_peak"].map((key) => say(key));
    const line = (cells, kind) => {
      const row = document.createElement("tr");
      cells.forEach((text, i) => {
        const head = kind === "th" || i === 0;
        const cell = document.createElement(head ? "th" : "td");
        if (head) cell.scope = kind === "th" ? "col" : "row";
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    };
    table.createTHead().append(line(heads, "th"));
    const body = table.createTBody();
    for (const region of found.slice(0, MOST_ROWS)) {
      const peak = `${multiple(region.peak)} ×`;
      body.append(line([placeName(region.where), percent(region.area), peak], "td"));
    }
    box.replaceChildren(table);
    if (found.length > MOST_ROWS) {
      const more = document.createElement("p");
      more.className = "absent";
      more.textContent = say("regions_more", { count: found.length - MOST_ROWS });
      box.append(more);
    }
  }

  function showCost() {
    $(".cost").textContent = sent.scores ? costOf(sent.scores, state.limit) : "";
    let chosen = null;
    for (const button of element.querySelectorAll("[data-preset]")) {
      const value = sent.presets?.[button.dataset.preset];
      button.disabled = value === undefined;
      const on = value !== undefined && Math.abs(value - state.limit) < 0.005;
      button.setAttribute("aria-pressed", on);
      if (on) chosen = button.dataset.hint;
    }
    $(".preset-said").textContent = chosen ? say(chosen) : say("threshold_hint");
  }

  function setLimit(value, from) {
    if (!Number.isFinite(value)) return;
    state.limit = Math.round(Math.min(Math.max(value, 0.3), 3) * 100) / 100;
    if (from !== range) range.value = state.limit;
    if (from !== number) number.value = state.limit.toFixed(2);
    range.setAttribute("aria-valuetext", say("gauge_limit", { limit: state.limit.toFixed(2) }));
    moved();
    redraw();
  }

  // Read out and noted once the slider rests, not at every step.
  function settle() {
    $(".spoken").textContent = look ? verdictOf(look, state.limit) : "";
    if (look) remember(look, state.limit, canvas);
  }

  range.addEventListener("input", () => setLimit(range.valueAsNumber, range));
  number.addEventListener("input", () => {
    const inside = number.valueAsNumber >= 0.3 && number.valueAsNumber <= 3;
    if (inside) setLimit(number.valueAsNumber, number);
  });
  number.addEventListener("change", () => setLimit(number.valueAsNumber || state.limit));
  for (const part of [range, number]) part.addEventListener("change", () => requestAnimationFrame(settle));
  for (const button of element.querySelectorAll("[data-preset]")) {
    button.addEventListener("click", () => {
      setLimit(sent.presets[button.dataset.preset]);
      requestAnimationFrame(settle);
    });
  }
  const bind = (control, name, event) =>
    control.addEventListener(event, () => {
      state[name] = control.type === "range" ? control.valueAsNumber : control.value;
      moved();
      redraw();
    });
  bind(wipe, "wipe", "input");
  bind(opacity, "opacity", "input");
  bind(colours, "colours", "change");
  for (const view of element.querySelectorAll(".views input")) bind(view, "view", "change");
  dragWipe(canvas, wipe);
  bindTools(element, canvas, () => ({ sent, look, limit: state.limit }));

  function learn(known) {
    sent = { ...sent, ...known, kind: sent.kind };
    if (sent.scores) plot.draw(sent.scores);
    paint();
    settle();
  }

  async function receive() {
    const value = props.value || {};
    if (value.kind === "known") {
      if (!look) learn(value); // else a photo came meanwhile
      return;
    }
    const turn = ++asked;
    let opened = null;
    try {
      if (value.kind === "look") opened = await openLook(value);
    } catch (problem) {
      console.error(problem);
    }
    if (turn !== asked) return; // something newer came meanwhile
    const plotted = JSON.stringify(value.scores) !== JSON.stringify(sent.scores);
    [sent, look] = [value, opened];
    offerViews();
    if (plotted && sent.scores) plot.draw(sent.scores);
    paint();
    settle();
    element.dataset.look = value.id || "";
  }

  function speak() {
    sayAll(element);
    if (sent.scores) plot.draw(sent.scores);
    redraw();
  }
  watch("value", receive);
  onLanguage(speak);
  speak();
  setLimit(Number(new URLSearchParams(location.search).get("threshold")) || 1);
  receive();
}

// Dragging on the picture moves the wipe; the slider below is the same for a keyboard.
function dragWipe(canvas, wipe) {
  const move = (event) => {
    const box = canvas.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    wipe.value = Math.round(100 * Math.min(Math.max(share, 0), 1));
    wipe.dispatchEvent(new Event("input"));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && move(event));
}

function bindTools(element, canvas, now) {
  const told = element.querySelector(".copied"), field = element.querySelector(".link");
  element.querySelector(".copy").addEventListener("click", async () => {
    const { sent, look, limit } = now();
    const link = linkTo({ ...sent, threshold: limit.toFixed(2) });
    field.hidden = true;
    try {
      await navigator.clipboard.writeText(link);
      told.textContent = say(look && !sent.example ? "copied_without_photo" : "copied");
    } catch {
      // Not allowed in this frame: shown, to be copied by hand.
      Object.assign(field, { value: link, hidden: false });
      field.select();
      told.textContent = "";
    }
  });
  const save = element.querySelector(".save");
  new MutationObserver(() => (save.disabled = canvas.hidden)).observe(canvas, { attributes: true });
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.download = "defect.png";
    link.href = canvas.toDataURL("image/png");
    link.click();
  });
}

function linkTo({ model, category, threshold, example }) {
  const query = new URLSearchParams({ tab: "inspect", model, category, threshold });
  if (example) query.set("example", example);
  return `${location.origin}${location.pathname}?${query}`;
}
