/* An episode that plays on a canvas: the shapes that the environment drew of each state, in world coordinates with y up. */

const players = [];
const CIRCLE = 0, LINE = 1, POLYGON = 2, TEXT = 3, RECTANGLE = 4, IMAGE = 5, PATCH = 6;
const TRAIL = 12, SPEEDS = [0.25, 0.5, 1, 2, 4, 8];
/* An episode of few states is slow enough to be followed, one of many ends before anybody looks away. */
const SLOWEST = 10, FASTEST = 50, SECONDS = 15;

function cssColour(rgba) {
  return `rgba(${(rgba >>> 24) & 255},${(rgba >>> 16) & 255},${(rgba >>> 8) & 255},${((rgba & 255) / 255).toFixed(3)})`;
}

class Replay {
  constructor(film, title, about) {
    this.film = film;
    this.at = 0;
    this.playing = false;
    this.speed = 1;
    this.rate = Math.max(SLOWEST, Math.min(FASTEST, film.frames.length / SECONDS));
    this.canvas = h("canvas", { class: "film", role: "img", "aria-label": `${title}: ${about}` });
    this.caption = h("div", { class: "caption" });
    this.button = h("button", { type: "button", class: "play", "aria-label": "play", onclick: () => this.toggle() }, "▶");
    this.slider = h("input", { type: "range", min: 0, max: film.frames.length - 1, value: 0, step: 1, "aria-label": "step", oninput: () => this.seek(Number(this.slider.value)) });
    this.select = h("select", { "aria-label": "speed", onchange: () => (this.speed = Number(this.select.value)) },
      SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`)));
    this.curve = svgElement("svg", { class: "returns", viewBox: "0 0 300 28", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.canvas.addEventListener("click", () => this.toggle());
    this.element = h("figure", { class: "replay" }, h("figcaption", {}, h("b", {}, title), " ", h("span", { class: "unit" }, about)), this.canvas,
      h("div", { class: "controls" }, this.button, h("div", { class: "track" }, this.curve, this.slider), this.select), this.caption);
    this.drawCurve();
    players.push(this);
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }

  /* The return so far, above the slider. */
  drawCurve() {
    const returns = this.film.frames.map((frame) => frame[2]), low = Math.min(...returns), high = Math.max(...returns);
    const points = returns.map((value, i) => `${((300 * i) / Math.max(1, returns.length - 1)).toFixed(1)},${(26 - (24 * (value - low)) / (high - low || 1)).toFixed(1)}`);
    this.curve.innerHTML = `<polyline points="${points.join(" ")}"/><line class="now" y1="0" y2="28"/>`;
  }

  get last() {
    return this.film.frames.length - 1;
  }

  toggle(play = !this.playing) {
    if (play && this.at >= this.last) this.seek(0);
    this.playing = play;
    this.button.textContent = play ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", play ? "pause" : "play");
    this.since = undefined;
    if (play) requestAnimationFrame((time) => this.tick(time));
  }

  tick(time) {
    if (!this.playing) return;
    if (this.since === undefined) this.since = time - (this.at / (this.rate * this.speed)) * 1000;
    if (this.timed !== this.speed) (this.since = time - (this.at / (this.rate * this.speed)) * 1000), (this.timed = this.speed);
    const at = Math.floor(((time - this.since) / 1000) * this.rate * this.speed);
    if (at !== this.at) this.show(Math.min(at, this.last));
    if (this.at >= this.last) this.toggle(false);
    else requestAnimationFrame((next) => this.tick(next));
  }

  seek(at) {
    this.since = undefined;
    this.show(Math.max(0, Math.min(this.last, at)));
  }

  show(at) {
    this.at = at;
    this.slider.value = at;
    this.paint();
  }

  paint() {
    const frame = this.film.frames[this.at], view = frame[3], width = this.canvas.clientWidth;
    const across = Math.abs(view[2] - view[0]) || 1, up = Math.abs(view[3] - view[1]) || 1;
    if (!width) return;
    const height = Math.round(Math.min(width * 1.1, (width * up) / across)), dense = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * dense) || this.canvas.height !== Math.round(height * dense)) {
      this.canvas.width = Math.round(width * dense);
      this.canvas.height = Math.round(height * dense);
    }
    const scale = Math.min(width / across, height / up) * dense, context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#f7f7f5";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const left = (this.canvas.width - across * scale) / 2, top = (this.canvas.height - up * scale) / 2;
    const x = (value) => left + (value - Math.min(view[0], view[2])) * scale, y = (value) => top + (Math.max(view[1], view[3]) - value) * scale;
    this.trails(context, x, y, dense);
    const marks = frame[4].map((number) => this.film.marks[number]), flat = marks.filter(([shape]) => shape === IMAGE || shape === PATCH);
    if (flat.length) this.images(context, flat, view, x, y);
    for (const mark of marks) if (!flat.includes(mark)) this.mark(context, mark, x, y, scale, dense);
    this.tell(frame);
  }

  /* Ways of circles over the last states: the k-th of a state is the k-th of the one before. */
  trails(context, x, y, dense) {
    const circles = (at) => this.film.frames[at][4].map((number) => this.film.marks[number]).filter((mark) => mark[0] === CIRCLE);
    const now = circles(this.at);
    context.lineCap = "round";
    for (let at = this.at, newer = now; at > Math.max(0, this.at - TRAIL); at--) {
      const older = circles(at - 1);
      if (older.length !== now.length || now.length > 200) return;
      for (let k = 0; k < now.length; k++) {
        const [, x0, y0] = older[k], [, x1, y1, , fill] = newer[k];
        if ((x0 === x1 && y0 === y1) || Math.hypot(x1 - x0, y1 - y0) > 12 * newer[k][3]) continue;
        context.globalAlpha = 0.55 * (1 - (this.at - at) / TRAIL);
        context.strokeStyle = cssColour(fill | 255);
        context.lineWidth = 1.5 * dense;
        context.beginPath();
        context.moveTo(x(x0), y(y0));
        context.lineTo(x(x1), y(y1));
        context.stroke();
      }
      newer = older;
    }
    context.globalAlpha = 1;
  }

  /* An image, and the patch on it, in pixels of their own. One that has not been unpacked yet is painted when it is. */
  images(context, marks, view, x, y) {
    for (const mark of marks) {
      if (mark.image) continue;
      mark.image = new Image();
      mark.image.src = `data:image/png;base64,${mark[mark.length - 1]}`;
    }
    const late = marks.find((mark) => !mark.image.complete);
    if (late) {
      late.image.onload = () => this.paint();
      return;
    }
    const [{ image }, patch] = marks, pixels = (this.pixels ||= document.createElement("canvas"));
    pixels.width = image.width;
    pixels.height = image.height;
    const own = pixels.getContext("2d");
    own.drawImage(image, 0, 0);
    if (patch) own.drawImage(patch.image, patch[1], patch[2]);
    const left = Math.min(x(view[0]), x(view[2])), top = Math.min(y(view[1]), y(view[3]));
    context.imageSmoothingQuality = "high";
    context.drawImage(pixels, left, top, Math.abs(x(view[2]) - x(view[0])), Math.abs(y(view[3]) - y(view[1])));
  }

  mark(context, mark, x, y, scale, dense) {
    const [shape] = mark;
    let fill = 0, stroke = 0, width = dense;
    context.beginPath();
    if (shape === CIRCLE) {
      [, , , , fill, stroke] = mark;
      context.arc(x(mark[1]), y(mark[2]), Math.max(0, mark[3] * scale), 0, 2 * Math.PI);
    } else if (shape === LINE) {
      [, , , , , width, , stroke] = mark;
      width = Math.max(dense, width * scale);
      context.lineCap = "round";
      context.moveTo(x(mark[1]), y(mark[2]));
      context.lineTo(x(mark[3]), y(mark[4]));
    } else if (shape === POLYGON) {
      [, fill, stroke] = mark;
      for (let i = 3; i + 1 < mark.length; i += 2) context[i === 3 ? "moveTo" : "lineTo"](x(mark[i]), y(mark[i + 1]));
      context.closePath();
    } else if (shape === RECTANGLE) {
      [, , , , , fill, stroke] = mark;
      context.rect(Math.min(x(mark[1]), x(mark[3])), Math.min(y(mark[2]), y(mark[4])), Math.abs(mark[3] - mark[1]) * scale, Math.abs(mark[4] - mark[2]) * scale);
    } else if (shape === TEXT) {
      context.font = `${Math.max(1, mark[3] * scale)}px system-ui, sans-serif`;
      context.fillStyle = cssColour(mark[4]);
      context.fillText(mark[6], x(mark[1]), y(mark[2]));
      return;
    }
    if (fill & 255) {
      context.fillStyle = cssColour(fill);
      context.fill();
    }
    if (stroke & 255) {
      context.strokeStyle = cssColour(stroke);
      context.lineWidth = width;
      context.stroke();
    }
  }

  tell(frame) {
    const [step, reward, sum, , , groups] = frame;
    const parts = [["step", String(step)], ["reward", this.at ? trim(number(reward, 3)) : "–"], ["return", trim(number(sum))]];
    this.film.groups.forEach((name, g) => parts.push([name, trim(number(groups[g], 3))]));
    this.caption.replaceChildren(...parts.map(([name, text]) => h("span", {}, h("i", {}, name), " ", text)));
    const place = (300 * this.at) / Math.max(1, this.last), now = this.curve.querySelector(".now");
    now.setAttribute("x1", place);
    now.setAttribute("x2", place);
  }
}
