// What Gradio's own parts lack for a screen reader: its empty boxes have a label but no role.
function mend() {
  for (const box of document.querySelectorAll("div.empty[aria-label]:not([role])")) {
    box.setAttribute("role", "img");
  }
}

function keepTitle() {
  const title = () => (document.title = say("title"));
  onLanguage(title);
  title();
}

// The server speaks the language the browser asks for; it must know of another one chosen since.
function tellLanguage() {
  document.cookie = "language=; max-age=0; path=/";
  onLanguage(() => {
    document.cookie = `language=${document.documentElement.lang}; path=/; SameSite=Lax`;
  });
}

function keepMended() {
  let soon = 0;
  new MutationObserver(() => {
    if (!soon) soon = setTimeout(() => ((soon = 0), mend()), 300);
  }).observe(document.body, { childList: true, subtree: true });
  mend();
}
