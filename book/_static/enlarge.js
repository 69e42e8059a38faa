// Figures in their own size: a tap on one, or the button below it, opens it in a box that scrolls both ways.
// Without this script, and in a browser without <dialog>, the page is as it was.
(() => {
  "use strict";
  if (!window.HTMLDialogElement) return;

  let box, shown;

  function makeBox() {
    box = document.createElement("dialog");
    box.className = "enlarged";
    // The first thing in the box that takes the focus is the button: Enter closes what Enter has opened.
    box.innerHTML = `<form method="dialog"><button type="submit">Close</button></form>
      <div class="enlarged-figure" role="region" aria-label="The figure in its own size" tabindex="0"></div>`;
    shown = box.querySelector("div");
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close(); // beside the box
    });
    box.addEventListener("close", () => shown.replaceChildren());
    document.body.append(box);
  }

  function enlarge(image, button) {
    if (!box) makeBox();
    button.focus({ preventScroll: true }); // where the focus comes back to
    const copy = image.cloneNode();
    copy.loading = "eager";
    shown.replaceChildren(copy);
    box.setAttribute("aria-label", image.alt);
    box.showModal();
  }

  for (const image of document.querySelectorAll("article figure img")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge";
    // A description may be long: how it begins tells one figure from another ("Four panels." would not).
    const begins = image.alt.match(/^.{20,}?[.:;](?= |$)/)?.[0] ?? image.alt;
    button.setAttribute("aria-label", `Enlarge: ${begins}`);
    for (const target of [button, image]) target.addEventListener("click", () => enlarge(image, button));
    image.classList.add("enlargeable");
    image.after(button);
  }
})();
