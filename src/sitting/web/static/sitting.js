'use strict';
/*
 * What a page gains from a browser that runs scripts. Every page works without this file.
 *
 * Rules: text from people, models and the server is only ever set as text; elements are replaced only by the same page of
 * this origin; what somebody typed is never thrown away; nothing is global. Pages listen to the bubbling `sitting:*` events.
 */

const $ = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...(root.matches?.(selector) ? [root] : []), ...root.querySelectorAll(selector)];
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
const points = (text) => Array.from(text);
const tell = (target, name, detail = {}) => target.dispatchEvent(new CustomEvent(`sitting:${name}`, { bubbles: true, detail }));
const attempt = (act) => { try { return act(); } catch { return null; } };
const announce = (text) => { $('#announce')?.replaceChildren(text); };
const named = (name, value) => `[${name}="${CSS.escape(value)}"]`;

/* ---- Turns: text while it is written, each code point exactly once ---- */
const lengths = new WeakMap(); // element -> code points it shows
const shown = (element) => lengths.get(element) ?? Number(element.dataset.off ?? points(element.textContent).length);

function turnElement(turn) {
  const known = $(named('data-turn', turn));
  const template = known ? null : $('[data-turns] template[data-turn-template]');
  if (!template) return known;
  const item = template.content.firstElementChild.cloneNode(true);
  $('[data-turn]', item).dataset.turn = turn;
  (all('ol, ul', template.closest('[data-turns]'))[0] ?? template.parentElement).append(item);
  return $('[data-turn]', item);
}

/** Add text at its offset. False when text in between is missing: only a snapshot can help then. */
function write({ turn, off, text }, whole) {
  const element = turnElement(turn);
  if (!element) return true;
  const have = shown(element);
  const given = points(text);
  if (whole ? given.length < have : off + given.length <= have) return true;
  if (!whole && off > have) return false;
  if (whole) element.textContent = text;
  else element.append(given.slice(have - off).join(''));
  lengths.set(element, whole ? given.length : off + given.length);
  return true;
}

function finish({ turn, status: how }) {
  const element = $(named('data-turn', turn));
  if (!element) return;
  element.normalize();
  element.dataset.status = how;
  const words = { cancelled: 'Stopped', failed: 'Failed', interrupted: 'Interrupted' };
  $('[data-working]', element.parentElement)?.replaceChildren(words[how] ?? '');
}

/* ---- Boxes that stay at their end while text comes in ---- */
const reading = new WeakSet(); // somebody scrolled up to read
const stick = () => all('[data-stick]').forEach((box) => { if (!reading.has(box)) box.scrollTop = box.scrollHeight; });

document.addEventListener('scroll', ({ target: box }) => {
  if (box.matches?.('[data-stick]')) reading[box.scrollHeight - box.scrollTop - box.clientHeight < 48 ? 'delete' : 'add'](box);
}, true);

/* ---- Regions: parts of this page that are fetched again when something happened ---- */
const here = () => $('link[rel=canonical]')?.href ?? location.href; // a form that came back has its own address
const regions = { wanted: new Set(), timer: 0, busy: false, tries: 0, composing: false };
const soon = (wait) => { clearTimeout(regions.timer); regions.timer = setTimeout(refresh, wait); };
document.addEventListener('compositionstart', () => { regions.composing = true; }); // a replaced field would break the word
document.addEventListener('compositionend', () => { regions.composing = false; });

/** Something of this type happened; null: anything may have. */
function happened(type) {
  for (const { id, dataset } of all('[data-refresh-on][id]')) {
    const types = dataset.refreshOn.split(/[\s,]+/);
    if (type === null || types.includes('*') || types.includes(type)) regions.wanted.add(id);
  }
  if (regions.wanted.size) soon(120);
}

/* A page's own script may know that a region is out of date. */
document.addEventListener('sitting:stale', ({ target }) => { regions.wanted.add(target.id); soon(0); });

async function refresh() {
  if (regions.busy || regions.composing || $('dialog[open]')) return soon(250);
  regions.busy = true;
  const ids = [...regions.wanted];
  regions.wanted.clear();
  const answer = await fetch(here(), { headers: { Accept: 'text/html' }, cache: 'no-store' }).catch(() => null);
  const html = answer?.ok && new URL(answer.url).pathname === new URL(here()).pathname && await answer.text().catch(() => null);
  regions.busy = false;
  if (html) {
    const page = new DOMParser().parseFromString(html, 'text/html');
    const inside = (id) => ids.some((one) => one !== id && document.getElementById(one)?.contains(document.getElementById(id)));
    ids.filter((id) => !inside(id)).forEach((id) => replace(id, page)); // the outer one brings its inner ones
    if (regions.tries >= 5) followers.forEach((one) => one.source?.readyState === EventSource.OPEN && one.say('live'));
    regions.tries = 0;
  } else {
    regions.wanted = new Set([...regions.wanted, ...ids]);
    if (++regions.tries < 5) soon(1000 * 2 ** regions.tries);
    else status('stale');
  }
}

function replace(id, page) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (!old || !fresh) return old?.remove();
  const focus = old.contains(document.activeElement) && document.activeElement;
  carry(old, fresh);
  old.replaceWith(fresh);
  enhance(fresh);
  if (said) status(said);
  if (focus) refocus(focus, fresh);
  stick();
  tell(fresh, 'refreshed');
}

/** The element in a fresh region that stands for one in the old: by id, by name, or by the id or seq of what it is in. */
function twin(element, root) {
  const holder = element.closest('[data-seq], details[id]');
  if (element.id) return all(`#${CSS.escape(element.id)}`, root)[0];
  if (element.name) return $(named('name', element.name), root);
  if (!holder) return null;
  const place = holder.id ? `#${CSS.escape(holder.id)}` : named('data-seq', holder.dataset.seq);
  return $(`${place} ${element.localName}`, root);
}

/** Take over what the person and the stream have put into a region since the server drew it. */
function carry(old, fresh) {
  for (const field of all('input:not([type=hidden]), textarea, select', old)) {
    const same = twin(field, fresh);
    if (!same) continue;
    if (field.checked !== field.defaultChecked) same.checked = field.checked;
    if (field.matches('select') ? !field.selectedOptions[0]?.defaultSelected : field.value !== field.defaultValue) same.value = field.value;
  }
  all('details[open]', old).forEach((details) => twin(details, fresh)?.setAttribute('open', ''));
  for (const turn of all('[data-turn]', old)) {
    const same = all(named('data-turn', turn.dataset.turn), fresh)[0];
    if (!same || shown(same) >= shown(turn)) continue;
    same.textContent = turn.textContent;
    lengths.set(same, shown(turn));
  }
  for (const box of all('[data-stick]', old)) {
    const [same, top] = [reading.has(box) && twin(box, fresh), box.scrollTop];
    if (same) requestAnimationFrame(() => { same.scrollTop = top; reading.add(same); });
  }
}

function refocus(was, fresh) {
  const same = twin(was, fresh);
  same?.focus({ preventScroll: true });
  if (same && was.matches('textarea, [type=text], [type=search]')) same.setSelectionRange(was.selectionStart, was.selectionEnd);
}

/* ---- Following a session ---- */
const SAYS = {
  connecting: 'Connecting…', live: 'Live', reconnecting: 'Reconnecting…', ended: 'Ended', gone: 'No longer open to you',
  out: 'Signed out. Sign in again to follow.', stale: 'Could not refresh. Reload the page.',
};
const SILENCE = 60_000; // the server says something every 18 s at most
const followers = new Map();

let said = ''; // also for a place that is drawn later

function status(state) {
  said = state;
  for (const place of all('[data-follow-status]').filter((one) => one.dataset.state !== state)) {
    place.dataset.state = state;
    ($('[data-follow-text]', place) ?? place).textContent = SAYS[state];
  }
}

class Follower {
  constructor(url, after) {
    Object.assign(this, { url, after, failures: 0, source: null, timer: 0, over: false });
    this.seq = this.place();
  }

  place() { return Number(this.after.split('.')[1] ?? 0); } // 0: not known

  say(state) { status(state); this.each('status', { state }); }

  each(name, detail) {
    for (const element of all('[data-follow]').filter((one) => one.dataset.follow === this.url)) {
      if (name === 'event' && element.matches('[data-timeline]')) addEntry(element, detail);
      if (name === 'withheld' && element.matches('[data-timeline]')) addWithheld(element, detail.count);
      tell(element, name, detail);
    }
  }

  address(more) {
    const url = new URL(this.url, location.href);
    Object.entries({ after: this.after, ...more }).forEach((pair) => url.searchParams.set(...pair));
    return url;
  }

  open() {
    this.close();
    if (this.over) return;
    this.say(this.failures ? 'reconnecting' : 'connecting');
    const source = this.source = new EventSource(this.address({ hb: 'event' }));
    source.onopen = () => { this.failures = 0; this.heard = Date.now(); this.say('live'); };
    source.onerror = () => (source.readyState === EventSource.CLOSED ? this.lost() : this.say('reconnecting'));
    source.onmessage = (frame) => this.take(frame, 'event', ({ seq }) => seq > this.seq && (this.seq = seq));
    const frames = {
      token: (data) => this.text(data, false), snapshot: (data) => this.text(data, true), done: finish,
      reset: () => { this.seq = this.place(); happened(null); }, end: () => this.stop('ended'), fault: () => this.say('reconnecting'),
      bye: ({ retry }) => this.again(retry ?? 2000), hb: () => { this.beats = true; },
    };
    for (const [name, act] of Object.entries(frames)) source.addEventListener(name, (frame) => this.take(frame, name, act));
  }

  close() { clearTimeout(this.timer); this.source?.close(); this.source = null; }
  stop(state) { this.over = true; this.close(); this.say(state); }
  again(wait) { this.close(); this.say('reconnecting'); this.timer = setTimeout(() => this.open(), wait); }

  take(frame, name, act) {
    this.heard = Date.now();
    if (frame.lastEventId) this.after = frame.lastEventId;
    const data = attempt(() => JSON.parse(frame.data));
    if (data && name !== 'reset') this.passOver(name === 'event' ? data.seq - 1 : this.place());
    if (!data || act(data) === false) return; // false: this event has been seen
    this.each(name, data);
    if (name === 'event') happened(data.type);
  }

  /** What this reader is not told of moves the position only, and no script hears of that until the next frame. */
  passOver(seq) {
    const count = this.seq ? seq - this.seq : 0;
    if (count <= 0) return;
    this.seq = seq;
    this.each('withheld', { count });
  }

  /** A new connection begins with a snapshot, which heals a gap. */
  text(data, whole) { if (write(data, whole)) stick(); else this.again(300); }

  /** A browser gives up at any answer but 200 and does not say why, so ask in the other form. */
  async lost() {
    this.again(Math.min(30_000, 500 * 2 ** ++this.failures) * (0.5 + Math.random()));
    const answer = await fetch(this.address({ limit: 1 }), { headers: { Accept: 'application/json' }, cache: 'no-store' }).catch(() => null);
    const page = await answer?.json().catch(() => ({}));
    if (answer?.status === 401) this.stop('out');
    else if ([403, 404].includes(answer?.status)) this.stop('gone');
    else if (answer?.ok && page.closed && !page.events?.length) this.stop('ended');
    if (![400, 410].includes(answer?.status)) return;
    this.after = page.head ?? 'now';
    this.seq = this.place();
    happened(null);
  }
}

function addEntry(list, event) {
  const item = $(`template${named('data-entry-for', list.id)}`)?.content.firstElementChild.cloneNode(true);
  if (!item || $(named('data-seq', event.seq), list)) return;
  const time = make('time', { dateTime: event.ts, textContent: event.ts });
  const slots = {
    seq: event.seq, description: event.description ?? String(event.type).replace(/[_.]/g, ' '), role: event.actor?.role ?? '',
    type: event.type, data: JSON.stringify(event.data ?? {}, null, 2), when: time,
  };
  for (const [slot, value] of Object.entries(slots)) $(named('data-slot', slot), item)?.replaceChildren(value);
  if (!Object.keys(event.data ?? {}).length) $('details', item)?.remove();
  time.dataset.local = '';
  item.dataset.seq = event.seq;
  append(list, item);
  localTimes(item);
}

function addWithheld(list, more) {
  const last = list[list.dataset.order === 'newest' ? 'firstElementChild' : 'lastElementChild'];
  const item = last?.matches('[data-withheld]') ? last : make('li', { className: 'entry entry-withheld' });
  const count = Number(item.dataset.withheld ?? 0) + more;
  const words = `${count === 1 ? '1 entry is' : `${count} entries are`} not shown to you.`;
  item.dataset.withheld = count;
  item.replaceChildren(make('span', { className: 'entry-seq' }), make('p', { className: 'entry-body', textContent: words }));
  if (item !== last) append(list, item);
}

function append(list, item) {
  const newest = list.dataset.order === 'newest';
  item.classList.add('entry-new');
  list[newest ? 'prepend' : 'append'](item);
  while (list.children.length > 500) list[newest ? 'lastElementChild' : 'firstElementChild'].remove();
}

addEventListener('online', () => followers.forEach((one) => one.again(0)));
addEventListener('pagehide', () => followers.forEach((one) => one.close()));
addEventListener('pageshow', ({ persisted }) => {
  all('form[data-busy]').forEach((form) => busy(form, false));
  if (persisted) followers.forEach((one) => one.open());
});

/* ---- Countdown: the server's figure counts from the moment it arrived; a changed figure starts again ---- */
const LEVELS = [[0, 'expired', 'Time is up'], [5, 'urgent', 'Urgent'], [10, 'critical', 'Critical'], [25, 'warning', 'Warning']];
const anchors = new WeakMap();

function tick() {
  for (const clock of all('[data-countdown]')) {
    const { remainingMs, running, limitMs, level: before } = clock.dataset;
    const key = `${remainingMs}|${running}`;
    if (anchors.get(clock)?.key !== key) anchors.set(clock, { key, at: Date.now(), still: performance.now() });
    const { at, still } = anchors.get(clock); // two clocks: one stops while the machine sleeps, one may be set back
    const passed = running === 'true' ? Math.max(Date.now() - at, performance.now() - still) : 0;
    const rest = Math.max(0, Number(remainingMs) - passed);
    const seconds = Math.ceil(rest / 1000);
    const text = [Math.floor(seconds / 60), seconds % 60].map((part) => String(part).padStart(2, '0')).join(':');
    const share = rest && limitMs ? (100 * rest) / Number(limitMs) : rest && 100;
    const [, level, words] = LEVELS.find(([most]) => share <= most) ?? [100, 'normal', ''];
    $('[data-figure]', clock).textContent = text;
    $('[data-words]', clock)?.replaceChildren(running === 'true' || !rest ? words : 'stopped');
    if (level === before) continue;
    clock.dataset.level = level;
    if (level !== 'normal') announce(rest ? `${text} left.` : 'Time is up.');
    if (!rest) tell(clock, 'zero');
  }
  followers.forEach((one) => { if (one.beats && one.source && Date.now() - one.heard > SILENCE) one.again(0); });
}

/* ---- Forms ---- */
const attempts = new WeakMap(); // form -> {body, key}: the same text sent twice is one wish

function busy(form, on) {
  form.toggleAttribute('data-busy', on);
  for (const button of form.elements) if (button.type === 'submit') button.disabled = on;
}

async function send(form, submitter) {
  const values = new URLSearchParams(new FormData(form));
  if (submitter?.name) values.append(submitter.name, submitter.value);
  const body = values.toString();
  if (attempts.get(form)?.body !== body) attempts.set(form, { body, key: crypto.getRandomValues(new Uint32Array(4)).join('-') });
  const headers = { Accept: 'application/json', 'Idempotency-Key': attempts.get(form).key, 'X-CSRF-Token': values.get('csrf_token') ?? '' };
  busy(form, true);
  const target = submitter?.getAttribute('formaction') ?? form.getAttribute('action') ?? location.href;
  const answer = await fetch(target, { method: 'POST', body: values, headers }).catch(() => null);
  const text = await answer?.text().catch(() => '');
  const data = attempt(() => JSON.parse(text)) ?? {};
  if (!answer) data.detail = 'The server could not be reached. What you typed is still here; send it again.';
  if (data.code === 'NOT_AUTHENTICATED') data.detail = 'You are signed out. Sign in in another tab, then send this again.';
  busy(form, false);
  if (answer?.ok) accepted(form, answer, data, values);
  else complain(form, data);
}

/** What was sent is done with; what has been typed since stays. */
function accepted(form, answer, data, sent) {
  attempts.delete(form);
  $('[data-form-alert]', form)?.remove();
  for (const field of all('textarea, input:not([type=hidden])', form).filter((one) => one.value === sent.get(one.name))) {
    if (field.dataset.draft) drafts.save(field.dataset.draft, '');
    if (form.hasAttribute('data-reset')) field.value = field.defaultValue;
    if (field.matches('textarea')) count(field);
  }
  if (answer.redirected && !form.hasAttribute('data-stay')) return location.assign(answer.url);
  form.closest('dialog')?.close();
  tell(form, 'accepted', data);
  if (![...followers.values()].some((one) => one.source?.readyState === EventSource.OPEN)) happened(null);
}

/** Say what the server refused, above the fields, and keep everything typed. */
function complain(form, problem) {
  all('[aria-invalid]', form).forEach((field) => field.removeAttribute('aria-invalid'));
  $('[data-form-alert]', form)?.remove();
  const listed = Array.isArray(problem.detail) ? problem.detail : null; // an application's own form: {loc, msg}
  const fields = problem.fields ?? listed?.map(({ loc, msg }) => ({ field: loc.at(-1), message: msg })) ?? [];
  const lines = [(listed ? 'Please correct this.' : problem.detail) ?? problem.title ?? 'This did not work. What you typed is still here.', ...fields.map((one) => one.message)];
  const [box, inner] = [make('div', { className: 'alert alert-error', role: 'alert' }), make('div')];
  box.dataset.formAlert = '';
  inner.append(...lines.map((textContent) => make('p', { textContent })));
  box.append(inner);
  form.prepend(box);
  for (const { field } of fields) $(named('name', field ?? ''), form)?.setAttribute('aria-invalid', 'true');
  tell(form, 'refused', problem);
}

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (event.defaultPrevented) return;
  if (form.hasAttribute('data-sign-out')) drafts.forget();
  if (form.getAttribute('method')?.toLowerCase() !== 'post') return;
  const [again, fetches] = [form.hasAttribute('data-busy'), form.hasAttribute('data-fetch-form')];
  if (again || fetches) event.preventDefault();
  if (again) return;
  if (fetches) return send(form, event.submitter);
  setTimeout(() => busy(form, true)); // after the browser has read the button's own value
  setTimeout(() => busy(form, false), 10_000); // it may have been a download
});

document.addEventListener('change', ({ target }) => target.closest('[data-auto-submit] select')?.form.requestSubmit());

document.addEventListener('input', ({ target }) => {
  if (target.matches('textarea')) count(target);
  if (target.matches('[data-draft]')) drafts.save(target.dataset.draft, target.value);
});

document.addEventListener('keydown', (event) => {
  const { key, target } = event;
  if (key === 'Escape') target.closest('details.tip[open]')?.removeAttribute('open');
  if (key !== 'Enter' || event.isComposing || !target.matches('textarea')) return;
  const plain = target.hasAttribute('data-enter-sends') && !event.shiftKey && matchMedia('(pointer: fine)').matches;
  if (!plain && !event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  target.form?.requestSubmit();
});

/** Code points, as the server counts them; a browser's own limit would count an emoji twice. */
function count(field) {
  const most = Number(field.dataset.max ?? field.maxLength);
  if (!(most > 0)) return;
  if (!field.nextElementSibling?.matches('.counter')) field.after(make('p', { className: 'counter num' }));
  const [note, used] = [field.nextElementSibling, points(field.value).length];
  note.hidden = used * 2 < most;
  note.classList.toggle('counter-over', used > most);
  note.textContent = used > most ? `${used - most} characters too many` : `${used} of ${most} characters`;
  field.setCustomValidity(used > most ? `At most ${most} characters; this has ${used}.` : '');
}

const drafts = { // storage may be full or forbidden; then there are no drafts
  name: (key) => `sitting.draft.${key}`,
  save(key, text) { attempt(() => (text ? localStorage.setItem(this.name(key), text) : localStorage.removeItem(this.name(key)))); },
  load(key) { return attempt(() => localStorage.getItem(this.name(key))) ?? ''; },
  forget() { attempt(() => Object.keys(localStorage).filter((key) => key.startsWith(this.name(''))).forEach((key) => localStorage.removeItem(key))); },
};

/* ---- Buttons, dialogs, times ---- */
async function copy(button) {
  const source = $(button.dataset.copy);
  const label = $('[data-copy-text]', button) ?? button;
  const before = (button.dataset.label ??= label.textContent);
  const done = await navigator.clipboard?.writeText(source.value ?? source.textContent).then(() => true, () => false);
  if (!done && source.select) source.select(); // without https there is no clipboard
  else if (!done) getSelection().selectAllChildren(source);
  label.textContent = done ? 'Copied' : 'Selected, press Ctrl+C';
  announce(label.textContent);
  setTimeout(() => { label.textContent = before; }, 2500);
}

/** The second step of a button moves into a dialog, and back when it closes. */
function ask(details) {
  const form = $('form', details);
  const dialog = make('dialog', { className: 'dialog', ariaLabel: $('.second-step-title', form)?.textContent ?? '' });
  details.open = false;
  dialog.append(form);
  document.body.append(dialog);
  dialog.addEventListener('click', ({ target }) => { if (target === dialog || target.closest('[data-close]')) dialog.close(); });
  dialog.addEventListener('close', () => { details.append(form); dialog.remove(); $('summary', details).focus(); });
  dialog.showModal();
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  const summary = event.target.closest('details[data-confirm] > summary');
  for (const tip of all('details.tip[open]')) if (!tip.contains(event.target)) tip.open = false;
  if (button) copy(button);
  if (!summary) return;
  event.preventDefault();
  ask(summary.parentElement);
});

function localTimes(root) {
  for (const time of all('time[data-local]', root)) {
    const at = new Date(time.dateTime);
    if (!at.getTime()) continue;
    const today = at.toDateString() === new Date().toDateString();
    const text = new Intl.DateTimeFormat('en-GB', today ? { timeStyle: 'medium' } : { dateStyle: 'medium', timeStyle: 'short' }).format(at);
    Object.assign(time, { textContent: today ? `today ${text}` : text, title: time.dateTime });
  }
}

function enhance(root) {
  all('[data-copy], [data-close]', root).forEach((button) => { button.hidden = false; });
  all('[data-accepted]', root).forEach((mark) => drafts.save(mark.dataset.accepted, ''));
  all('textarea[data-draft]', root).forEach((field) => { field.value ||= drafts.load(field.dataset.draft); });
  all('textarea', root).forEach(count);
  localTimes(root);
  for (const { dataset: { follow, after } } of all('[data-follow]', root)) {
    if (followers.has(follow)) continue;
    followers.set(follow, new Follower(follow, after || '0'));
    followers.get(follow).open();
  }
}

enhance(document);
tick();
stick();
setInterval(tick, 1000);
