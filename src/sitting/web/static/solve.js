'use strict';
/*
 * What the pages of solve gain beside sitting.js: the end of the conversation stays in sight while it grows, a link to a
 * message leads there also when it is drawn again, and a date is meant in the zone of the one who types it. Every page
 * works without this file.
 */

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/* ---- The end of the conversation ---- */

const NEAR = 160; // pixels: whoever is this close to the end wants to see it
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const page = document.scrollingElement;
let atEnd = true;

const end = () => { const now = $('#now'); return now?.childElementCount ? now : $('#talk li:last-of-type'); };
const below = () => page.scrollHeight - page.scrollTop - page.clientHeight;
/** How far the end of the conversation lies under the composer or the window's edge. */
const hidden = () => (end()?.getBoundingClientRect().bottom ?? 0) - ($('#composer')?.getBoundingClientRect().top ?? innerHeight);

addEventListener('scroll', () => { atEnd = below() < NEAR || Math.abs(hidden()) < NEAR; }, { passive: true });

function follow(smooth) {
  const by = hidden();
  if (atEnd && by > 0) scrollBy({ top: by + 12, behavior: smooth && !calm.matches ? 'smooth' : 'instant' });
}

document.addEventListener('sitting:token', () => follow(false));
document.addEventListener('sitting:snapshot', () => follow(false));
document.addEventListener('sitting:refreshed', ({ target }) => {
  if (['talk', 'now'].includes(target.id)) show(target);
  if (target.dataset.placeholder) $('#content').placeholder = target.dataset.placeholder; // each step asks for something else
});
document.addEventListener('sitting:accepted', () => { atEnd = true; });

/* Who listens hears a reply when it is whole, not word by word. */
document.addEventListener('sitting:done', ({ detail: { turn } }) => {
  const reply = $(`[data-turn="${CSS.escape(turn)}"]`);
  if (reply) $('#announce').textContent = reply.textContent;
});

/** New cards and forms are taller than the window: their head is what one wants to see first. */
function show(region) {
  zones(region);
  const tall = region.id === 'now' && $('#options, #commit', region);
  if (tall && atEnd && tall.id !== shown) {
    shown = tall.id;
    tall.scrollIntoView({ block: 'start', behavior: calm.matches ? 'instant' : 'smooth' });
    atEnd = false;
    if (document.activeElement === document.body) focus($('h2', tall)); // the button that was pressed is gone
  } else if (!tall) follow(true);
  if (!tall && region.id === 'now') shown = '';
}
const focus = (heading) => { heading.tabIndex = -1; heading.focus({ preventScroll: true }); };
let shown = $('#options, #commit')?.id ?? '';

if ($('#composer') && $('#talk li') && !location.hash) { // a conversation opens where it was left
  const by = hidden();
  if (by > 0) scrollTo({ top: page.scrollTop + by + 12, behavior: 'instant' });
}

/* ---- Dates in the zone of the one who types them ---- */

function zones(root) {
  for (const label of all('[data-zone-name]', root)) label.textContent = `(${label.dataset.here})`;
  all('input[name=date]', root).forEach(zone);
}

function zone(field) {
  const at = field.value ? new Date(field.value) : new Date();
  field.form.elements.zone.value = String((Number.isNaN(at.getTime()) ? new Date() : at).getTimezoneOffset());
}

document.addEventListener('input', ({ target }) => { if (target.matches('input[name=date]')) zone(target); });
zones(document);

/* ---- Printing ---- */

for (const button of all('[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => print());
}
