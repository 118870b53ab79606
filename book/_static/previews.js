// What a link leads to, beside it: on hover, on focus, and on a first tap; a second tap follows the link.
// Explained in book/_extensions/previews.py. Without this script a link is a link.
{
  const box = document.createElement("div");
  box.className = "preview";
  box.hidden = true;
  box.setAttribute("aria-hidden", "true"); // a screen reader has it as the link's description
  document.body.append(box);

  let shown = null;
  let touched = false; // whether the pointer that is down, or was last, is a finger

  // A text or a formula that stands hidden on this page, or a formula that stands in it.
  const source = (address) =>
    document.getElementById(`preview-of-${address}`)?.childNodes ??
    document.getElementById(address.slice(1))?.querySelectorAll(":scope.math > .katex-display");

  const hide = () => {
    box.hidden = true;
    shown = null;
  };

  const place = () => {
    // Below the link's first line, or above it where there is no room, and never past an edge.
    const [line] = shown.getClientRects();
    const margin = 8;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.min(line.left, clientWidth - box.offsetWidth - margin);
    const below = line.bottom + box.offsetHeight + margin <= clientHeight;
    const top = below ? line.bottom : line.top - box.offsetHeight;
    box.style.left = `${Math.max(margin, left) + scrollX}px`;
    box.style.top = `${top + scrollY}px`;
  };

  const show = (link) => {
    if (shown !== link) {
      shown = link;
      const copies = Array.from(source(link.getAttribute("href")), (node) => node.cloneNode(true));
      box.replaceChildren(...copies);
      box.hidden = false;
    }
    place();
  };

  // The box touches its line, so that the pointer can move onto it to read, or to select.
  const leave = ({ relatedTarget }) => {
    if (!box.contains(relatedTarget) && !shown?.contains(relatedTarget)) hide();
  };

  // A card says itself where it leads.
  const links = ".bd-article :is(a.term, a.reference.internal):not(.sd-card *)";
  for (const link of document.querySelectorAll(links)) {
    const address = link.getAttribute("href");
    if (!source(address)?.length) continue;
    const text = document.getElementById(`preview-of-${address}`);
    if (text && !text.querySelector(".katex")) link.setAttribute("aria-describedby", text.id);
    link.addEventListener("pointerdown", ({ pointerType }) => (touched = pointerType === "touch"));
    link.addEventListener("pointerenter", ({ pointerType }) => pointerType === "touch" || show(link));
    link.addEventListener("pointerleave", (event) => event.pointerType === "touch" || leave(event));
    link.addEventListener("focus", () => touched || show(link));
    link.addEventListener("blur", hide);
    link.addEventListener("click", (event) => {
      if (touched && shown !== link) {
        event.preventDefault();
        show(link);
      }
    });
  }
  box.addEventListener("pointerleave", leave);
  // A link that gets the focus may still be on its way into the window.
  addEventListener("scroll", () => shown && place(), { passive: true });
  addEventListener("keydown", ({ key }) => {
    touched = false;
    if (key === "Escape") hide();
  });
  addEventListener("pointerdown", ({ target }) => {
    if (shown && !shown.contains(target) && !box.contains(target)) hide();
  });
}
