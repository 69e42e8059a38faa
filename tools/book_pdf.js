/* Run in the book before tools/book_pdf.py prints it. `page` is the room on one page, in pixels: width and height.
   Returns what is too wide even so. */
async (page) => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;

  // Equations become images, which can say to whoever does not see them how they are written.
  for (const equation of window.MathJax?.startup?.document?.math ?? []) {
    const drawn = equation.typesetRoot.querySelector('svg'), {width, height} = drawn.getBoundingClientRect();
    drawn.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
    const image = new Image(width, height);
    image.src = `data:image/svg+xml,${encodeURIComponent(drawn.outerHTML)}`;
    image.alt = equation.math.trim();
    image.style.cssText = `height: ${height}px; vertical-align: ${drawn.style.verticalAlign}; width: ${width}px`;
    equation.typesetRoot.replaceChildren(image);
  }
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));

  // Where to cut a tall figure, between two rows of its pixels: where least is drawn; of such places the one above most
  // ink, as a line of text belongs to what stands below it.
  const cut = (pen, width, first, last) => {
    const pixels = pen.getImageData(0, first, width, last - first).data, ink = new Array(last - first).fill(0);
    pixels.forEach((value, i) => { if (i % 4 < 3) ink[Math.floor(i / 4 / width)] += 255 - value; });
    const below = y => ink.slice(y + 1, y + 25).reduce((sum, row) => sum + row, 0);
    const places = [...ink.keys()].slice(0, -25);
    places.sort((a, b) => ink[a] - ink[b] || below(b) - below(a));
    return first + places[0];
  };

  // A figure much taller than a page would be too small to read on one: in pieces of half a page it goes on overleaf.
  for (const image of document.querySelectorAll('.bd-article figure img')) {
    image.style.maxHeight = 'none';
    const shown = image.getBoundingClientRect();
    const [width, height, scale] = [image.naturalWidth, image.naturalHeight, shown.width / image.naturalWidth];
    image.style.maxHeight = '';
    if (shown.height < 1.5 * page.height) continue;
    const pen = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
    pen.drawImage(image, 0, 0);
    const room = Math.floor(page.height / 2.2 / scale);
    for (let top = 0; top < height;) {
      const end = height - top <= room ? height : cut(pen, width, top + Math.floor(0.8 * room), top + room);
      const piece = document.createElement('span'), part = image.cloneNode();
      piece.className = 'piece';
      piece.style.height = `${(end - top) * scale}px`;
      part.style.marginTop = `${-top * scale}px`;
      if (top) part.alt = '';  // said once
      piece.append(part);
      image.before(piece);
      top = end;
    }
    image.remove();
  }

  for (const box of document.querySelectorAll('.bd-article :is(table, mjx-container[display="true"] > img)')) {
    const {right, width} = box.getBoundingClientRect();
    const over = right - box.closest('.bd-article').getBoundingClientRect().right;
    if (over > 0.5) box.style.zoom = Math.max(0.55, (width - over) / width - 0.005);
  }
  for (const box of document.querySelectorAll('.bd-article :is(table, pre)'))
    box.classList.toggle('long', box.getBoundingClientRect().height > page.height / 3);

  return [...document.querySelectorAll('.bd-article *')]
    .filter(box => box.getBoundingClientRect().right > page.width + 1)
    .map(box => `${box.closest('.bd-article').id}: ${box.tagName.toLowerCase()} ${box.textContent.trim().slice(0, 60)}`);
}
