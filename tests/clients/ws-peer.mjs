// The npm package ws as a peer: prints, as JSON, what it saw of the server at the URL that it is given.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

const [url, key, secret] = process.argv.slice(2);
const channel = "private-echo";

const event = (content) => JSON.stringify({ event: "client-echo", channel, data: content });

async function connect(path = `/app/${key}?protocol=7`) {
  const peer = new WebSocket(url + path);
  const heard = [];
  const waiting = [];
  peer.on("message", (data, isBinary) => {
    const text = isBinary ? data : data.toString();
    waiting.length ? waiting.shift()(text) : heard.push(text);
  });
  peer.hear = () => (heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)));
  peer.closed = once(peer, "close").then(([code, reason]) => ({ code, reason: reason.toString() }));
  await once(peer, "open");
  return peer;
}

async function subscribe() {
  const peer = await connect();
  const { socket_id: id } = JSON.parse(JSON.parse(await peer.hear()).data);
  const auth = `${key}:${createHmac("sha256", secret).update(`${id}:${channel}`).digest("hex")}`;
  peer.send(JSON.stringify({ event: "pusher:subscribe", data: { channel, auth } }));
  await peer.hear();
  return peer;
}

async function messages() {
  const [sender, receiver] = [await subscribe(), await subscribe()];
  const arrived = {};
  for (const size of [0, 100, 1000, 40000]) {
    const text = event("é".repeat(size));
    sender.send(text);
    arrived[size] = (await receiver.hear()) === text;
  }
  const text = event("in fragments");
  for (const letter of text) sender.send(letter, { fin: false });
  sender.ping("between");
  sender.send("", { fin: true });
  const [pong] = await once(sender, "pong");
  const fragmented = (await receiver.hear()) === text;
  sender.close(4321, "Bye");
  receiver.close();
  return {
    arrived,
    fragmented,
    pong: pong.toString(),
    extensions: sender.extensions,
    closed: [await sender.closed, await receiver.closed],
  };
}

async function closedAfter(act, path) {
  const peer = await connect(path);
  act(peer);
  return peer.closed;
}

const result = {
  messages: await messages(),
  binary: await closedAfter((peer) => peer.send(Buffer.from([1, 2, 3]))),
  tooBig: await closedAfter((peer) => peer.send("x".repeat(4 << 20))),
  tooBigInFragments: await closedAfter((peer) => {
    for (let i = 0; i < 9; i += 1) peer.send("x".repeat(32 << 10), { fin: i === 8 });
  }),
  noSuchApp: await closedAfter(() => {}, "/app/nobody?protocol=7"),
  tooManyMistakes: await closedAfter((peer) => {
    for (let i = 0; i < 1000; i += 1) peer.send("{");
  }),
};
console.log(JSON.stringify(result));
