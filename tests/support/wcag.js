// See wcag.py. A function that is evaluated in the page; it answers a list of sentences.
() => {
  const found = [], seen = (one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const show = (one) => one.outerHTML.replace(/\s+/g, ' ').slice(0, 120);
  const all = (what) => [...document.querySelectorAll(what)];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const widest = all('body *').filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1).pop();
    found.push(`wider than its window: ${widest ? show(widest) : ''}`);
  }
  if (!root.lang) found.push('no lang');
  if (!document.title.trim()) found.push('no title');
  const ids = all('[id]').map((one) => one.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) found.push(`id used twice: ${id}`);
  for (const name of ['aria-labelledby', 'aria-describedby', 'for', 'aria-controls'])
    for (const one of all(`[${name}]`))
      for (const id of one.getAttribute(name).split(/\s+/).filter(Boolean))
        if (!document.getElementById(id)) found.push(`${name} leads nowhere: ${show(one)}`);
  const named = (one) => (one.getAttribute('aria-label') || '').trim() || one.title.trim()
    || (one.getAttribute('aria-labelledby') || '').split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? '')
      .join('').trim();
  for (const one of all('input, select, textarea'))
    if (one.type !== 'hidden' && seen(one) && !named(one) && ![...(one.labels ?? [])].some((each) => each.textContent.trim())
      && !['submit', 'button'].includes(one.type)) found.push(`no label: ${show(one)}`);
  for (const one of all('a[href], button, summary, [role=button], [role=img], svg[role], iframe, dialog[open]'))
    if (seen(one) && !named(one) && !one.textContent.trim() && !one.querySelector('img[alt]:not([alt=""]), svg [title], svg title'))
      found.push(`no name: ${show(one)}`);
  for (const one of all('img')) if (!one.hasAttribute('alt')) found.push(`no alt: ${show(one)}`);
  let level = 0;
  const headings = all('h1, h2, h3, h4, h5, h6').filter(seen);
  if (headings.filter((one) => one.tagName === 'H1').length !== 1) found.push('not one h1');
  for (const one of headings) {
    const now = Number(one.tagName[1]);
    if (now > level + 1) found.push(`heading skips a level: ${show(one)}`);
    level = now;
  }
  for (const one of all('ul, ol')) for (const each of one.children)
    if (!['LI', 'SCRIPT', 'TEMPLATE'].includes(each.tagName)) found.push(`not an item of a list: ${show(each)}`);
  for (const one of all('[role=meter], [role=progressbar], meter, progress'))
    if (!named(one) && ![...(one.labels ?? [])].length) found.push(`no label: ${show(one)}`);

  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paper = rgba(matchMedia('(prefers-color-scheme: dark)').matches && getComputedStyle(root).colorScheme.includes('dark')
    ? '#121212' : '#ffffff');
  const behind = (one) => {
    const layers = [];
    for (let each = one; each; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.backgroundImage !== 'none') return null;
      const colour = rgba(style.backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((back, front) => over(front, back), paper);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const judged = new Set();
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || judged.has(one) || !seen(one)) continue;
    judged.add(one);
    if (one.closest(':disabled, [aria-disabled=true], [aria-hidden=true], script, style, template, noscript, .visually-hidden'))
      continue;
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const back = behind(one);
    if (!back) continue;
    const style = getComputedStyle(one), front = over(rgba(style.color), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5) - 0.01)
      found.push(`contrast ${ratio.toFixed(2)}: "${walker.currentNode.data.trim().slice(0, 40)}" in ${show(one)}`);
  }
  return found;
}
