(() => {
  // Every text that is seen, against what stands behind it: 4.5 is what WCAG asks for.
  const parse = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const rect = at.tagName === "svg" && at.querySelector(":scope > rect");
      const color = parse(rect ? getComputedStyle(rect).fill : getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || ["TITLE", "title", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    if (element.getClientRects().length === 0 || style.visibility === "hidden") continue;
    const color = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const seen = ratio(color, behind(element));
    if (seen < 4.5) faint.push(`${seen.toFixed(2)} ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
  return [...new Set(faint)];
})()
