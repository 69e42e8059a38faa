// What the search page quotes of a page: its prose, without code and what stands at the page's head, and equations without
// the TeX that MathJax reads.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const whole = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll("#jb-print-docs-body, .cell_input, .cell summary").forEach(box => box.remove());
    for (const equation of page.querySelectorAll(".math")) {
      const text = equation.textContent.replace(/\\[()[\]]/g, "").trim();
      equation.textContent = /[\\{}&]/.test(text) ? "\u2026" : text.replace(/[_^]/g, "");
    }
    return whole(page.documentElement.outerHTML, anchor);
  };
});
