// The charts of compliance, in the page's own colours by day and by night. The tables beside them say the same.

const { times, capped, all, lines, tags } = JSON.parse(document.getElementById("compliance").textContent);
const { Chart } = window;
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 6]];
const COLOURS = ["--ochre", "--terracotta", "--focus", "--coast", "--ink-soft", "--stone-deep"];
const language = document.documentElement.lang;

// A key has up to 128 characters; a phone has room for fewer.
const phone = matchMedia("(max-width: 40rem)");
const short = (key, most = phone.matches ? 15 : 32) => (key.length > most ? `${key.slice(0, most - 1)}…` : key);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const day = (value) => new Date(value).toLocaleDateString(language, { day: "numeric", month: "short" });
const moment = (value) => new Date(value).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });

function overTime() {
  const at = times.map((time) => Date.parse(time));
  const points = (values) => values.map((y, n) => ({ x: at[n], y }));
  const line = (label, values, stroke, width, dash) => ({
    label,
    data: points(values),
    borderColor: stroke,
    backgroundColor: stroke,
    borderWidth: width,
    borderDash: dash,
    pointRadius: capped.map((is) => (is ? 5 : at.length > 60 ? 0 : 2.5)),
    pointStyle: capped.map((is) => (is ? "triangle" : "circle")),
    pointHitRadius: 12,
    tension: 0.15,
    spanGaps: true,
  });
  return new Chart(document.getElementById("chart-time"), {
    type: "line",
    data: {
      datasets: [
        line("All tags", all, colour("--verdigris"), 3, []),
        ...lines.map(({ key, percent }, n) => line(short(key), percent, colour(COLOURS[n % COLOURS.length]), 1.5, DASHES[n % DASHES.length])),
      ],
    },
    options: {
      ...shared(),
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: { type: "linear", ...span(at), ...axis(), ticks: { callback: (value) => day(value), maxTicksLimit: 8, color: colour("--ink-soft") } },
        y: { min: 0, max: 100, ...axis(), title: title("share of instances × tags"), ticks: { callback: (value) => `${value} %`, color: colour("--ink-soft") } },
      },
      plugins: {
        legend: { labels: { color: colour("--ink"), usePointStyle: true, pointStyle: "line" } },
        tooltip: { callbacks: { title: ([one]) => moment(one.parsed.x) + (capped[one.dataIndex] ? " (stopped by the cap)" : ""), label: (one) => `${one.dataset.label}: ${one.parsed.y} %` } },
      },
    },
  });
}

function byTag() {
  const bar = (label, name, of) => ({ label, data: tags.map(of), backgroundColor: colour(name), maxBarThickness: 26 });
  document.getElementById("by-tag-chart").style.height = `${Math.min(60, 6 + tags.length * 2.4)}rem`;
  return new Chart(document.getElementById("chart-tags"), {
    type: "bar",
    data: {
      labels: tags.map(({ key }) => short(key)),
      datasets: [
        bar("There", "--verdigris", ({ present }) => present),
        bar("Missing", "--terracotta", ({ missing }) => missing),
      ],
    },
    options: {
      ...shared(),
      indexAxis: "y",
      scales: {
        x: { stacked: true, ...axis(), title: title("instances"), ticks: { precision: 0, color: colour("--ink-soft") } },
        y: { stacked: true, ...axis(), grid: { display: false }, ticks: { color: colour("--ink") } },
      },
      plugins: {
        legend: { labels: { color: colour("--ink") } },
        tooltip: { callbacks: { title: ([one]) => tags[one.dataIndex].key } },
      },
    },
  });
}

// A single run is in the middle of its day.
const DAY = 86_400_000;
const span = (at) => (at.length === 1 ? { min: at[0] - DAY, max: at[0] + DAY } : {});
const title = (text) => ({ display: true, text, color: colour("--ink-soft") });
const axis = () => ({ grid: { color: colour("--stone") }, border: { color: colour("--stone-deep") } });
const shared = () => ({
  responsive: true,
  maintainAspectRatio: false,
  animation: false,
  font: { family: colour("--sans") },
});

let charts = [];
function draw() {
  for (const one of charts) one.destroy();
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  charts = [overTime(), byTag()];
}
for (const one of [phone, matchMedia("(prefers-color-scheme: dark)")]) one.addEventListener("change", draw);
draw();
