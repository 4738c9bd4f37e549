// All models of a category on one photo, each judged at the same multiple of its own normal limit,
// at the threshold of the viewer they belong to.
function comparison(element, props, watch) {
  const box = element.querySelector(".cards");
  let inspections = [], turn = 0;

  function createCard(inspection) {
    const card = document.createElement("article");
    card.className = "card";
    const title = document.createElement("h3");
    title.textContent = inspection.title.toUpperCase();
    card.append(title);
    if (inspection.problem) {
      const text = document.createElement("p");
      text.textContent = inspection.problem;
      card.append(text);
      return card;
    }
    const { width, height } = inspection.photo;
    const canvas = createCanvas(360, Math.round((360 * height) / width));
    canvas.setAttribute("role", "img");
    const word = document.createElement("p"), why = document.createElement("p");
    why.className = "why";
    card.append(canvas, word, why);
    return card;
  }

  function paint() {
    const state = { ...viewerStates.viewer, view: "overlay", wipe: 0 };
    [...box.children].forEach((card, i) => {
      const inspection = inspections[i];
      if (inspection.problem) return;
      const defective = isDefective(inspection, state.threshold);
      const canvas = card.querySelector("canvas"), [word, why] = card.querySelectorAll("p");
      drawStage(canvas, inspection, state);
      word.className = defective ? "word bad" : "word good";
      word.textContent = `${verdictWord(defective)} ${formatMultiple(inspection.score)}×`;
      why.textContent = sentenceOf(inspection, state.threshold);
      const verdict = verdictOf(inspection, state.threshold);
      canvas.setAttribute("aria-label", `${inspection.title}. ${verdict}`);
    });
  }

  async function receive() {
    const mine = ++turn;
    const { photo, inspections: sent = [] } = props.value || {};
    const opened = await Promise.all(
      sent.map((one) => (one.problem ? one : openInspection({ ...one, photo }))),
    );
    if (mine !== turn) return;
    inspections = opened;
    box.replaceChildren(...inspections.map(createCard));
    element.querySelector(".comparison-hint").hidden = !inspections.length;
    paint();
  }
  document.addEventListener("defect:moved", (event) => {
    if (event.detail === "viewer") requestAnimationFrame(paint);
  });
  onLanguage(() => (translateAll(element), paint()));
  translateAll(element);
  watch("value", receive);
  receive();
}
