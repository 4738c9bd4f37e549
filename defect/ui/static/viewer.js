// The viewer: every control redraws what the browser holds; none asks the server.
const MAX_ROWS = 8;

// What each viewer's controls were last set to, by the viewer's name; a comparison follows them.
const viewerStates = {};

function viewer(element, props, watch, name) {
  const $ = (selector) => element.querySelector(selector);
  const canvas = $(".stage canvas"), verdict = $(".verdict"), legend = $(".legend canvas");
  const [number, range] = element.querySelectorAll(".strong input");
  const [wipe, opacity] = ["wipe", "opacity"].map((part) => $(`input[id$=${part}-range]`));
  const colours = $("select");
  const histogram = $("score-histogram");
  const state = { threshold: 1, view: "overlay", wipe: 0, opacity: 100, colours: "heat" };
  viewerStates[name] = state;
  const moved = () => document.dispatchEvent(new CustomEvent("defect:moved", { detail: name }));
  let sent = {}, inspection = null, turn = 0, waiting = false;

  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  };

  function paint() {
    canvas.hidden = !inspection;
    $(".empty").hidden = Boolean(inspection);
    if (inspection) {
      const { photo } = inspection;
      const scale = Math.min(2, Math.max(1, 640 / photo.width), 1280 / photo.width);
      const width = Math.round(photo.width * scale), height = Math.round(photo.height * scale);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      drawStage(canvas, inspection, state);
    }
    showVerdict();
    showLegend();
    showRegions();
    showCost();
    histogram.setAttribute("threshold", state.threshold);
    if (inspection) histogram.setAttribute("photo", inspection.score);
    else histogram.removeAttribute("photo");
    // For whoever watches the page: what is on the screen now.
    element.dataset.painted = state.threshold.toFixed(2);
  }

  // A detector that reconstructs nothing has no view of it.
  function offerViews() {
    const absent = {
      reconstruction: inspection && !inspection.reconstruction,
      error: inspection && !inspection.error,
    };
    for (const view of element.querySelectorAll(".views input")) {
      view.parentElement.hidden = Boolean(absent[view.value]);
      if (absent[state.view]) view.checked = view.value === "overlay";
    }
    if (absent[state.view]) state.view = "overlay";
    $(".copy").hidden = sent.linkable === false;
  }

  // Such a detector cannot say that a photo looks normal.
  const isWeak = () => Boolean(sent.scores) && findsFew(sent, state.threshold);

  function showVerdict() {
    const found = inspection;
    const defective = found && isDefective(found, state.threshold);
    const weak = isWeak();
    const kind = found ? (defective ? "bad" : "good") : sent.kind === "problem" ? "problem" : "";
    const why = found
      ? sentenceOf(found, state.threshold)
      : sent.kind === "problem" ? sent.text : translate(sent.prompt || "prompt_upload");
    verdict.className = "verdict " + kind;
    $(".word").textContent = found
      ? verdictWord(defective, weak)
      : translate(kind ? "not_inspected" : "no_photo");
    $(".why").textContent = why;
    const seen = found ? verdictOf(found, state.threshold, weak) : why;
    canvas.setAttribute("aria-label", `${translate("view_" + state.view)}. ${seen}`);
    showGauge();
    $(".numbers-line").textContent = found ? numbersOf(found) : "";
    $(".notes").textContent = found ? found.notes.join(" ") : "";
    $(".warning").hidden = !found?.unfamiliar;
    $(".warning").textContent = found?.unfamiliar
      ? translate("unfamiliar", { category: found.category })
      : "";
  }

  function numbersOf(found) {
    const numbers = translate("numbers", {
      score: formatMultiple(found.score),
      threshold: state.threshold.toFixed(2),
      model: found.model.toUpperCase(),
      category: found.category,
    });
    if (found.thesis_score === null) return numbers;
    return numbers + translate("numbers_thesis", {
      thesis: found.thesis_score.toFixed(4),
      thesis_limit: found.thesis_limit.toFixed(4),
    });
  }

  function showGauge() {
    const gauge = $(".gauge"), tick = $(".tick");
    gauge.classList.toggle("idle", !inspection);
    const percentOf = (multiple) => Math.min(multiple / 3, 1) * 100;
    const at = percentOf(state.threshold);
    $(".fill").style.width = `${inspection ? percentOf(multipleOf(inspection.score)) : 0}%`;
    tick.style.left = `${at}%`;
    tick.className = "tick " + (at > 78 ? "last" : at < 22 ? "first" : "");
    const threshold = state.threshold.toFixed(2);
    tick.firstChild.textContent =
      state.threshold === 1 ? translate("normal_limit") : translate("threshold_at", { threshold });
    const label = inspection
      ? translate("gauge", { score: formatMultiple(inspection.score), threshold })
      : translate("no_photo");
    gauge.setAttribute("aria-label", label);
  }

  function showLegend() {
    const scale = SCALES[state.view];
    $(".legend").style.visibility = scale ? "visible" : "hidden";
    const key = [state.view, state.colours, language()].join();
    if (!scale || legend.dataset.drawn === key) return;
    legend.dataset.drawn = key;
    drawLegend(legend, scale, state.colours);
    $(".legend-name").textContent = translate(state.view === "error" ? "legend_error" : "legend_map");
    const ticks = scale.ticks.map((tick) => {
      const mark = document.createElement("span");
      mark.textContent = tick === scale.ticks.at(-1) ? `${tick}+` : tick;
      mark.style.left = `${100 * scale.position(tick)}%`;
      return mark;
    });
    $(".ticks").replaceChildren(...ticks);
  }

  function showRegions() {
    const box = $(".regions");
    const found = inspection ? inspection.regions(state.threshold) : [];
    if (!found.length) {
      const text = translate(inspection ? "regions_none" : "regions_wait");
      return box.replaceChildren(paragraph(text));
    }
    const table = document.createElement("table");
    const addRow = (part, cells, allHeads) => {
      const row = part.insertRow();
      cells.forEach((text, i) => {
        const head = allHeads || i === 0;
        const cell = document.createElement(head ? "th" : "td");
        if (head) cell.scope = allHeads ? "col" : "row";
        cell.textContent = text;
        row.append(cell);
      });
    };
    const heads = ["region", "region_area", "region_peak"].map((key) => translate(key));
    addRow(table.createTHead(), heads, true);
    const body = table.createTBody();
    for (const { where, area, peak } of found.slice(0, MAX_ROWS)) {
      addRow(body, [positionName(where), formatPercent(area), `${formatMultiple(peak)}×`]);
    }
    box.replaceChildren(table);
    if (found.length > MAX_ROWS) {
      box.append(paragraph(translate("regions_more", { count: found.length - MAX_ROWS })));
    }
  }

  function paragraph(text) {
    const made = document.createElement("p");
    made.className = "absent";
    made.textContent = text;
    return made;
  }

  function showCost() {
    $(".cost").textContent = sent.scores ? costOf(sent, state.threshold) : "";
    let chosen = null;
    for (const button of element.querySelectorAll("[data-preset]")) {
      const value = sent.presets?.[button.dataset.preset];
      button.disabled = value === undefined;
      const on = value !== undefined && Math.abs(value - state.threshold) < 0.005;
      button.setAttribute("aria-pressed", on);
      if (on) chosen = button.dataset.hint;
    }
    $(".preset-hint").textContent = translate(chosen || "threshold_hint");
  }

  function setThreshold(value, from) {
    if (!Number.isFinite(value)) return;
    state.threshold = Math.round(clamp(value, 0.3, 3) * 100) / 100;
    const threshold = state.threshold.toFixed(2);
    if (from !== range) range.value = state.threshold;
    if (from !== number) number.value = threshold;
    range.setAttribute("aria-valuetext", translate("gauge_threshold", { threshold }));
    moved();
    redraw();
  }

  // Read out and remembered once the slider rests, not at every step.
  function announce() {
    $(".announced").textContent = inspection
      ? verdictOf(inspection, state.threshold, isWeak())
      : "";
    if (inspection) remember(inspection, state.threshold, canvas);
  }

  range.addEventListener("input", () => setThreshold(range.valueAsNumber, range));
  number.addEventListener("input", () => {
    const inside = number.valueAsNumber >= 0.3 && number.valueAsNumber <= 3;
    if (inside) setThreshold(number.valueAsNumber, number);
  });
  number.addEventListener("change", () => setThreshold(number.valueAsNumber || state.threshold));
  for (const part of [range, number]) {
    part.addEventListener("change", () => requestAnimationFrame(announce));
  }
  for (const button of element.querySelectorAll("[data-preset]")) {
    button.addEventListener("click", () => {
      setThreshold(sent.presets[button.dataset.preset]);
      requestAnimationFrame(announce);
    });
  }
  const bind = (control, part, event) =>
    control.addEventListener(event, () => {
      state[part] = control.type === "range" ? control.valueAsNumber : control.value;
      moved();
      redraw();
    });
  bind(wipe, "wipe", "input");
  bind(opacity, "opacity", "input");
  bind(colours, "colours", "change");
  for (const view of element.querySelectorAll(".views input")) bind(view, "view", "change");
  dragWipe(canvas, wipe);
  bindTools(element, canvas, () => ({ sent, inspection, threshold: state.threshold }));

  const showScores = () => {
    if (sent.scores) histogram.setAttribute("scores", JSON.stringify(sent.scores));
    else histogram.removeAttribute("scores");
  };

  async function receive() {
    const value = props.value || {};
    if (value.kind === "known") {
      if (inspection) return; // a photo came meanwhile
      sent = { ...sent, ...value, kind: sent.kind };
    } else {
      const mine = ++turn;
      let opened = null;
      try {
        if (value.kind === "inspection") opened = await openInspection(value);
      } catch (problem) {
        console.error(problem);
      }
      if (mine !== turn) return; // something newer came meanwhile
      [sent, inspection] = [value, opened];
    }
    offerViews();
    showScores();
    paint();
    announce();
    element.dataset.inspection = value.id || "";
  }

  function showTexts() {
    translateAll(element);
    redraw();
  }
  watch("value", receive);
  onLanguage(showTexts);
  showTexts();
  setThreshold(Number(new URLSearchParams(location.search).get("threshold")) || 1);
  receive();
}

// Dragging on the picture moves the wipe; the slider below is the same for a keyboard.
function dragWipe(canvas, wipe) {
  const move = (event) => {
    const box = canvas.getBoundingClientRect();
    wipe.value = Math.round(100 * clamp((event.clientX - box.left) / box.width, 0, 1));
    wipe.dispatchEvent(new Event("input"));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && move(event));
}

function bindTools(element, canvas, now) {
  const answer = element.querySelector(".copied"), field = element.querySelector(".link");
  element.querySelector(".copy").addEventListener("click", async () => {
    const { sent, inspection, threshold } = now();
    const link = linkTo({ ...sent, threshold: threshold.toFixed(2) });
    field.hidden = true;
    try {
      await navigator.clipboard.writeText(link);
      const without = inspection && !sent.example;
      answer.textContent = translate(without ? "copied_without_photo" : "copied");
    } catch {
      // Not allowed in this frame: shown, to be copied by hand.
      Object.assign(field, { value: link, hidden: false });
      field.select();
      answer.textContent = "";
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
