"use strict";
// Clouds that can be turned. All that it knows stands in the page; positions are int16, a frame after the other.
for (const figure of document.querySelectorAll("figure[data-cloud]")) {
  const cloud = JSON.parse(document.getElementById(figure.dataset.cloud).textContent);
  const bytes = Uint8Array.from(atob(cloud.positions), (letter) => letter.charCodeAt(0));
  const positions = new DataView(bytes.buffer), count = cloud.labels.length;
  const canvas = figure.querySelector("canvas"), slider = figure.querySelector("input");
  const told = figure.querySelector("output"), context = canvas.getContext("2d");
  let yaw = 0.6, pitch = 0.4, zoom = 1, held = null;

  function place(frame, item) {
    const at = 6 * (frame * count + item);
    const [x, y, z] = [0, 2, 4].map((axis) => positions.getInt16(at + axis, true) / 32767);
    const [across, deep] = [x * Math.cos(yaw) + z * Math.sin(yaw), z * Math.cos(yaw) - x * Math.sin(yaw)];
    return [across, y * Math.cos(pitch) - deep * Math.sin(pitch), deep * Math.cos(pitch) + y * Math.sin(pitch)];
  }

  function draw() {
    const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)) || 300;
    canvas.width = canvas.height = side;
    const frame = Number(slider.value), style = getComputedStyle(document.documentElement);
    const placed = Array.from({ length: count }, (_, item) => place(frame, item));
    const pixel = ([x, y, deep]) => {
      const scale = (0.42 * side * zoom * 3) / (3 + deep);
      return [side / 2 + x * scale, side / 2 - y * scale];
    };
    const order = placed.map((_, item) => item).sort((one, other) => placed[other][2] - placed[one][2]);
    for (const item of order) {
      const [x, y] = pixel(placed[item]);
      context.fillStyle = cloud.colours[cloud.labels[item] % cloud.colours.length];
      context.globalAlpha = 0.95 - 0.3 * (placed[item][2] + 1) / 2;
      context.beginPath();
      context.arc(x, y, Math.max(1, side / 190), 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
    context.strokeStyle = style.getPropertyValue("--hard");
    context.lineWidth = Math.max(1, side / 400);
    context.beginPath();
    for (const [anchor, negative] of cloud.edges[frame]) {
      context.moveTo(...pixel(placed[anchor]));
      context.lineTo(...pixel(placed[negative]));
    }
    context.stroke();
    const pairs = cloud.edges[frame].length;
    told.textContent = `step ${cloud.steps[frame].toLocaleString("en")}, ${pairs} hard ${pairs === 1 ? "pair" : "pairs"}`;
  }

  function turn(across, up) {
    yaw += across;
    pitch = Math.max(-1.57, Math.min(1.57, pitch + up));
    draw();
  }

  const keys = {
    ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, -0.1), ArrowDown: () => turn(0, 0.1),
    "+": () => { zoom = Math.min(20, zoom * 1.1); draw(); }, "-": () => { zoom = Math.max(0.2, zoom / 1.1); draw(); },
  };
  canvas.addEventListener("keydown", (event) => {
    if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
  });
  canvas.addEventListener("pointerdown", (event) => { held = event; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { held = null; });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    turn((event.clientX - held.clientX) / 150, (event.clientY - held.clientY) / 150);
    held = event;
  });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return;  // else nobody could scroll past it
    keys[event.deltaY < 0 ? "+" : "-"]();
    event.preventDefault();
  }, { passive: false });
  slider.addEventListener("input", draw);
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", draw);
  draw();
}
