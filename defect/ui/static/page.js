// What Gradio's own parts lack for a screen reader: its empty boxes have a label but no role.
function repair() {
  for (const box of document.querySelectorAll("div.empty[aria-label]:not([role])")) {
    box.setAttribute("role", "img");
  }
}

function keepTitle() {
  const title = () => (document.title = translate("title"));
  onLanguage(title);
  title();
}

// The server speaks the language the browser asks for; a language chosen later is passed on by a cookie.
function storeLanguage() {
  document.cookie = "language=; max-age=0; path=/";
  onLanguage(() => {
    document.cookie = `language=${document.documentElement.lang}; path=/; SameSite=Lax`;
  });
}

function keepRepaired() {
  let soon = 0;
  new MutationObserver(() => {
    if (!soon) soon = setTimeout(() => ((soon = 0), repair()), 300);
  }).observe(document.body, { childList: true, subtree: true });
  repair();
}
