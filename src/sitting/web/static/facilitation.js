'use strict';
/*
 * What the participant's pages and the big screen gain beside sitting.js: a draft that stays on the device until it was
 * sent, the step to the result when it is there, and the keys 1, 2, 3. Every page works without this file.
 *
 * Rules: a draft is of one response as it was when it was begun (its leaf); as soon as another one is stored, it is
 * done with. What the server gave back after a refusal is a draft like what was typed.
 */

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const attempt = (act) => { try { return act(); } catch { return null; } }; // storage may be full or forbidden
const key = (scope) => `sitting.draft.join.${scope}`; // below sitting.js's own, which a sign-out forgets

const drafts = {
  load: (scope) => attempt(() => JSON.parse(localStorage.getItem(key(scope)))),
  save: (scope, draft) => attempt(() => localStorage.setItem(key(scope), JSON.stringify(draft))),
  drop: (scope) => attempt(() => localStorage.removeItem(key(scope))),
};

/* ---- The response while it is written ---- */

const points = (form) => all('textarea[name=bullet]', form);
const filled = (form) => ({ card: new FormData(form).get('card') ?? '', bullets: points(form).map((field) => field.value) });

function fill(form, { card, bullets }) {
  const choice = all('input[name=card]', form).find((one) => one.value === card);
  if (choice) choice.checked = true;
  points(form).forEach((field, number) => {
    field.value = bullets[number] ?? '';
    field.dispatchEvent(new Event('input', { bubbles: true })); // counts it, and saves the draft again
  });
}

function restore(form) {
  const { response: scope, leaf } = form.dataset;
  const draft = drafts.load(scope);
  const before = filled(form);
  if (form.hasAttribute('data-refused') && draft?.leaf !== leaf) return remember({ target: form });
  if (!draft) return;
  if (draft.leaf !== leaf || !Array.isArray(draft.bullets)) return drafts.drop(scope);
  if (JSON.stringify(before) === JSON.stringify({ card: draft.card, bullets: draft.bullets })) return;
  fill(form, draft);
  const note = $('#draft-note');
  const discard = Object.assign(document.createElement('button'), { type: 'button', className: 'button button-quiet', textContent: 'Discard it' });
  discard.addEventListener('click', () => { fill(form, before); drafts.drop(scope); note.hidden = true; points(form)[0].focus(); });
  note.replaceChildren('What you had typed on this device is back. It is not sent yet. ', discard);
  note.hidden = false;
}

function remember({ target }) {
  const form = target.closest?.('form[data-response]');
  if (form) drafts.save(form.dataset.response, { leaf: form.dataset.leaf, ...filled(form) });
}

document.addEventListener('input', remember);
document.addEventListener('change', remember);
document.addEventListener('submit', remember); // a refused page shows what was sent, a reload of it what was typed since
document.addEventListener('submit', ({ target }) => { if (target.dataset.leave) drafts.drop(target.dataset.leave); });

/** A chosen card far down the deck is brought into its box, not the page to it. */
function show(box) {
  const chosen = $('input:checked', box)?.closest('label');
  if (chosen) box.scrollTop = Math.max(0, chosen.offsetTop - box.offsetTop - box.clientHeight / 2);
}

/** Once capture is closed the words stay, but nothing can be sent; after a reopening it can again. */
function openOrClose(form) {
  const closed = $('#capture [data-closed]') !== null;
  $('button[type=submit]', form).disabled = closed;
  all('[data-while]', form).forEach((one) => { one.hidden = (one.dataset.while === 'closed') !== closed; });
}

/** Capture was closed before this was sent: the words are shown, to be copied. */
function keep(place) {
  const draft = drafts.load(place.dataset.kept);
  const own = draft?.leaf === place.dataset.leaf && Array.isArray(draft.bullets) ? draft.bullets : [];
  const typed = own.filter((text) => text.trim()).join('\n');
  $('textarea', place).value = typed;
  place.hidden = !typed;
}

/* ---- Where a page leads by itself ---- */

function arrive() {
  const place = $('[data-stored]');
  const draft = place && drafts.load(place.dataset.stored);
  if (draft && (draft.leaf !== place.dataset.leaf || place.hasAttribute('data-revealed'))) drafts.drop(place.dataset.stored);
  const go = $('[data-go]');
  if (go) location.replace(go.dataset.go);
}

document.addEventListener('sitting:refreshed', () => {
  arrive();
  all('form[data-response]').forEach(openOrClose);
  all('[data-kept]').forEach(keep);
});
document.addEventListener('sitting:event', ({ detail }) => {
  if (detail.type !== 'reopened') return;
  const stale = $('[data-revealed]') || ($('#capture') && !$('form[data-response]')); // no result, and a form again
  if (stale) location.reload();
});

/** Too early: look again, unless somebody types another code meanwhile. */
function wait(note) {
  const field = $('input[name=code]');
  setTimeout(() => (field.value === field.defaultValue ? location.replace(note.dataset.again) : wait(note)), 5000);
}

/* ---- The big screen: levels ---- */

function choose(link) {
  const address = $('link[rel=canonical]');
  address.href = link.href; // where sitting.js fetches the region from
  history.replaceState(null, '', link.href);
  all('a[aria-current][data-level]').forEach((one) => one.removeAttribute('aria-current'));
  link.setAttribute('aria-current', 'true');
  $('#screen').dispatchEvent(new CustomEvent('sitting:stale', { bubbles: true }));
}

const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-level]');
  if (!link || !plain(event)) return;
  event.preventDefault();
  choose(link);
});
document.addEventListener('keydown', (event) => {
  if (!plain(event) || event.repeat || event.target.closest('input, textarea, select')) return;
  const link = /^[123]$/.test(event.key) && $(`a[data-level="${event.key}"]`);
  if (link) choose(link);
});

all('form[data-response]').forEach(restore);
all('.deck-box').forEach(show);
all('[data-kept]').forEach(keep);
all('[data-again]').forEach(wait);
arrive();
