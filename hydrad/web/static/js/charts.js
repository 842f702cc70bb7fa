// Charts over time, drawn by BokehJS: it comes with the package and needs neither network nor eval.

import { AT } from "./house.js";

const SCRIPTS = ["bokeh.min.js", "bokeh-api.min.js"].map((name) => `${AT}/bokeh/${name}`);
let asked;

/** Load BokehJS once; resolves to it. */
export function bokeh() {
  asked ??= SCRIPTS.reduce((before, address) => before.then(() => script(address)), Promise.resolve()).then(() => {
    globalThis.Bokeh.set_log_level("error");
    return globalThis.Bokeh;
  });
  return asked;
}

function script(address) {
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    element.src = address;
    element.addEventListener("load", () => done());
    element.addEventListener("error", () => failed(new TypeError(`cannot load ${address}`)));
    document.head.append(element);
  });
}

/** A colour of house.css as it is at present, dark or light. */
export function tint(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Colour-blind people tell labels apart by these; the first is a circle.
export const MARKERS = ["circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "star", "plus"];

/**
 * A chart over time inside an element: zoom by Ctrl and wheel, pan by dragging, the same time on all of a group.
 *
 * It is drawn anew when the theme changes. Draw into it by `layers`: functions of (figure, Bokeh) that add glyphs.
 *
 * @param {HTMLElement} where it is drawn; it becomes an image with `says` as its text.
 * @param {object} options height (px), says (text alternative), x: {start, end} in ms, y: {start, end, label},
 *   layers, group: an object shared by charts that keep the same time
 */
export class Chart {
  constructor(where, { height = 280, says, x, y, layers, group = {} }) {
    this.where = where;
    this.options = { height, y, layers, group };
    group.start ??= x.start;
    group.end ??= x.end;
    (group.charts ??= []).push(this);
    where.setAttribute("role", "img");
    this.say(says);
    this.drawn = this.draw();
    document.addEventListener("theme", () => (this.drawn = this.draw()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.drawn = this.draw()));
  }

  say(words) {
    this.where.setAttribute("aria-label", words);
  }

  /** Show another time. */
  span(start, end) {
    const { group } = this.options;
    Object.assign(group, { start, end });
    for (const { figure } of group.charts) figure?.x_range.setv({ start, end });
  }

  async draw() {
    const Bokeh = await bokeh();
    const { height, y, layers, group } = this.options;
    const range = new Bokeh.Range1d({ start: group.start, end: group.end });
    range.change.connect(() => {
      if (range.start !== group.start || range.end !== group.end) this.span(range.start, range.end);
    });
    const figure = Bokeh.Plotting.figure({
      height,
      sizing_mode: "stretch_width",
      x_axis_type: "datetime",
      x_range: range,
      y_range: new Bokeh.Range1d({ start: y.start, end: y.end }),
      tools: [],
      toolbar_location: null,
      background_fill_color: tint("sheet"),
      border_fill_color: tint("sheet"),
      outline_line_color: tint("line"),
      min_border_left: 58,
      min_border_right: 8,
    });
    const pan = new Bokeh.PanTool({ dimensions: "width" });
    const wheel = new Bokeh.WheelZoomTool({ dimensions: "width", modifiers: { ctrl: true } });
    figure.add_tools(pan, wheel);
    figure.toolbar.active_drag = pan;
    figure.toolbar.active_scroll = wheel;
    for (const axis of [figure.xaxis, figure.yaxis].flatMap((its) => [...its])) {
      axis.axis_label_text_color = tint("quiet");
      axis.axis_label_text_font_style = "normal";
      axis.major_label_text_color = tint("quiet");
      axis.axis_line_color = tint("line");
      axis.major_tick_line_color = tint("line");
      axis.minor_tick_line_color = null;
    }
    for (const grid of [figure.xgrid, figure.ygrid].flatMap((its) => [...its])) {
      grid.grid_line_color = tint("line");
      grid.grid_line_alpha = 0.6;
    }
    for (const axis of figure.yaxis) axis.axis_label = y.label;
    for (const layer of layers) layer(figure, Bokeh);
    const view = await Bokeh.Plotting.show(figure, this.shelter());
    this.figure = figure;
    this.view?.remove?.();
    this.view = view;
    return figure;
  }

  /** An empty place to draw in; what was drawn before goes. */
  shelter() {
    const place = document.createElement("div");
    place.className = "chart-place";
    this.where.replaceChildren(place);
    return place;
  }
}

/** Coordinates in the picture of a chart, of a time and a value: for tests and for whoever clicks by program. */
export function pixel(chart, time, value) {
  const frame = chart.view.frame ?? chart.view;
  return { x: frame.x_scale.compute(time), y: frame.y_scale.compute(value) };
}
