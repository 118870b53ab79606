// Runs inside a page with figures and lists, by kind, what a reader could not read, hit or tell apart.
() => {
  const found = { "small text": [], "small target": [], "beyond the page": [], "id used twice": [] };
  const name = (node) =>
    `<${node.tagName.toLowerCase()} class="${node.getAttribute("class") ?? ""}"> ` +
    (node.getAttribute("aria-label") ?? node.textContent).trim().slice(0, 40);
  const visible = (node) =>
    node.checkVisibility({ visibilityProperty: true }) && !node.closest(".spoken");
  const { clientWidth: width, scrollWidth } = document.documentElement;
  if (scrollWidth > width) found["beyond the page"].push(`document: ${scrollWidth} > ${width}`);

  document.querySelectorAll("details").forEach((node) => (node.open = true));
  for (const figure of document.querySelectorAll(".bnn-figure")) {
    const texts = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !visible(node)) continue;
      const scale = node.closest("svg") ? node.getScreenCTM().a : 1;
      const size = parseFloat(getComputedStyle(node).fontSize) * Math.abs(scale || 1);
      if (size < 11.99) found["small text"].push(`${size.toFixed(1)} px: ${name(node)}`);
    }
    for (const node of figure.querySelectorAll("*"))
      if (visible(node) && !node.closest("svg") && node.getBoundingClientRect().right > width + 1)
        found["beyond the page"].push(name(node));
    for (const node of figure.querySelectorAll("button, input, select, summary, [tabindex]")) {
      if (!visible(node)) continue;
      const box = (node.closest("label") ?? node).getBoundingClientRect();
      if (Math.min(box.width, box.height) < 23.99)
        found["small target"].push(`${box.width.toFixed(1)} x ${box.height.toFixed(1)}: ${name(node)}`);
    }
  }
  const known = new Set();
  for (const { id } of document.querySelectorAll("[id]"))
    known.has(id) ? found["id used twice"].push(id) : known.add(id);
  return Object.entries(found).flatMap(([kind, list]) =>
    [...new Set(list)].map((what) => `${kind}: ${what}`));
}
