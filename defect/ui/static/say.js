// Sentences in the visitor's language; Gradio writes it to the page's `lang`.
const language = () => {
  const lang = document.documentElement.lang || navigator.language || "en";
  return lang.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
};

function say(key, values = {}) {
  const text = TEXTS[language()][key] ?? TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const percent = (share) =>
  share > 0 && share < 0.001 ? say("under_percent") : `${(100 * share).toFixed(1)} %`;

const placeName = (where) => say("at_" + where.replace(" ", "_"));

const verdictOf = (look, limit) => {
  const word = say(look.score >= stepsOf(limit) ? "defective" : "looks_normal");
  return say("verdict", { word, sentence: sentenceOf(look, limit) });
};

// What speaks for the verdict; with it, the sentence of defect/verdict.py.
function sentenceOf(look, limit) {
  const score = multiple(look.score);
  const found = look.regions(limit);
  if (!found.length) return say("sentence_normal", { score });
  const first = { score, where: placeName(found[0].where), area: percent(found[0].area) };
  if (found.length === 1) return say("sentence_one", first);
  const all = percent(found.reduce((sum, region) => sum + region.area, 0));
  return say("sentence_many", { ...first, count: found.length, all });
}

// What defect/ui/words.py says a threshold costs, on the stored scores (in steps).
function costOf(scores, limit) {
  const good = [...scores.held_out, ...scores.good];
  if (!good.length) return "";
  const reaching = (list) => list.filter((score) => score >= stepsOf(limit)).length;
  const share = (list, kind) => {
    const count = reaching(list), total = list.length;
    const about = Math.min(Math.max(Math.round((100 * count) / total), 1), 99);
    if (count === 0) return say(`cost_none_${kind}`, { total });
    return count === total ? say(`cost_all_${kind}`, { total }) : say(`cost_${kind}`, { about });
  };
  const known = scores.defective.length;
  const counted = [
    scores.held_out.length && say("cost_held_out", { count: scores.held_out.length }),
    scores.good.length && say("cost_test", { count: scores.good.length }),
  ].filter(Boolean).join(say("cost_and"));
  return say(known ? "cost_line" : "cost_line_good", {
    good: share(good, "good"),
    defective: known && share(scores.defective, "defective"),
    counted,
    known,
  });
}

// Fills every element that names its text, now and when the language changes.
function sayAll(element) {
  for (const part of element.querySelectorAll("[data-say]")) part.textContent = say(part.dataset.say);
  for (const part of element.querySelectorAll("[data-hint]")) part.title = say(part.dataset.hint);
  for (const part of element.querySelectorAll("[data-label]")) {
    part.setAttribute("aria-label", say(part.dataset.label));
  }
}

function onLanguage(callback) {
  new MutationObserver(callback).observe(document.documentElement, { attributeFilter: ["lang"] });
}
