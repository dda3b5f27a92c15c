// The map: an offline base map of the world, a graticule, a place to pick, a unicorn to follow, a fleet to see.
// Leaflet (L) and topojson-client (topojson) are classic scripts that partials/map_assets.html loads first.

import { Atlas } from "./atlas.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

const UNICORN = `<svg viewBox="3 0 26 30" aria-hidden="true"><path d="M21.600 1.500 17.300 9l2.600 1.600z"/><path d="M18 9.200c-1.400-.6-2.600-.8-3.600-.8C9.300 8.800 6 13.500 6 20.500c0 3.400.8 6.300 2.100 8.500h11.200c-.4-2.900.2-4.800 1.400-6.500l3.600 1.500c1.500.5 2.900-.4 3.200-1.900l.3-1.600c.1-.6-.1-1.100-.5-1.600L22.500 12.600c-.5-.7-1.200-1.300-2-1.700z"/></svg>`;

/** Make a map in an element that partials/map.html has rendered, and return Leaflet's map. */
export function createMap(element, { center = [30, 0], zoom = 2 } = {}) {
  const map = L.map(element, {
    center,
    zoom,
    minZoom: 1,
    maxZoom: 17,
    worldCopyJump: true,
    maxBounds: [[-86, -Infinity], [86, Infinity]],
    maxBoundsViscosity: 1,
    zoomControl: false,
    zoomAnimation: !calm,
    fadeAnimation: !calm,
    inertia: !calm,
  });
  // Leaflet's keyboard has no setting for this.
  if (calm) map.panBy = (offset, options) => L.Map.prototype.panBy.call(map, offset, { ...options, animate: false });
  map.attributionControl.setPrefix(false);
  new Atlas({ land: element.dataset }).addTo(map);
  if (element.dataset.tiles) {
    L.tileLayer(element.dataset.tiles, { attribution: element.dataset.attribution }).addTo(map);
  }
  L.control.zoom({ position: "bottomright" }).addTo(map);
  L.control.scale({ position: "bottomleft" }).addTo(map);
  frame(map);
  map.on("zoomend", () => nameApart(map));
  // Leaflet takes the focus on a press, and a browser may take that for the keyboard's.
  element.addEventListener("pointerdown", () => element.classList.add("map-pressed"));
  element.addEventListener("keydown", () => element.classList.remove("map-pressed"));
  element.addEventListener("blur", () => document.activeElement !== element && element.classList.remove("map-pressed"));
  return map;
}

// Names that would lie on each other: the first is shown, the others when they are pointed at or have the focus.
function nameApart(map) {
  const taken = [];
  map.eachLayer((layer) => {
    const name = layer.getElement?.()?.querySelector(".unicorn-name");
    if (!name) return;
    const { x, y } = map.latLngToLayerPoint(layer.getLatLng());
    const half = name.offsetWidth / 2;
    const crowded = taken.some((other) => Math.abs(other.y - y) < 20 && Math.abs(other.x - x) < other.half + half);
    name.classList.toggle("crowded", crowded);
    if (!crowded) taken.push({ x, y, half });
  });
}

// Degrees along the upper and the left edge, as on a printed map, so that no view is without a clue to where it is.
function frame(map) {
  const edges = { lng: L.DomUtil.create("div", "map-edge map-edge-x", map.getContainer()), lat: L.DomUtil.create("div", "map-edge map-edge-y", map.getContainer()) };
  for (const edge of Object.values(edges)) edge.setAttribute("aria-hidden", "true");
  const write = () => {
    const step = Atlas.step(map.getZoom());
    const decimals = step < 1 ? Math.ceil(-Math.log10(step) - 1e-9) : 0;
    const bounds = map.getBounds();
    const ranges = { lng: [bounds.getWest(), bounds.getEast(), "E", "W"], lat: [Math.max(-85, bounds.getSouth()), Math.min(85, bounds.getNorth()), "N", "S"] };
    for (const [axis, [low, high, plus, minus]] of Object.entries(ranges)) {
      const labels = [];
      for (let n = Math.ceil(low / step); n * step <= high; n++) {
        let degrees = n * step;
        const point = map.latLngToContainerPoint(axis === "lng" ? [bounds.getNorth(), degrees] : [degrees, bounds.getWest()]);
        // The corner belongs to the parallels, the foot to the scale.
        if (axis === "lng" ? point.x < 84 : point.y > map.getSize().y - 60) continue;
        if (axis === "lng") degrees = ((((degrees + 180) % 360) + 360) % 360) - 180;
        const label = document.createElement("span");
        const size = Math.abs(degrees).toFixed(decimals);
        label.textContent = `${size}°${Number(size) % 180 === 0 ? "" : degrees > 0 ? plus : minus}`;
        label.style.transform = axis === "lng" ? `translateX(${point.x}px) translateX(-50%)` : `translateY(${point.y}px) translateY(-50%)`;
        labels.push(label);
      }
      edges[axis].replaceChildren(...labels);
    }
  };
  map.on("move zoomend resize", write);
  write();
}

// Colours that unicorns have and style sheets lack.
const COATS = { copper: "#b87333", lilac: "#b69ad0", rose: "#e3909f" };

function unicornIcon({ color = "", busy = false, name = "" }) {
  const element = document.createElement("div");
  element.className = `unicorn${busy ? " unicorn-busy" : ""}`;
  element.innerHTML = UNICORN;
  if (name) element.append(Object.assign(document.createElement("span"), { className: "unicorn-name", textContent: name }));
  // A unicorn's colour is any word; those that mean a colour are shown.
  const coat = COATS[color.toLowerCase()] ?? color;
  if (CSS.supports("color", coat)) element.style.setProperty("--coat", coat);
  return L.divIcon({ html: element, className: "unicorn-icon", iconSize: [44, 44], iconAnchor: [22, 22] });
}

function pickupIcon() {
  return L.divIcon({ html: '<svg viewBox="0 0 32 44" aria-hidden="true"><path d="M16 43C13 34 3 27 3 16a13 13 0 0 1 26 0c0 11-10 18-13 27z"/><circle cx="16" cy="16" r="5"/></svg>', className: "pickup-icon", iconSize: [44, 54], iconAnchor: [22, 52] });
}

const rounded = ({ lat, lng }) => ({ latitude: Number(lat.toFixed(5)), longitude: Number(lng.toFixed(5)) });

/**
 * A map on which one place is picked: by a click, by dragging the pin, by arrow keys on the pin, by Enter on the map
 * for the place under its cross. `onPick({latitude, longitude})` is called for each of them, not for `pick` itself.
 */
export function pickMap(element, { latitude, longitude, picked = true, zoom = 11, onPick }) {
  const map = createMap(element, { center: [latitude, longitude], zoom });
  const marker = L.marker([latitude, longitude], { icon: pickupIcon(), draggable: true, autoPan: !calm, alt: "Pickup point", keyboard: true, zIndexOffset: 1000, opacity: picked ? 1 : 0 }).addTo(map);
  marker.getElement().setAttribute("aria-label", "Pickup point. Arrow keys move it.");
  const cross = L.DomUtil.create("div", "map-cross", element);
  cross.setAttribute("aria-hidden", "true");

  const put = (latlng, tell) => {
    const place = latlng.wrap();
    place.lat = Math.max(-85, Math.min(85, place.lat));
    marker.setLatLng(place).setOpacity(1);
    if (tell) onPick?.(rounded(place));
  };
  map.on("click", (event) => put(event.latlng, true));
  marker.on("dragend", () => put(marker.getLatLng(), true));
  element.addEventListener("keydown", (event) => {
    if (event.target === element && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      put(map.getCenter(), true);
    }
    const nudge = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (nudge && event.target === marker.getElement()) {
      event.preventDefault();
      event.stopPropagation();
      const pixels = event.shiftKey ? 50 : 10;
      const point = map.latLngToContainerPoint(marker.getLatLng()).add(L.point(nudge).multiplyBy(pixels));
      put(map.containerPointToLatLng(point), true);
      map.panInside(marker.getLatLng(), { padding: [60, 60], animate: !calm });
    }
  });

  const others = L.layerGroup().addTo(map);
  return {
    map,
    /** Put the pin somewhere and look there. */
    pick(place) {
      put(L.latLng(place.latitude, place.longitude), false);
      map.setView(marker.getLatLng(), Math.max(map.getZoom(), 9), { animate: !calm });
    },
    /** Show who is near: items like fleetMap's. */
    show(items) {
      others.clearLayers();
      for (const item of items) unicornMarker(item, map).addTo(others);
      nameApart(map);
    },
  };
}

// The copy of the world that is in view may be a turn away from where the item says it is.
function unicornMarker(item, map) {
  const turns = map ? Math.round((map.getCenter().lng - item.longitude) / 360) : 0;
  const label = `${item.name}, ${item.color}${item.busy ? ", on a ride" : ""}`;
  const marker = L.marker([item.latitude, item.longitude + 360 * turns], { icon: unicornIcon(item), alt: label, interactive: Boolean(item.url), keyboard: Boolean(item.url), title: item.url ? label : "" });
  if (item.url) {
    marker.on("click", () => location.assign(item.url));
    marker.on("add", () => {
      marker.getElement().setAttribute("role", "link");
      marker.getElement().setAttribute("aria-label", label);
    });
  }
  return marker;
}

/** A map of a fleet: items are {name, color, latitude, longitude, url, busy}; a press on one opens its url. */
export function fleetMap(element, items) {
  const map = createMap(element);
  // Thousands of elements would make the page slow; beyond that, dots on one canvas.
  if (items.length <= 300) {
    for (const item of items) unicornMarker(item).addTo(map);
  } else {
    const renderer = L.canvas();
    const ink = getComputedStyle(element).getPropertyValue("--verdigris").trim();
    for (const item of items) {
      const dot = L.circleMarker([item.latitude, item.longitude], { renderer, radius: 5, weight: 1, color: ink, fillOpacity: item.busy ? 0.1 : 0.7 });
      // Leaflet takes a string for HTML.
      const name = Object.assign(document.createElement("span"), { textContent: item.name });
      dot.bindTooltip(name).on("click", () => item.url && location.assign(item.url)).addTo(map);
    }
  }
  if (items.length) map.fitBounds(L.latLngBounds(items.map((item) => [item.latitude, item.longitude])).pad(0.15), { maxZoom: 12, animate: false });
  nameApart(map);
  return map;
}

/**
 * A map that follows a unicorn from where it started to the pickup point. Places are {latitude, longitude}, times are
 * milliseconds since 1970 by `clock`; it stands still before the first and after the last, or where it was when it was
 * stopped. Returns stop().
 */
export function followMap(element, { unicorn, from, pickup, leavesAt, arrivesAt, stoppedAt = null, clock = Date.now }) {
  const start = L.latLng(from.latitude, from.longitude);
  const turn = ((pickup.longitude - from.longitude + 540) % 360) - 180;
  const end = L.latLng(pickup.latitude, from.longitude + turn);
  const map = createMap(element);
  map.fitBounds(L.latLngBounds(start, end).pad(0.35), { maxZoom: 14, animate: false });
  L.polyline([start, end], { className: "way", interactive: false }).addTo(map);
  L.circleMarker(start, { className: "way-start", radius: 5, interactive: false }).addTo(map);
  L.marker(end, { icon: pickupIcon(), interactive: false, keyboard: false, alt: "Pickup point" }).addTo(map);
  const marker = L.marker(start, { icon: unicornIcon(unicorn), interactive: false, keyboard: false, alt: unicorn.name, zIndexOffset: 1000 }).addTo(map);

  let timer;
  const move = () => {
    const now = stoppedAt ?? clock();
    const fraction = Math.min(1, Math.max(0, (now - leavesAt) / Math.max(1, arrivesAt - leavesAt)));
    marker.setLatLng([start.lat + (end.lat - start.lat) * fraction, start.lng + (end.lng - start.lng) * fraction]);
    // Motion that nobody asked for is jerky on purpose.
    if (fraction < 1 && stoppedAt === null) timer = setTimeout(() => requestAnimationFrame(move), calm ? 5000 : 100);
  };
  move();
  return () => clearTimeout(timer);
}
