// What Gradio's own parts lack for a screen reader: its empty boxes have a label but no role.
function mend() {
  for (const box of document.querySelectorAll("div.empty[aria-label]:not([role])")) {
    box.setAttribute("role", "img");
  }
}

function keepMended() {
  let soon = 0;
  new MutationObserver(() => {
    if (!soon) soon = setTimeout(() => ((soon = 0), mend()), 300);
  }).observe(document.body, { childList: true, subtree: true });
  mend();
}
