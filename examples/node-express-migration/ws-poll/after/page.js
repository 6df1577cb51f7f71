import { post } from "/post.js";

const connection = document.querySelector("#connection");
const problem = document.querySelector("#problem");
const { key, options } = await (await fetch("/realtime.json")).json();
const pusher = new Pusher(key, options);

pusher.connection.bind("state_change", ({ current }) => {
  connection.textContent = current === "connected" ? "Connected" : "Offline, reconnecting…";
  if (current === "connected") problem.textContent = "";
});

// A cache channel: a new subscriber gets the last votes at once, or a cache miss.
const poll = pusher.subscribe("cache-poll");
poll.bind("votes", show);
poll.bind("pusher:cache_miss", async () => show(await (await fetch("/votes")).json()));

function show(votes) {
  for (const [choice, count] of Object.entries(votes)) document.querySelector(`#${choice}`).textContent = count;
}

for (const button of document.querySelectorAll("button")) {
  button.onclick = async () => {
    problem.textContent = "";
    await post("/votes", button.value).catch((fault) => (problem.textContent = fault.message));
  };
}
