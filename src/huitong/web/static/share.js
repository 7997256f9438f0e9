// Opens a SMART Health Link: what it says stands behind the # of the address and goes to the server in bodies alone; the
// key for files never does. Then the study is shown: on phones by the light page, elsewhere by the viewer.
const by = id => document.getElementById(id);
const parts = ['waiting', 'ask', 'ended', 'failed'];
const show = one => parts.forEach(each => { by(each).hidden = each !== one; });

const read = () => {
  const found = location.hash.match(/shlink:\/([\w-]+)/);
  if (!found) return null;
  try {
    const bytes = Uint8Array.from(atob(found[1].replace(/-/g, '+').replace(/_/g, '/')), each => each.charCodeAt(0));
    const said = JSON.parse(new TextDecoder().decode(bytes));
    const manifest = String(said.url).match(/\/shl\/([\w-]{43})$/);
    if (!manifest || typeof said._p !== 'string') return null;
    return { secret: `${manifest[1]}.${said._p}`, asks: String(said.flag || '').includes('P'), label: String(said.label || '') };
  } catch {
    return null;
  }
};

const phone = matchMedia('(max-width: 820px)');
const open = async (link, passcode) => {
  show('waiting');
  let answer;
  try {
    answer = await fetch('/share/open', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, credentials: 'same-origin',
      body: JSON.stringify({ secret: link.secret, passcode }),
    });
  } catch {
    return show('failed');
  }
  if (answer.ok) {
    const { look, viewer } = await answer.json();
    return location.replace(phone.matches ? look : viewer);
  }
  if (answer.status === 404 || answer.status === 400) return show('ended');
  if (answer.status !== 401) return show('failed');
  const { remainingAttempts } = await answer.json();
  if (!remainingAttempts) return show('ended');
  by('wrong').textContent = by('wrong').dataset.left + remainingAttempts;
  by('wrong').hidden = !passcode;
  show('ask');
  by('passcode').value = '';
  by('passcode').focus();
};

const start = () => {
  const link = read();
  // The language page leads back here; the link goes with it.
  document.querySelectorAll('[data-language]').forEach(each => { each.hash = location.hash; });
  if (!link) return show('ended');
  by('label').textContent = link.label;
  by('label').hidden = !link.label;
  by('ask').onsubmit = event => { event.preventDefault(); open(link, by('passcode').value); };
  by('again').onclick = () => (link.asks ? show('ask') : open(link, ''));
  if (!link.asks) return open(link, '');
  show('ask');
  by('passcode').focus();
};
addEventListener('hashchange', start);
start();
