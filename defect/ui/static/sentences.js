// Sentences in the visitor's language; Gradio writes it to the page's `lang`.
const language = () => {
  const lang = document.documentElement.lang || navigator.language || "en";
  return lang.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
};

function translate(key, values = {}) {
  const text = TEXTS[language()][key] ?? TEXTS.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const formatPercent = (fraction) =>
  fraction > 0 && fraction < 0.001 ? translate("under_percent") : `${(100 * fraction).toFixed(1)} %`;

const positionName = (where) => translate("at_" + where.replace(" ", "_"));

// What `describe` of defect/inspection.py says; tests/ui/page_cases.json holds both to the same.
function describe(score, regions) {
  const values = { score: formatMultiple(score) };
  if (!regions.length) return translate("sentence_normal", values);
  values.where = positionName(regions[0].where);
  values.area = formatPercent(regions[0].area);
  if (regions.length === 1) return translate("sentence_one", values);
  values.count = regions.length;
  values.total = formatPercent(regions.reduce((sum, region) => sum + region.area, 0));
  return translate("sentence_many", values);
}

const isDefective = (inspection, threshold) => inspection.score >= stepsOf(threshold);

const verdictWord = (defective, weak = false) =>
  translate(defective ? "defective" : weak ? "nothing_found" : "looks_normal");

const sentenceOf = (inspection, threshold) =>
  describe(inspection.score, inspection.regions(threshold));

const verdictOf = (inspection, threshold, weak = false) =>
  translate("verdict", {
    word: verdictWord(isDefective(inspection, threshold), weak),
    sentence: sentenceOf(inspection, threshold),
  });

const countReaching = (scores, threshold) =>
  scores.filter((score) => score >= stepsOf(threshold)).length;

// What `threshold_cost` of defect/ui/tabs/cards.py says, from the stored scores (in steps).
function costOf({ scores, bounds, drawn: [found, drawn] }, threshold) {
  const good = [...scores.held_out, ...scores.good];
  if (!good.length) return "";
  const share = (list, kind) => {
    const count = countReaching(list, threshold), total = list.length;
    const about = Math.min(Math.max(Math.round((100 * count) / total), 1), 99);
    if (count === 0) return translate(`cost_none_${kind}`, { total });
    if (count === total) return translate(`cost_all_${kind}`, { total });
    return translate(`cost_${kind}`, { about });
  };
  const known = scores.defective.length;
  const counted = [
    scores.held_out.length && translate("cost_held_out", { count: scores.held_out.length }),
    scores.good.length && translate("cost_test", { count: scores.good.length }),
  ].filter(Boolean).join(translate("cost_and"));
  const most = bounds[countReaching(good, threshold)];
  const line = translate(known ? "cost_line" : "cost_line_good", {
    good: share(good, "good"),
    defective: known && share(scores.defective, "defective"),
    counted,
    known,
    bound: most < 100 ? translate("cost_bound", { most }) : "",
  });
  return drawn && !known ? `${line} ${translate("cost_drawn", { found, drawn })}` : line;
}

// Whether the detector finds less than half of the defects it was tried on.
function findsFew({ scores, drawn: [found, drawn] }, threshold) {
  const known = scores.defective.length;
  return known ? countReaching(scores.defective, threshold) < known / 2 : found < drawn / 2;
}

// Fills every element that names its text, now and when the language changes.
function translateAll(element) {
  for (const part of element.querySelectorAll("[data-text]")) {
    part.textContent = translate(part.dataset.text);
  }
  for (const part of element.querySelectorAll("[data-hint]")) {
    part.title = translate(part.dataset.hint);
  }
  for (const part of element.querySelectorAll("[data-label]")) {
    part.setAttribute("aria-label", translate(part.dataset.label));
  }
}

function onLanguage(callback) {
  new MutationObserver(callback).observe(document.documentElement, { attributeFilter: ["lang"] });
}
