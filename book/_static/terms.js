// A term's definition, beside it: on hover, on focus, and on a first tap; a second tap follows the link.
// Explained in book/_extensions/terms.py. Without this script a term is a link to the glossary.
{
  const box = document.createElement("div");
  box.className = "term-definition";
  box.hidden = true;
  box.setAttribute("aria-hidden", "true"); // a screen reader has it as the link's description
  document.body.append(box);

  let shown = null;
  let touched = false; // whether the pointer that is down, or was last, is a finger

  const hide = () => {
    box.hidden = true;
    shown = null;
  };

  const show = (term) => {
    shown = term;
    box.textContent = document.getElementById(term.getAttribute("aria-describedby")).textContent;
    box.hidden = false;
    // Below the term's first line, or above it where there is no room, and never past an edge.
    const [line] = term.getClientRects();
    const margin = 8;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.min(line.left, clientWidth - box.offsetWidth - margin);
    const below = line.bottom + box.offsetHeight + margin <= clientHeight;
    const top = below ? line.bottom : line.top - box.offsetHeight;
    box.style.left = `${Math.max(margin, left) + scrollX}px`;
    box.style.top = `${top + scrollY}px`;
  };

  // The box touches its line, so that the pointer can move onto it to read, or to select.
  const leave = ({ relatedTarget }) => {
    if (!box.contains(relatedTarget) && !shown?.contains(relatedTarget)) hide();
  };

  for (const term of document.querySelectorAll("a.term")) {
    term.addEventListener("pointerdown", ({ pointerType }) => (touched = pointerType === "touch"));
    term.addEventListener("pointerenter", ({ pointerType }) => pointerType === "touch" || show(term));
    term.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave(event));
    term.addEventListener("focus", () => touched || show(term));
    term.addEventListener("blur", hide);
    term.addEventListener("click", (event) => {
      if (touched && shown !== term) {
        event.preventDefault();
        show(term);
      }
    });
  }
  box.addEventListener("pointerleave", leave);
  // A term that gets the focus may still be on its way into the window.
  addEventListener("scroll", () => shown && show(shown), { passive: true });
  addEventListener("keydown", ({ key }) => {
    touched = false;
    if (key === "Escape") hide();
  });
  addEventListener("pointerdown", ({ target }) => {
    if (shown && target !== shown && !box.contains(target)) hide();
  });
}
