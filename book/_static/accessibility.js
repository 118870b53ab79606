// Mends, for readers who listen or who use the keyboard alone, what the theme and Sphinx leave out.
// Explained in tests/book/test_pages.py, which finds what is missing on every page.

// These labels hide the words that are to be seen, by which one asks for a button.
for (const node of document.querySelectorAll("summary[aria-label], .search-button-field"))
  node.removeAttribute("aria-label");

// A signature's parameters are descriptions without terms: a list.
for (const list of document.querySelectorAll("dt.sig > dl")) {
  list.setAttribute("role", "list");
  for (const parameter of list.children) parameter.setAttribute("role", "listitem");
}

// The entries of a list are its items; the role that Sphinx gives them has been withdrawn.
for (const entry of document.querySelectorAll(".citation-list > .citation"))
  entry.setAttribute("role", "listitem");

// What is wider than its box can be scrolled by the arrow keys. A box far below the screen is measured
// when it comes near, and again when the letters have come that it asks for.
const boxes = document.querySelectorAll(
  ".pst-scrollable-table-container, div.math, .pictures, pre, .cell_output > .output",
);
const observer = new ResizeObserver((entries) => {
  // All are measured before one is changed, after which the next would be laid out anew.
  const wide = entries.map(({ target }) => target.scrollWidth > target.clientWidth);
  entries.forEach(({ target }, i) => {
    if (wide[i]) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  });
});
const measure = () => {
  observer.disconnect();
  for (const box of boxes) observer.observe(box);
};
measure();
document.fonts.addEventListener("loadingdone", measure);

// Where a search lists what it found, a formula is read once, and without its source; what is hidden is not read.
// The search page's own script comes after this one.
/* global Search */
const UNSAID = ".katex-html, annotation, .previews, .go-on, .bd-header-article, #jb-print-docs-body";
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const toText = Search.htmlToText;
  Search.htmlToText = (page, anchor) => {
    const parsed = new DOMParser().parseFromString(page, "text/html");
    for (const node of parsed.querySelectorAll(UNSAID)) node.remove();
    return toText(parsed.documentElement.outerHTML, anchor);
  };
});
