// What this browser inspected: small pictures in its own storage, bounded, never sent anywhere.
const HISTORY = "defect.history.1";
const MOST_KEPT = 24, MOST_BYTES = 160000, THUMB = 96;

function readHistory() {
  try {
    const kept = JSON.parse(localStorage.getItem(HISTORY));
    return Array.isArray(kept) ? kept.filter((entry) => entry && entry.thumb) : [];
  } catch {
    return []; // not allowed to store, or damaged
  }
}

function writeHistory(entries) {
  let kept = entries.slice(0, MOST_KEPT);
  while (kept.length && JSON.stringify(kept).length > MOST_BYTES) kept = kept.slice(0, -1);
  try {
    localStorage.setItem(HISTORY, JSON.stringify(kept));
  } catch {
    // Full or forbidden: the page works without.
  }
  document.dispatchEvent(new Event("defect:history"));
}

// The same look at another threshold, or the same example again, takes its old entry's place.
function remember(look, limit, canvas) {
  const scale = THUMB / Math.max(canvas.width, canvas.height);
  const small = document.createElement("canvas");
  small.width = Math.max(1, Math.round(canvas.width * scale));
  small.height = Math.max(1, Math.round(canvas.height * scale));
  const context = small.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const entry = {
    id: look.id,
    thumb: small.toDataURL("image/jpeg", 0.75),
    name: look.example || look.name.slice(0, 60),
    model: look.model,
    category: look.category,
    example: look.example,
    defective: look.score >= stepsOf(limit),
    score: look.score,
    limit,
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
    sayAll(element);
    const entries = readHistory();
    clear.hidden = !entries.length;
    element.querySelector(".history-empty").hidden = entries.length > 0;
    list.replaceChildren(...entries.map(tile));
  }

  function tile(entry) {
    const item = document.createElement("li");
    const word = say(entry.defective ? "defective" : "looks_normal");
    const values = { score: multiple(entry.score), limit: entry.limit.toFixed(2) };
    // An upload is not kept, so only examples can be opened again.
    const box = document.createElement(entry.example ? "a" : "span");
    if (entry.example) box.href = linkTo({ ...entry, threshold: values.limit });
    const picture = document.createElement("img");
    picture.src = entry.thumb;
    picture.alt = "";
    const text = document.createElement("span");
    text.className = entry.defective ? "bad" : "good";
    text.textContent = `${word} ${values.score} ×`;
    const name = document.createElement("small");
    name.textContent = `${entry.name} · ${entry.model.toUpperCase()} ${entry.category}`;
    box.title = say("history_title", { ...values, name: entry.name });
    box.append(picture, text, name);
    item.append(box);
    return item;
  }
  document.addEventListener("defect:history", show);
  window.addEventListener("storage", (event) => event.key === HISTORY && show());
  onLanguage(show);
  show();
}
