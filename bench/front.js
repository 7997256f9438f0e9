// Run in the page before anything else: when the first picture is on the screen, and when every image can be scrolled
// to. Times are milliseconds since the address was opened.
(() => {
  performance.setResourceTimingBufferSize(10000);
  const bench = (window.bench = { firstImageMs: 0, allImagesMs: 0, images: new Set(), wanted: 0 });
  const small = document.createElement('canvas');
  small.width = small.height = 16;
  const context = small.getContext('2d', { willReadFrequently: true });

  // A picture has more than a few points that are not black; before it the canvas is empty.
  const isShown = canvas => {
    context.drawImage(canvas, 0, 0, 16, 16);
    const points = context.getImageData(0, 0, 16, 16).data;
    let bright = 0;
    for (let at = 0; at < points.length; at += 4) {
      bright += points[at] > 20;
    }
    return bright > 16;
  };

  // In the cache of cornerstone an image is decoded: scrolling to it asks nobody.
  const count = event => {
    bench.images.add(event.detail.image.imageId);
    if (bench.images.size === bench.wanted) {
      bench.allImagesMs = performance.now();
    }
  };

  let counting = false;
  const look = () => {
    if (!counting && window.cornerstone) {
      counting = true;
      window.cornerstone.eventTarget.addEventListener('CORNERSTONE_IMAGE_CACHE_IMAGE_ADDED', count);
    }
    const canvas = document.querySelector('canvas.cornerstone-canvas');
    if (!bench.firstImageMs && canvas?.width && isShown(canvas)) {
      bench.firstImageMs = performance.now();
    }
    if (!counting || !bench.firstImageMs) {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
})();
