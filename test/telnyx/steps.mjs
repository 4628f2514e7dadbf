// What the scripts share. TOLLGATE_URL is the base URL with /v2, TOLLGATE_KEY a key
// with every scope, and TOLLGATE_CALLS places the calls that are asked for.
import assert from "node:assert/strict";
import http from "node:http";

export const baseURL = process.env.TOLLGATE_URL;
export const apiKey = process.env.TOLLGATE_KEY;
assert.ok(baseURL && apiKey, "TOLLGATE_URL and TOLLGATE_KEY are needed");

// step prints a line when what it runs holds. The first one that does not ends the
// program with an error.
export async function step(name, run) {
  await run();
  console.log("ok " + name);
}

// all reads every page of a list.
export async function all(list) {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
}

// call places a call and returns what became visible of it.
export async function call(wanted) {
  const answer = await fetch(process.env.TOLLGATE_CALLS, { method: "POST", body: JSON.stringify(wanted) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

// heardCode waits for the code that was said to the carrier in a call.
export async function heardCode() {
  return eventually("a code", async () => (await fetch(process.env.TOLLGATE_CALLS + "/code")).text());
}

// request is a request of our own, for what no package has.
export async function request(method, path, body) {
  const headers = { authorization: "Bearer " + apiKey, "content-type": "application/json" };
  const answer = await fetch(new URL(path, baseURL), { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text && JSON.parse(text) };
}

// eventually waits for something that another process brings about.
export async function eventually(what, find) {
  for (const end = Date.now() + 30_000; Date.now() < end; await new Promise((next) => setTimeout(next, 50))) {
    const found = await find();
    if (found) return found;
  }
  throw new Error(`${what}: not within 30 s`);
}

// listener receives webhooks. received(n) waits for n of them and returns them.
export async function listener() {
  const events = [];
  let wake = () => {};
  const server = http.createServer((incoming, answer) => {
    let body = "";
    incoming.on("data", (part) => (body += part));
    incoming.on("end", () => {
      events.push({ headers: incoming.headers, body });
      answer.end();
      wake();
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    received: async (n) => {
      while (events.length < n) await new Promise((next) => (wake = next));
      return events;
    },
    close: () => server.close(),
  };
}

// publicKey is that of webhooks, in base64.
export async function publicKey() {
  return (await request("GET", "/tollgate/v1/webhook_public_key")).body.data.public_key;
}
