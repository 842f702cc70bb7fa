// The line of news over the wall, and the form of those who may say some.

import { ask, note, trying } from "./house.js";

const line = document.getElementById("news");
const form = document.getElementById("say");

/** Show a line for as long as it holds. */
export function drawNews(news, now) {
  const holds = news.text && !(news.until && Date.parse(news.until) <= now);
  line.hidden = !holds;
  if (!holds) return;
  const said = new Date(news.said_at).toLocaleString([], { hour12: false, dateStyle: "short", timeStyle: "short" });
  put(".text", news.text);
  put(".by", `${news.person}, ${said}`);
}

function put(which, words) {
  const node = line.querySelector(which);
  if (node.textContent !== words) node.textContent = words;
}

/**
 * Ready the form, where this person has one.
 *
 * @param {function} current gives the line that holds
 * @param {function} now gives the server's time, in ms
 * @param {function} said is told of a new line
 */
export function readyNews(current, now, said) {
  if (!form) return;
  const byId = (id) => document.getElementById(id);
  byId("news-edit").addEventListener("click", () => {
    form.hidden = !form.hidden;
    if (form.hidden) return;
    form.elements.text.value = current().text;
    form.elements.text.focus();
  });
  byId("unsay").addEventListener("click", () => {
    form.hidden = true;
  });
  byId("clear").addEventListener("click", async () => {
    if ((await trying(() => ask("DELETE", "/api/v1/news"))) === undefined) return;
    form.hidden = true;
    said({ text: "" });
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const hours = Number(form.elements.hours.value);
    const until = hours ? new Date(now() + hours * 3600e3).toISOString() : null;
    const told = await trying(() => ask("PUT", "/api/v1/news", { text: form.elements.text.value, until }));
    if (told === undefined) return;
    form.hidden = true;
    note("Everybody sees it now.");
    said(told);
  });
}
