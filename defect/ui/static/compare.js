// All models of a category on one photo; each is judged at the same multiple of its own limit.
function compare(element, props, watch) {
  const box = element.querySelector(".cards");
  let looks = [], asked = 0;

  function card(look) {
    const made = document.createElement("article");
    made.className = "card";
    const title = document.createElement("h3");
    title.textContent = look.model.toUpperCase();
    made.append(title);
    if (look.problem) {
      const text = document.createElement("p");
      text.textContent = look.problem;
      made.append(text);
      return made;
    }
    const canvas = document.createElement("canvas");
    canvas.width = 360;
    canvas.height = Math.round((360 * look.photo.height) / look.photo.width);
    canvas.setAttribute("role", "img");
    const word = document.createElement("p");
    word.className = "word";
    const why = document.createElement("p");
    why.className = "why";
    made.append(canvas, word, why);
    return made;
  }

  function paint() {
    const state = { ...latest, view: "overlay", wipe: 0 };
    [...box.children].forEach((made, i) => {
      const look = looks[i];
      if (look.problem) return;
      const bad = look.score >= stepsOf(state.limit);
      drawStage(made.querySelector("canvas"), look, state);
      const word = made.querySelector(".word"), why = made.querySelector(".why");
      word.className = bad ? "word bad" : "word good";
      word.textContent = `${say(bad ? "defective" : "looks_normal")} ${multiple(look.score)} ×`;
      why.textContent = sentenceOf(look, state.limit);
      made.querySelector("canvas").setAttribute("aria-label", `${look.model}. ${verdictOf(look, state.limit)}`);
    });
  }

  async function receive() {
    const turn = ++asked;
    const value = props.value || {};
    const sent = value.looks || [];
    const opened = await Promise.all(
      sent.map((look) => (look.problem ? look : openLook({ ...look, photo: value.photo }))),
    );
    if (turn !== asked) return;
    looks = opened;
    box.replaceChildren(...looks.map(card));
    element.querySelector(".compare-hint").hidden = !looks.length;
    paint();
  }
  document.addEventListener("defect:moved", () => requestAnimationFrame(paint));
  onLanguage(() => (sayAll(element), paint()));
  sayAll(element);
  watch("value", receive);
  receive();
}
