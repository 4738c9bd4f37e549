// What this browser inspected: small pictures in its own storage, bounded, never sent anywhere.
const HISTORY = "defect.history.1";
const MAX_ENTRIES = 24, MAX_BYTES = 160000, THUMBNAIL_SIDE = 96;

function readHistory() {
  try {
    const entries = JSON.parse(localStorage.getItem(HISTORY));
    const usable = (entry) => entry && entry.thumb && Number.isFinite(entry.threshold);
    return Array.isArray(entries) ? entries.filter(usable) : [];
  } catch {
    return []; // not allowed to store, or damaged
  }
}

function writeHistory(entries) {
  let stored = entries.slice(0, MAX_ENTRIES);
  while (stored.length && JSON.stringify(stored).length > MAX_BYTES) stored = stored.slice(0, -1);
  try {
    localStorage.setItem(HISTORY, JSON.stringify(stored));
  } catch {
    // Full or forbidden: the page works without.
  }
  document.dispatchEvent(new Event("defect:history"));
}

// The same inspection at another threshold, or the same example again, replaces its old entry.
function remember(inspection, threshold, canvas) {
  const scale = THUMBNAIL_SIDE / Math.max(canvas.width, canvas.height);
  const small = createCanvas(
    Math.max(1, Math.round(canvas.width * scale)),
    Math.max(1, Math.round(canvas.height * scale)),
  );
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const entry = {
    id: inspection.id,
    thumb: small.toDataURL("image/jpeg", 0.75),
    name: inspection.example || inspection.name.slice(0, 60),
    model: inspection.model,
    category: inspection.category,
    example: inspection.example,
    defective: isDefective(inspection, threshold),
    score: inspection.score,
    threshold,
  };
  const key = (some) => some.example && [some.example, some.model, some.category].join();
  const others = readHistory().filter(
    (old) => old.id !== entry.id && (!entry.example || key(old) !== key(entry)),
  );
  writeHistory([entry, ...others]);
}

function historyPanel(element) {
  const list = element.querySelector(".history-list");
  const clear = element.querySelector(".clear");
  clear.addEventListener("click", () => writeHistory([]));

  function show() {
    translateAll(element);
    const entries = readHistory();
    clear.hidden = !entries.length;
    element.querySelector(".history-empty").hidden = entries.length > 0;
    list.replaceChildren(...entries.map(createItem));
  }

  function createItem(entry) {
    const item = document.createElement("li");
    const values = { score: formatMultiple(entry.score), threshold: entry.threshold.toFixed(2) };
    // An upload is not kept, so only examples can be opened again.
    const box = document.createElement(entry.example ? "a" : "span");
    if (entry.example) box.href = linkTo({ ...entry, threshold: values.threshold });
    const picture = document.createElement("img");
    picture.src = entry.thumb;
    picture.alt = "";
    const text = document.createElement("span");
    text.className = entry.defective ? "bad" : "good";
    text.textContent = `${verdictWord(entry.defective)} ${values.score}×`;
    const name = document.createElement("small");
    name.textContent = `${entry.name} · ${entry.model.toUpperCase()} ${entry.category}`;
    box.title = translate("history_title", { ...values, name: entry.name });
    box.append(picture, text, name);
    item.append(box);
    return item;
  }
  document.addEventListener("defect:history", show);
  window.addEventListener("storage", (event) => event.key === HISTORY && show());
  onLanguage(show);
  show();
}
