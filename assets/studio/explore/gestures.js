// Mouse, pen and touch on a mosaic: hover, click, drag, pinch, and Ctrl with the wheel.

/** on: {pick(x, y, event), double(x, y), hover(x, y), leave()} in pixels of the canvas. */
export function listenToPointers(element, canvas, camera, on) {
  const pointers = new Map();
  let dragged = 0;
  let pinch = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) dragged = 0;
    if (pointers.size === 2) pinch = spread(pointers);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      on.hover(x, y);
      return;
    }
    pointers.set(event.pointerId, [x, y]);
    if (pointers.size === 2) {
      const now = spread(pointers);
      dragged = Infinity;
      if (pinch > 0) camera.zoom(now / pinch, ...middle(pointers));
      pinch = now;
      return;
    }
    dragged += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    if (camera.scale > 1 && dragged > 4) camera.pan(x - before[0], y - before[1]);
  });
  const release = (event) => {
    const known = pointers.delete(event.pointerId);
    if (event.type !== "pointerup" || !known || dragged > 8) return;
    element.focus({ preventScroll: true });
    on.pick(...place(event), event);
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("dblclick", (event) => on.double(...place(event)));
  element.addEventListener("pointerleave", () => on.leave());
  element.addEventListener(
    "wheel",
    (event) => {
      if (!(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      camera.zoom(Math.exp(-event.deltaY / 300), ...place(event));
    },
    { passive: false },
  );
}

const spread = (pointers) => {
  const [[x1, y1], [x2, y2]] = pointers.values();
  return Math.hypot(x1 - x2, y1 - y2);
};

const middle = (pointers) => {
  const [[x1, y1], [x2, y2]] = pointers.values();
  return [(x1 + x2) / 2, (y1 + y2) / 2];
};
