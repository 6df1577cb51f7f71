/** The contrast of each text on a page with what is behind it, by WCAG. Runs in the page. */
export function contrasts() {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((each, i) => each * a + below[i] * (1 - a));
  function background(element) {
    if (!element) return [255, 255, 255];
    return over(channels(getComputedStyle(element).backgroundColor), background(element.parentElement));
  }
  const opacity = (element) => (element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1);
  function luminance(colour) {
    const linear = colour.map((each) => each / 255).map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  const found = {};
  for (const element of document.body.querySelectorAll("*:not([aria-hidden], :disabled)")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const words = text.map((node) => node.data).join("").trim();
    if (!words || !element.checkVisibility()) continue;
    const [r, g, b] = channels(getComputedStyle(element).color);
    const behind = background(element);
    const [dark, light] = [over([r, g, b, opacity(element)], behind), behind].map(luminance).sort((a, b) => a - b);
    found[words] = (light + 0.05) / (dark + 0.05);
  }
  return found;
}
