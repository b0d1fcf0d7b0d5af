'use strict';
/*
 * What the pages of an interview gain beside sitting.js: presence that is looked at again, replay, citing, a scorecard
 * that saves itself, and the notices an interview may ask for. Every page works without this file.
 *
 * Rules: a region is drawn by the server, this file only says that it is stale; what somebody selected or typed is sent
 * as it is, and its offsets count code points, as the server does.
 */

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const points = (text) => Array.from(text).length;
const stale = (...ids) => ids.forEach((id) => document.getElementById(id)?.dispatchEvent(new CustomEvent('sitting:stale', { bubbles: true })));

const reveal = (root) => all('[data-scripted]', root).forEach((part) => { part.hidden = false; });
reveal(document);
document.addEventListener('sitting:refreshed', ({ target }) => reveal(target));

/* ---- Regions that no event tells about ---- */

for (const { id, dataset } of all('[data-again]')) {
  setInterval(() => { if (document.visibilityState === 'visible') stale(id); }, Number(dataset.again) * 1000);
}

/* ---- Notices: that text was pasted or the page left, where the interview asks for it ---- */

let left = 0;

function notice(kind, figures = {}) {
  const place = $('#notices');
  if (!place) return; // not running, or not asked for
  fetch(place.dataset.notices, {
    method: 'POST', keepalive: true, body: JSON.stringify({ kind, ...figures }),
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': $('meta[name=csrf-token]').content },
  }).catch(() => {});
}

document.addEventListener('paste', ({ target, clipboardData }) => {
  if (target.matches?.('#content')) notice('paste', { chars: points(clipboardData?.getData('text') ?? '') });
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'hidden') {
    left = Date.now();
    notice('focus_lost');
  } else if (left) {
    notice('focus_back', { away_ms: Math.max(0, Math.min(86_400_000, Date.now() - left)) });
    left = 0;
  }
});

/* ---- Replay ---- */

class Replay {
  constructor(panel) {
    this.panel = panel;
    this.steps = JSON.parse(panel.dataset.steps); // [seq, milliseconds]
    this.slider = $('#at', panel);
    this.button = $('[data-play]', panel);
    this.slider.addEventListener('input', () => { this.stop(); this.go(Number(this.slider.value)); });
    this.button.addEventListener('click', () => (this.timer ? this.stop() : this.play()));
  }

  /** Show the interview after this event. The address says so too, so that it can be sent to somebody. */
  go(seq) {
    this.slider.value = seq;
    const address = seq === Number(this.slider.max) ? this.panel.dataset.base : `${this.panel.dataset.base}?at=${seq}`;
    history.replaceState(null, '', address);
    $('link[rel=canonical]').href = address; // where regions are fetched from
    stale('replay', 'talk', 'notes');
  }

  play() {
    const last = Number(this.slider.max);
    if (Number(this.slider.value) >= last) this.go(1);
    let now = this.steps.find(([seq]) => seq >= Number(this.slider.value))?.[1] ?? 0;
    this.button.textContent = 'Pause';
    this.timer = setInterval(() => {
      now += 250 * Number($('#speed').value);
      const seq = this.steps.filter(([, at]) => at <= now).at(-1)?.[0] ?? 1;
      if (seq > Number(this.slider.value)) this.go(seq);
      if (seq >= last) this.stop();
    }, 250);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.button.textContent = 'Play';
  }
}

const panel = $('[data-steps]');
const replay = panel && new Replay(panel);

document.addEventListener('click', (event) => {
  const link = event.target.closest('a[data-jump]');
  if (!link || !replay || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  replay.stop();
  replay.go(Number(link.dataset.jump));
});

/* ---- Citing: select words, choose what they are evidence for ---- */

/** The selected words with their message and offset, or null when they are not inside one message. */
function selected() {
  const selection = getSelection();
  if (!selection?.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const inside = (node) => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest('.review-log .message-body');
  const body = inside(range.startContainer);
  if (!body || body !== inside(range.endContainer)) return null;
  const before = document.createRange();
  before.setStart(body, 0);
  before.setEnd(range.startContainer, range.startOffset);
  const quote = range.toString();
  return quote.trim() && { seq: body.closest('[data-seq]').dataset.seq, start: points(before.toString()), quote };
}

const bar = make('div', { className: 'cite-bar', hidden: true });
bar.setAttribute('role', 'group');
bar.setAttribute('aria-label', 'Cite the selected words');
if (replay) $('.review > section').append(bar);

document.addEventListener('selectionchange', () => {
  if (!replay || bar.contains(document.activeElement)) return;
  const found = selected();
  bar.hidden = !found;
  if (!found) return;
  bar.replaceChildren(make('span', { className: 'small', textContent: 'Cite for' }), ...all('.criterion').map((section) => {
    const button = make('button', { type: 'button', className: 'button button-small', textContent: $('h3', section).textContent });
    button.addEventListener('mousedown', (event) => event.preventDefault()); // keeps the selection
    button.addEventListener('click', () => cite(section.id, found));
    return button;
  }));
});

function cite(id, { seq, start, quote }) {
  const form = document.getElementById(`${id}-form`);
  $('[name=seq]', form).value = seq;
  $('[name=start]', form).value = start;
  $('[name=quote]', form).value = quote;
  $('details', form).open = true;
  bar.hidden = true;
  getSelection().removeAllRanges();
  form.scrollIntoView({ block: 'nearest' });
  if (!save(form)) $('[name=score]', form).focus();
}

/* ---- A scorecard that saves itself ---- */

const waiting = new Map();
const CITED = ['seq', 'start', 'quote'];
const say = (form, text) => { const place = $('[data-saved]', form); if (place) place.textContent = text; };

/** Send a form that saves itself, when the server would take it: a score, and words it rests on. */
function save(form) {
  clearTimeout(waiting.get(form));
  const scored = !form.elements.criterion || new FormData(form).get('score');
  const rests = Number(form.dataset.autosave) > 0 || form.elements.quote?.value;
  if (!form.dataset.autosave || !scored) return false;
  if (rests) form.requestSubmit();
  else say(form, 'Cite a passage to keep this score.');
  return Boolean(rests);
}

document.addEventListener('input', ({ target }) => {
  const form = target.closest('form[data-autosave]');
  if (!form) return;
  if (target.name === 'quote') form.elements.start.value = ''; // typed: the server looks for it
  if (CITED.includes(target.name)) return; // not until it is whole
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(() => save(form), target.type === 'radio' ? 0 : 1200));
});

document.addEventListener('submit', ({ target: form }) => { // after sitting.js has read the form
  if (!form.matches('.criterion form[id]')) return;
  form.cited = CITED.map((name) => [name, form.elements[name].value]);
  CITED.forEach((name) => { form.elements[name].value = ''; });
});
document.addEventListener('sitting:refused', ({ target: form }) => form.cited?.forEach(([name, value]) => { form.elements[name].value = value; }));
document.addEventListener('sitting:accepted', ({ target: form }) => {
  if (form.matches('[data-autosave]')) say(form, 'Saved');
});
