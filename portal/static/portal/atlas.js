// The base map: the world's land, borders and graticule, drawn on canvas tiles from Natural Earth's files. No network
// beyond the portal itself, and the colours are the page's own, by day and by night.

const SCALES = [
  { name: "land110", from: 0 },
  { name: "land50", from: 5 },
  { name: "land10", from: 7 },
];
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30];
const EDGE = 85.0511287798; // where Web Mercator ends

// Web Mercator with the world between 0 and 1 on both axes.
const toX = (degrees) => degrees / 360 + 0.5;
function toY(degrees) {
  const sine = Math.sin((Math.max(-EDGE, Math.min(EDGE, degrees)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

// One line of the file as shapes to draw. A line that crosses the date line goes on beyond the edge of the world and is
// drawn on its other side too; the ring around the South Pole is closed below it.
function shapes(coordinates, { closed }) {
  const points = [];
  let turn = 0;
  for (const [i, [longitude, latitude]] of coordinates.entries()) {
    if (i && Math.abs(longitude - coordinates[i - 1][0]) > 180) turn += longitude < 0 ? 1 : -1;
    points.push([toX(longitude) + turn, toY(latitude)]);
  }
  if (closed && turn) points.push([points.at(-1)[0], 1], [points[0][0], 1]);
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  const [left, right] = xs.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
  const [top, bottom] = ys.reduce(([low, high], y) => [Math.min(low, y), Math.max(high, y)], [Infinity, -Infinity]);
  return [0, left < 0 && 1, right > 1 && -1]
    .filter((shift) => shift !== false)
    .map((shift) => ({ xs: Float64Array.from(xs, (x) => x + shift), ys: Float64Array.from(ys), left: left + shift, right: right + shift, top, bottom }));
}

const meets = (shape, box) => shape.right >= box.left && shape.left <= box.right && shape.bottom >= box.top && shape.top <= box.bottom;

// Sutherland and Hodgman: cut a ring by the four sides of a box, one after the other.
function clip({ xs, ys }, box) {
  let points = Array.from(xs, (x, i) => [x, ys[i]]);
  for (const [axis, limit, sign] of [[0, box.left, 1], [0, box.right, -1], [1, box.top, 1], [1, box.bottom, -1]]) {
    const kept = [];
    let last = points[points.length - 1];
    for (const point of points) {
      const inside = (point[axis] - limit) * sign >= 0;
      if (inside !== (last[axis] - limit) * sign >= 0) {
        const part = (limit - last[axis]) / (point[axis] - last[axis]);
        kept.push([last[0] + (point[0] - last[0]) * part, last[1] + (point[1] - last[1]) * part]);
      }
      if (inside) kept.push(point);
      last = point;
    }
    if (!kept.length) return kept;
    points = kept;
  }
  return points;
}

// What closes the ring below the South Pole is no coast.
const isCut = ({ ys }, i) => ys[i] === 1 || ys[i - 1] === 1;

function trace(context, shape, box, place) {
  const { xs, ys } = shape;
  let drawing = false;
  for (let i = 1; i < xs.length; i++) {
    const outside =
      (xs[i] < box.left && xs[i - 1] < box.left) || (xs[i] > box.right && xs[i - 1] > box.right) ||
      (ys[i] < box.top && ys[i - 1] < box.top) || (ys[i] > box.bottom && ys[i - 1] > box.bottom);
    if (outside || isCut(shape, i)) {
      drawing = false;
      continue;
    }
    if (!drawing) context.moveTo(...place(xs[i - 1], ys[i - 1]));
    context.lineTo(...place(xs[i], ys[i]));
    drawing = true;
  }
}

export const Atlas = L.GridLayer.extend({
  options: { attribution: "Natural Earth", updateWhenZooming: false, keepBuffer: 1, className: "atlas" },

  initialize(options) {
    L.setOptions(this, options);
    this.shapes = {};
  },

  onAdd(map) {
    this.onDark = () => this.redraw();
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", this.onDark);
    map.on("zoomend", this.load, this);
    this.load();
    return L.GridLayer.prototype.onAdd.call(this, map);
  },

  onRemove(map) {
    this.dark.removeEventListener("change", this.onDark);
    map.off("zoomend", this.load, this);
    L.GridLayer.prototype.onRemove.call(this, map);
  },

  // The coarse file comes at once and stays until a finer one, which only a near view asks for, has arrived.
  load() {
    for (const { name, from } of SCALES) {
      const wanted = name === "land110" || from === SCALES.findLast((scale) => scale.from <= this._map.getZoom()).from;
      if (!wanted || name in this.shapes) continue;
      this.shapes[name] = null;
      fetch(this.options.land[name])
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(answer.status)))
        .then((world) => {
          const land = topojson.feature(world, world.objects.land);
          const rings = (land.features ?? [land]).flatMap(({ geometry }) =>
            (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates).flat(),
          );
          const { countries } = world.objects;
          const borders = countries ? topojson.mesh(world, countries, (a, b) => a !== b).coordinates : [];
          this.shapes[name] = {
            land: rings.flatMap((ring) => shapes(ring, { closed: true })),
            borders: borders.flatMap((line) => shapes(line, { closed: false })),
          };
          if (this._map) this.redraw();
        })
        // The graticule is still there, and the next zoom tries again.
        .catch(() => delete this.shapes[name]);
    }
  },

  createTile(coords) {
    const tile = L.DomUtil.create("canvas");
    const size = this.getTileSize().x;
    const density = window.devicePixelRatio || 1;
    tile.width = tile.height = size * density;
    const context = tile.getContext("2d");
    context.scale(density, density);
    const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

    const tiles = 2 ** coords.z;
    const pad = 4 / size / tiles;
    const box = { left: coords.x / tiles - pad, right: (coords.x + 1) / tiles + pad, top: coords.y / tiles - pad, bottom: (coords.y + 1) / tiles + pad };
    const place = (x, y) => [(x * tiles - coords.x) * size, (y * tiles - coords.y) * size];

    context.fillStyle = tone("--sea");
    context.fillRect(0, 0, size, size);
    const best = SCALES.findLast(({ name, from }) => from <= coords.z && this.shapes[name]) ?? SCALES[0];
    const { land, borders } = this.shapes[best.name] ?? { land: [], borders: [] };

    const near = land.filter((shape) => meets(shape, box));
    context.beginPath();
    for (const shape of near) {
      clip(shape, box).forEach((point, i) => context[i ? "lineTo" : "moveTo"](...place(...point)));
      context.closePath();
    }
    context.fillStyle = tone("--land");
    context.fill("evenodd");
    this.graticule(context, coords, tone("--grid-line"));

    context.lineJoin = "round";
    context.strokeStyle = tone("--border-line");
    context.lineWidth = 0.8;
    context.beginPath();
    for (const shape of borders.filter((one) => meets(one, box))) trace(context, shape, box, place);
    context.stroke();
    context.strokeStyle = tone("--coast");
    context.lineWidth = coords.z < 4 ? 0.7 : 1.1;
    context.beginPath();
    for (const shape of near) trace(context, shape, box, place);
    context.stroke();
    return tile;
  },

  graticule(context, coords, tone) {
    const size = this.getTileSize().x;
    const tiles = 2 ** coords.z;
    const step = Atlas.step(coords.z);
    context.strokeStyle = tone;
    context.lineWidth = 1;
    context.beginPath();
    for (let n = Math.floor(-180 / step); n * step <= 180; n++) {
      const x = Math.round((toX(n * step) * tiles - coords.x) * size) + 0.5;
      if (x >= 0 && x <= size) context.moveTo(x, 0), context.lineTo(x, size);
      const y = Math.abs(n * step) < EDGE ? Math.round((toY(n * step) * tiles - coords.y) * size) + 0.5 : -1;
      if (y >= 0 && y <= size) context.moveTo(0, y), context.lineTo(size, y);
    }
    context.stroke();
  },
});

/** The degrees between two lines of the graticule at a zoom: never closer than some 100 pixels. */
Atlas.step = (zoom) => STEPS.find((step) => (256 * 2 ** zoom * step) / 360 >= 100) ?? 30;
