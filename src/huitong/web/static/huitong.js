// What the pages do beyond links and forms: keys, pictures that do not exist, and fresh rows while studies arrive.
// Everything works without it.
(() => {
  const typing = target => target.closest?.('input, select, textarea, [contenteditable]');
  const rows = () => [...document.querySelectorAll('.open')];

  // Error events of pictures do not bubble, so they are taken on the way down. Those that failed before this ran are swept.
  const absent = picture => picture.classList.add('absent');
  document.addEventListener('error', event => event.target.matches?.('.thumb img') && absent(event.target), true);
  document.querySelectorAll('.thumb img').forEach(picture => picture.complete && !picture.naturalWidth && picture.currentSrc && absent(picture));

  // The viewer leads back to the list as it was left.
  const remember = () => (location.pathname === '/' || document.querySelector('.own-study')) && sessionStorage.setItem('huitong.list', location.pathname + location.search);
  remember();
  document.addEventListener('htmx:replacedInHistory', remember);
  document.addEventListener('htmx:pushedIntoHistory', remember);

  // On a phone studies open in the light page.
  const phone = matchMedia('(max-width: 820px) and (pointer: coarse)');
  document.addEventListener('click', event => {
    const link = event.target.closest?.('a[data-light]');
    if (link && phone.matches) link.href = link.dataset.light;
  }, true);

  // A link is copied where the browser lets us, else marked to be copied by hand.
  document.addEventListener('click', async event => {
    const button = event.target.closest?.('[data-copy]');
    if (!button) return;
    const field = document.querySelector(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      if (!document.execCommand('copy')) return;
    }
    button.textContent = button.dataset.done;
  });

  const keys = {
    '/': () => document.querySelector('#name, #q')?.focus(),
    j: () => step(1),
    k: () => step(-1),
    d: () => document.activeElement.closest('tr')?.querySelector('.details')?.click(),
  };
  const step = by => {
    const all = rows();
    const at = all.indexOf(document.activeElement.closest('tr')?.querySelector('.open'));
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))]?.focus();
  };
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === 'Escape' && typing(event.target)) { event.target.blur(); return; }
    if (typing(event.target) || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  // On a question the answers have a key each.
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || typing(event.target)) return;
    document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`)?.click();
  });

  // Dates and quick choices of the period exclude each other.
  document.getElementById('search')?.addEventListener('input', event => {
    if (event.target.name === 'days') document.querySelectorAll('.dates input').forEach(field => (field.value = ''));
    if (event.target.type === 'date') document.querySelectorAll('[name=days]').forEach(choice => (choice.checked = false));
  }, true);

  // While studies arrive the list is read again, unless someone is in it, types, or looks elsewhere.
  setInterval(() => {
    const list = document.querySelector('#studies[data-arriving]');
    if (!list || !window.htmx || document.hidden || list.contains(document.activeElement) || typing(document.activeElement)) return;
    htmx.ajax('GET', location.pathname + location.search, { target: list, swap: 'outerHTML' });
  }, 5000);

  // The code of a health card is good for some seconds. They are counted, and a fresh one is fetched when none is left;
  // one that has ended is not shown as if it were good. Only differences of the clock are used: it may be wrong.
  let ends = 0;
  let counted = null;
  let asked = 0;
  const count = () => {
    const code = document.querySelector('.card-code[data-seconds]');
    if (!code) return;
    if (code !== counted) { counted = code; ends = Date.now() + 1000 * code.dataset.seconds; asked = 0; }
    const left = Math.ceil((ends - Date.now()) / 1000);
    code.querySelector('[data-left]').textContent = Math.max(0, left);
    if (left > 0 || document.hidden) return;
    if (Date.now() - ends > 2000) { code.classList.add('stale'); code.querySelector('.late').hidden = false; }
    if (window.htmx && Date.now() - asked > 5000) { asked = Date.now(); htmx.trigger(code, 'fresh'); }
  };
  setInterval(count, 250);
  document.addEventListener('visibilitychange', count);
})();
