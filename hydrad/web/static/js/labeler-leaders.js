// Who labelled how many, with thanks.

import { ask } from "./house.js";

const COUNT_ON_MS = 500; // until the server has counted on through the past

/** Write the counts into the panel; a plot's own above those of all. */
export async function thank(root, person, plot) {
  const words = plot === undefined ? "" : `?plot=${encodeURIComponent(plot)}`;
  let leaders;
  try {
    leaders = await ask("GET", `/api/v1/labeler/leaders${words}`);
  } catch {
    return null; // the counts stay as they were; that the server is away is said elsewhere
  }
  const parts = [line(leaders.all, person)];
  if (leaders.plot.length) parts.push(table("This plot", leaders.plot, person));
  if (leaders.all.length) parts.push(table("All plots", leaders.all, person));
  root.replaceChildren(...parts);
  if (!leaders.whole) setTimeout(() => thank(root, person, plot), COUNT_ON_MS);
  return leaders;
}

function line(leaders, person) {
  const p = document.createElement("p");
  p.className = "thanks";
  const mine = leaders.find((one) => one.person === person);
  const week = leaders.reduce((sum, one) => sum + one.week, 0);
  if (mine?.today) p.textContent = `${number(mine.today)} by you today. Thank you!`;
  else if (week) p.textContent = `${number(week)} labels in seven days. Thanks to everybody!`;
  else p.textContent = "No labels in seven days. Yours would be the first.";
  return p;
}

function table(title, leaders, person) {
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.textContent = title;
  const head = table.createTHead().insertRow();
  for (const words of ["", "today", "7 days", "ever"]) {
    const cell = document.createElement(words ? "th" : "td");
    if (words) cell.scope = "col";
    cell.className = words ? "number" : "";
    cell.textContent = words;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const one of leaders.slice(0, 8)) {
    const row = body.insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = one.person === person ? `${one.person} (you)` : one.person;
    row.append(name);
    for (const count of [one.today, one.week, one.ever]) {
      const cell = row.insertCell();
      cell.className = "number";
      cell.textContent = count ? number(count) : "–";
    }
  }
  return table;
}

function number(count) {
  return count.toLocaleString("en");
}
