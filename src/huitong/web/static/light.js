// One picture at a time, made by the server at the size of this screen. Runs as it stands in browsers since 2018
// (ES2018: no `?.`, no `??`); without it the first picture and the strip of series still work.
//
// Pictures are asked for by number, few at once, nearest to what is looked at first; what has been passed is cancelled.
// What came is kept as it came (JPEG), what is near is kept decoded.

const IN_FLIGHT = 4;              // of six connections that a browser opens to one server
const AROUND = 12;                // pictures asked for before and behind the one that is looked at
const KEPT_BYTES = 64 * 1024 * 1024;
const DECODED = 24;
const MOST_ZOOM = 12;
const SLOW_FILM_MS = 100;         // a stack that is played like a film
const PRE_TURN_PX = 6;            // a finger that has moved less has not moved

const by = id => document.getElementById(id);
const stage = by('stage'), canvas = by('picture'), slider = by('slider'), preset = by('preset');
const words = by('opened').dataset;
const pen = canvas.getContext('2d', { alpha: false });

let series = null;                // what the server has said of the open series
let at = 0;                       // which picture is looked at
let way = 1;                      // in which direction one is going
let shade = null;                 // [centre, width], or null as the pictures were sent
let turning = false;              // whether dragging turns the window
let zoom = 1, panX = 0, panY = 0; // 1: the whole picture; CSS pixels
let shown = null;                 // { picture, at } that is on the canvas
let rough = false;                // while a finger turns the window small pictures do

/* --- which picture, and where it is --- */

const flat = () => series.flat || (series.flat = series.images.reduce((all, image) => {
  if (typeof image === 'string') all.push(image + '/rendered');
  else for (let frame = 1; frame <= image[1]; frame++) all.push(image[0] + '/frames/' + frame + '/rendered');
  return all;
}, []));
const count = () => flat().length;

const fitScale = () => Math.min(stage.clientWidth / series.width, stage.clientHeight / series.height);
const box = () => {
  if (rough) return series.boxes[0];
  const needed = Math.max(series.width, series.height) * fitScale() * zoom * Math.min(window.devicePixelRatio || 1, 3);
  return series.boxes.find(each => each >= needed * 0.9) || series.boxes[series.boxes.length - 1];
};
const url = (number, size) => series.base + flat()[number] + '?viewport=' + size + ',' + size + '&quality=' +
  (rough ? 60 : series.quality) + (shade ? '&window=' + shade[0].toFixed(1) + ',' + shade[1].toFixed(1) : '');

/* --- fetching --- */

const kept = new Map();           // address -> Blob, the oldest first
const decoded = new Map();        // address -> ImageBitmap or HTMLImageElement
const flying = new Map();         // address -> AbortController
let keptBytes = 0;
let failed = 0;

const keep = (address, blob) => {
  kept.set(address, blob);
  keptBytes += blob.size;
  for (const [old, its] of kept) {
    if (keptBytes <= KEPT_BYTES || old === address) break;
    kept.delete(old);
    keptBytes -= its.size;
  }
};

const decode = (address, blob) => {
  if (window.createImageBitmap) return createImageBitmap(blob);
  const image = new Image();      // from the browser's own cache
  image.src = address;
  return image.decode().then(() => image);
};

const get = async address => {
  const known = decoded.get(address);
  if (known) return known;
  if (!kept.has(address)) return null;
  const picture = await decode(address, kept.get(address));
  decoded.set(address, picture);
  for (const [old, its] of decoded) {
    if (decoded.size <= DECODED) break;
    if (its === (shown && shown.picture)) continue;
    decoded.delete(old);
    if (its.close) its.close();
  }
  return picture;
};

// Nearest first, further in the direction in which one is going.
const wanted = () => {
  const size = box(), all = [url(at, size)];
  if (rough) return all;
  const around = playing ? Math.min(count(), 64) : AROUND;
  for (let far = 1; far <= around; far++) {
    for (const number of [at + way * far, ...(far * 2 <= around && !playing ? [at - way * far] : [])]) {
      const round = playing ? (number + count()) % count() : number;
      if (round >= 0 && round < count()) all.push(url(round, size));
    }
  }
  return all;
};

const pump = () => {
  if (!series || !count()) return;
  const list = wanted();
  const near = new Set(list);
  for (const [address, controller] of flying) if (!near.has(address)) { flying.delete(address); controller.abort(); }
  for (const address of list) {
    if (flying.size >= IN_FLIGHT) break;
    if (!kept.has(address) && !decoded.has(address) && !flying.has(address)) load(address);
  }
};

const load = async address => {
  const controller = new AbortController();
  flying.set(address, controller);
  try {
    const answer = await fetch(address, { signal: controller.signal, headers: { Accept: 'image/jpeg' }, credentials: 'same-origin' });
    if (!answer.ok) throw new Error(String(answer.status));
    keep(address, await answer.blob());
    failed = 0;
    if (flying.get(address) === controller) flying.delete(address);
    if (address === url(at, box())) show();
    pump();
  } catch (error) {
    if (flying.get(address) === controller) flying.delete(address);
    if (error.name === 'AbortError') return;
    failed += 1;
    if (/^40[14]$/.test(error.message)) stillOpen();
    if (address === url(at, box())) by('late').hidden = false;
    if (failed < 3) setTimeout(pump, 1000 * failed);
  }
};

// A link that was shared ends, a session too: then the page is read anew, and says so itself.
const stillOpen = async () => {
  const answer = await fetch(location.href, { cache: 'no-store', credentials: 'same-origin', redirect: 'manual' }).catch(() => null);
  if (answer && (answer.type === 'opaqueredirect' || [401, 404].includes(answer.status))) location.reload();
};

/* --- drawing --- */

const show = async () => {
  const number = at, address = url(number, box());
  const picture = await get(address);
  if (!picture || number !== at || address !== url(at, box())) { pump(); return; }
  by('late').hidden = true;
  shown = { picture, at: number };
  draw();
  pump();
};

// For whoever measures: when fingers are taken, and when the picture is seen.
const mark = name => window.performance && performance.mark && performance.mark(name);

let drawing = 0;
const draw = () => { if (!drawing) drawing = requestAnimationFrame(paint); };
const paint = () => {
  drawing = 0;
  if (!shown || !series || !count()) return;
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const wide = Math.round(stage.clientWidth * ratio), high = Math.round(stage.clientHeight * ratio);
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const scale = fitScale() * zoom * ratio;
  // Each picture in its own proportions, within the place that the series has.
  const its = shown.picture, across = its.naturalWidth || its.width, down = its.naturalHeight || its.height;
  const inner = Math.min(series.width / across, series.height / down);
  const width = across * inner * scale, height = down * inner * scale;
  pen.fillStyle = '#0a0c0e';
  pen.fillRect(0, 0, wide, high);
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(its, (wide - width) / 2 + panX * ratio, (high - height) / 2 + panY * ratio, width, height);
  if (canvas.hidden) {
    canvas.hidden = false;
    by('first').style.visibility = 'hidden';
    requestAnimationFrame(() => mark('seen'));  // the next frame begins: this one is on the screen
  }
  by('place').textContent = count() > 1 ? (at + 1) + ' / ' + count() : '';
  by('shade').textContent = series.grey && shade ? 'C ' + Math.round(shade[0]) + '  W ' + Math.round(shade[1]) : '';
  stage.dataset.shown = shown.at + 1;
};

/* --- going, turning, enlarging --- */

const go = number => {
  const target = Math.max(0, Math.min(count() - 1, number));
  if (target === at || !count()) return;
  way = target > at ? 1 : -1;
  at = target;
  slider.value = at + 1;
  slider.setAttribute('aria-valuetext', (at + 1) + ' / ' + count());
  by('place').textContent = (at + 1) + ' / ' + count();
  show();
};

const keepWithin = () => {
  const scale = fitScale() * zoom;
  const reach = (picture, room) => Math.max(0, (picture * scale - room) / 2 + room * 0.25);
  const x = zoom > 1 ? reach(series.width, stage.clientWidth) : 0, y = zoom > 1 ? reach(series.height, stage.clientHeight) : 0;
  panX = Math.max(-x, Math.min(x, panX));
  panY = Math.max(-y, Math.min(y, panY));
};

// Around a point of the stage, which stays where it is.
const enlarge = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
  const to = Math.max(1, Math.min(MOST_ZOOM, zoom * factor)), by_ = to / zoom;
  const dx = x - stage.clientWidth / 2, dy = y - stage.clientHeight / 2;
  panX = dx - (dx - panX) * by_;
  panY = dy - (dy - panY) * by_;
  zoom = to;
  keepWithin();
  stage.dataset.zoom = zoom.toFixed(2);
  draw();
};
const whole = () => { zoom = 1; panX = panY = 0; stage.dataset.zoom = '1'; draw(); show(); };

const turn = (center, width) => {
  shade = [center, Math.max(1, Math.min(100000, width))];
  const value = shade.join(',');
  let own = preset.querySelector('[data-own]');
  if (!own) {
    own = preset.appendChild(document.createElement('option'));
    own.textContent = words.own;
    own.dataset.own = '';
  }
  own.value = value;
  preset.value = value;
  by('shade').textContent = 'C ' + Math.round(shade[0]) + '  W ' + Math.round(shade[1]);
  show();
};
const choose = value => {
  shade = value ? value.split(',').map(Number) : null;
  preset.value = value;
  show();
  draw();
};
const turnMode = on => {
  turning = on && series.grey;
  by('turn').setAttribute('aria-pressed', String(turning));
  stage.style.cursor = turning ? 'move' : '';
};

/* --- films --- */

let playing = 0;
const play = on => {
  clearTimeout(playing);
  playing = 0;
  by('play').setAttribute('aria-pressed', String(on));
  if (on) { playing = setTimeout(tick, 0); }
};
const tick = () => {
  const period = series.frame_ms || SLOW_FILM_MS;
  const next = (at + 1) % count(), address = url(next, box());
  playing = setTimeout(tick, Math.max(16, period));
  if (kept.has(address) || decoded.has(address)) { way = 1; at = next; slider.value = at + 1; show(); } else pump();
};

/* --- fingers, mouse, wheel, keys --- */

const fingers = new Map();
let began = null;                 // where the only finger came down, and what was then
let pinch = null;
let tapped = 0;

const pair = () => {
  const [a, b] = [...fingers.values()], edge = stage.getBoundingClientRect();
  return { far: Math.hypot(a.x - b.x, a.y - b.y) || 1, x: (a.x + b.x) / 2 - edge.left, y: (a.y + b.y) / 2 - edge.top };
};
const start = (event, turns) => ({ x: event.clientX, y: event.clientY, at, panX, panY, moved: false, turns, shade: shade || series.start });

stage.addEventListener('pointerdown', event => {
  if (!series || !count() || event.target.closest('button')) return;
  if (event.button > 0 && event.button !== 2) return;
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (playing) play(false);
  pinch = fingers.size === 2 ? pair() : null;
  began = fingers.size === 1 ? start(event, turning || event.button === 2) : null;
});
stage.addEventListener('pointermove', event => {
  if (!fingers.has(event.pointerId)) return;
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (pinch && fingers.size === 2) {
    const now = pair();
    panX += now.x - pinch.x;
    panY += now.y - pinch.y;
    enlarge(now.far / pinch.far, now.x, now.y);
    pinch = now;
  } else if (began) drag(event.clientX - began.x, event.clientY - began.y);
});
const drag = (dx, dy) => {
  if (!began.moved && Math.hypot(dx, dy) < PRE_TURN_PX) return;
  began.moved = true;
  if (began.turns) {
    if (!series.grey) return;
    rough = true;
    const [center, width] = began.shade;
    turn(center + dy * Math.max(width, 40) / 300, width * Math.exp(dx / 160));
  } else if (zoom > 1.01 || count() === 1) {
    panX = began.panX + dx;
    panY = began.panY + dy;
    keepWithin();
    draw();
  } else {
    // The whole height goes through the whole stack, but no picture is finer than three pixels or coarser than 24.
    const step = Math.max(3, Math.min(24, stage.clientHeight * 0.8 / count()));
    go(began.at + Math.round(dy / step));
  }
};
const lift = event => {
  if (!fingers.delete(event.pointerId)) return;
  pinch = null;
  if (rough) { rough = false; show(); } else if (zoom > 1) show();
  const quick = began && !began.moved && event.type === 'pointerup';
  began = null;
  if (quick) {
    const edge = stage.getBoundingClientRect();
    if (event.timeStamp - tapped < 320) {
      if (zoom > 1.01) whole(); else { enlarge(2.5, event.clientX - edge.left, event.clientY - edge.top); show(); }
      tapped = 0;
    } else tapped = event.timeStamp;
  }
  // The finger that stays goes on alone, from where it is.
  if (fingers.size === 1) { const [left] = fingers.values(); began = start({ clientX: left.x, clientY: left.y }, turning); began.moved = true; }
};
stage.addEventListener('pointerup', lift);
stage.addEventListener('pointercancel', lift);
stage.addEventListener('contextmenu', event => event.preventDefault());
stage.addEventListener('dragstart', event => event.preventDefault());

let rolled = 0;
stage.addEventListener('wheel', event => {
  event.preventDefault();
  if (!series || !count()) return;
  if (event.ctrlKey) {
    const edge = stage.getBoundingClientRect();
    enlarge(Math.exp(-event.deltaY / 200), event.clientX - edge.left, event.clientY - edge.top);
    show();
    return;
  }
  rolled += event.deltaMode ? event.deltaY * 40 : event.deltaY;
  const steps = Math.trunc(rolled / 40);
  if (steps) { rolled -= steps * 40; go(at + steps); }
}, { passive: false });

const keys = {
  ArrowDown: () => go(at + 1), ArrowRight: () => go(at + 1), ArrowUp: () => go(at - 1), ArrowLeft: () => go(at - 1),
  PageDown: () => go(at + 10), PageUp: () => go(at - 10), Home: () => go(0), End: () => go(count() - 1),
  '+': () => { enlarge(1.25); show(); }, '=': () => { enlarge(1.25); show(); }, '-': () => { enlarge(0.8); show(); }, '0': whole,
  w: () => turnMode(!turning), ' ': () => count() > 1 && play(!playing),
};
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.altKey || event.metaKey || !series || !count()) return;
  if (event.target.closest('select, input, a, summary, button') && !['PageDown', 'PageUp', '+', '-', '0', 'w'].includes(event.key)) return;
  if (event.target.closest('select, input') || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

slider.addEventListener('input', () => { if (playing) play(false); go(Number(slider.value) - 1); });
preset.addEventListener('change', () => choose(preset.value));
by('turn').addEventListener('click', () => turnMode(!turning));
by('play').addEventListener('click', () => play(!playing));
by('smaller').addEventListener('click', () => { enlarge(0.66); show(); });
by('larger').addEventListener('click', () => { enlarge(1.5); show(); });
by('fit').addEventListener('click', whole);
by('again').addEventListener('click', () => { failed = 0; by('late').hidden = true; pump(); });
window.addEventListener('resize', () => { if (series && count()) { keepWithin(); draw(); show(); } });
document.addEventListener('visibilitychange', () => { if (document.hidden && playing) play(false); });

/* --- series --- */

const object = its => {
  const section = document.createElement('section'), head = document.createElement('h2'), link = document.createElement('a');
  head.textContent = its.title;
  Object.assign(link, { href: its.url, textContent: words.alone, target: '_blank', rel: 'noopener' });
  head.appendChild(link);
  const inner = document.createElement(its.kind === 'waveform' ? 'img' : its.kind === 'video' ? 'video' : 'iframe');
  Object.assign(inner, { src: its.url, title: its.title, controls: true });
  if (its.kind === 'waveform') inner.alt = its.title;
  const wide = document.createElement('div');
  wide.className = 'wide';
  wide.tabIndex = 0;
  wide.setAttribute('role', 'group');
  wide.setAttribute('aria-label', its.title);
  wide.appendChild(inner);
  section.append(head, wide);
  return section;
};

const open = (said, picture) => {
  play(false);
  for (const controller of flying.values()) controller.abort();
  flying.clear();
  series = said;
  at = said.at || 0;
  way = 1;
  shade = null;
  shown = null;
  zoom = 1;
  panX = panY = 0;
  const some = series.images.length > 0;
  stage.hidden = !some;
  document.querySelector('footer').hidden = !some;
  by('nothing').hidden = some || said.objects.length > 0;
  by('late').hidden = true;
  by('objects').textContent = '';
  by('objects').append(...said.objects.map(object));
  if (!some) return;
  slider.max = count();
  slider.value = at + 1;
  slider.disabled = count() < 2;
  slider.setAttribute('aria-valuetext', (at + 1) + ' / ' + count());
  slider.hidden = count() < 2;
  by('play').hidden = count() < 2;
  by('turn').hidden = !series.grey;
  preset.parentElement.hidden = !series.grey;
  while (preset.options.length > 1) preset.remove(1);
  for (const [name, center, width] of series.windows) {
    const option = document.createElement('option');
    option.value = center + ',' + width;
    option.textContent = name || 'C ' + center + ' W ' + width;
    preset.appendChild(option);
  }
  preset.value = '';
  turnMode(false);
  stage.dataset.shown = '';
  stage.dataset.zoom = '1';
  if (picture) take(picture);
  show();
};
// The picture that the document brought along, if it is as fine as what would be asked for now.
const take = picture => {
  const size = Number((/viewport=(\d+)/.exec(picture.currentSrc || picture.src) || [])[1]);
  shown = { picture, at };
  if (size >= box()) decoded.set(url(at, box()), picture);
  paint();
};

document.querySelectorAll('[data-series]').forEach(link => link.addEventListener('click', async event => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  document.querySelectorAll('[data-series][aria-current]').forEach(each => each.removeAttribute('aria-current'));
  link.setAttribute('aria-current', 'true');
  link.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  try {
    const answer = await fetch(words.address + '/' + encodeURIComponent(link.dataset.series), { credentials: 'same-origin' });
    if (!answer.ok) throw new Error(String(answer.status));
    const said = await answer.json();
    if (link.getAttribute('aria-current')) open(said, null);
  } catch (error) {
    location.href = link.href;    // the server says what is wrong
  }
}));
document.querySelectorAll('.strip img').forEach(small => {
  small.addEventListener('error', () => small.classList.add('absent'));
  if (small.complete && !small.naturalWidth) small.classList.add('absent');
});

/* --- the beginning --- */

const begin = JSON.parse(by('opened').textContent);
const first = by('first');
if (!first) open(begin, null);
else {
  const there = () => first.complete && first.naturalWidth > 0;
  open(begin, there() ? first : null);
  if (!there()) first.addEventListener('load', () => { if (!shown && series === begin && at === begin.at && !shade) { take(first); show(); } });
}
const current = document.querySelector('.strip [aria-current]');
if (current) current.scrollIntoView({ block: 'nearest', inline: 'nearest' });
document.documentElement.dataset.ready = '';
mark('ready');
