// Tables that are too wide for their column are made narrower, step by step and no further than they must; book.css
// says what each step does. One that is too wide even so scrolls in its box, as all of them do without this script.
(() => {
  "use strict";
  const STEPS = ["break-intervals", "small", "break-names"];

  function fit() {
    for (const box of document.querySelectorAll("article .cell_output .text_html")) {
      for (const table of box.querySelectorAll(":scope table")) {
        table.classList.remove(...STEPS);
        for (const step of STEPS) if (box.scrollWidth > box.clientWidth) table.classList.add(step);
      }
    }
  }

  fit();
  window.addEventListener("resize", () => requestAnimationFrame(fit));
  document.addEventListener("toggle", fit, true); // what was folded had no width
})();
