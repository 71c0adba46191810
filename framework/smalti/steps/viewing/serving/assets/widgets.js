// Small parts of the side.

export function element(tag, attributes = {}, ...children) {
  const item = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) item.addEventListener(name.slice(2), value);
    else if (value === true) item.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) item.setAttribute(name, value);
  }
  item.append(...children);
  return item;
}

export function fold(title, name, open, ...children) {
  return element("details", { id: "fold-" + name, open }, element("summary", {}, title), element("div", {}, ...children));
}

export function row(label, ...children) {
  return element("div", { class: "row" }, element("span", {}, label), ...children);
}

export function choice(label, names, onchange) {
  return element("select", { "aria-label": label, onchange: (event) => onchange(event.target.value) },
    ...names.map((name) => element("option", { value: name }, name)));
}

export function chart(label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "chart");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
}

// The mark of a layer, as it is on the picture.
export function symbol(name, [r, g, b]) {
  const paths = {
    spots: "M4 3h12v12h-12z", indexed: "M16 9a6 6 0 1 1-12 0a6 6 0 1 1 12 0", outliers: "M4 3L16 15M4 15L16 3",
    predicted: "M10 2V16M3 9H17", arrows: "M3 15L16 3M16 3L10 5M16 3L14 9", panels: "M2 3h7v5h-7zM11 3h7v5h-7zM2 10h7v5h-7zM11 10h7v5h-7z",
    names: "M3 15L8 3H9L14 15M5 11H12", threshold: "M4 4h4v4h-4zM8 8h4v4h-4zM12 8h4v4h-4z",
  };
  const ring = "M1 15A14 14 0 0 1 19 15M5 17A9 9 0 0 1 15 17";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 18");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", paths[name] ?? ring);
  path.setAttribute("fill", name === "threshold" ? `rgb(${r} ${g} ${b})` : "none");
  path.setAttribute("stroke", `rgb(${r} ${g} ${b})`);
  path.setAttribute("stroke-width", "2");
  svg.append(path);
  return svg;
}
