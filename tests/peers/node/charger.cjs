// A charger by npm `ocpp-rpc`. Takes one JSON object a line on standard input, answers one a line; every frame in either
// direction is passed on as {frame, outbound}. Driven by lib/node_charger.py, which validates the frames.
"use strict";

const readline = require("node:readline");
const { setTimeout: sleep } = require("node:timers/promises");
const { RPCClient } = require("ocpp-rpc");

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

// What the charger answers to each command.
const ANSWERS = require("../lib/answers.json");

let client;
// Answers to frames that were sent past the library, by message id.
const answers = new Map();

function make({ endpoint, identity, password }) {
  client = new RPCClient({
    endpoint,
    identity,
    password,
    protocols: ["ocpp1.6"],
    strictMode: true,
    reconnect: false,
    callTimeoutMs: 15000,
  });
  client.on("message", ({ message, outbound }) => {
    const frame = message.toString();
    say({ frame, outbound: Boolean(outbound) });
    if (outbound) return;
    const [kind, id, ...rest] = JSON.parse(frame);
    if (kind !== 2 && answers.has(id)) {
      answers.get(id)(kind === 3 ? { ok: rest[0] } : { error: rest.join(" ") });
      answers.delete(id);
    }
  });
  for (const [action, answer] of Object.entries(ANSWERS)) {
    client.handle(action, ({ params }) => {
      // The scenario goes on once the answer is out, as a charger would.
      setTimeout(() => say({ asked: action, payload: params }), 20);
      return answer;
    });
  }
}

const answerTo = (id) => new Promise((resolve) => answers.set(id, resolve));
const sendRaw = ({ id, action, payload }) => client.sendRaw(JSON.stringify([2, id, action, payload]));
const cut = () => client.close({ force: true }).catch(() => {});

const DO = {
  async connect(what) {
    make(what);
    await client.connect();
    return client.protocol ?? null;
  },
  call: ({ action, payload }) => client.call(action, payload),
  async raw(what) {
    const answer = answerTo(what.id);
    sendRaw(what);
    const { ok, error } = await answer;
    if (error !== undefined) throw new Error(error);
    return ok;
  },
  async lose(what) {
    const answer = answerTo(what.id);
    sendRaw(what);
    await answer;
    await cut();
    return null;
  },
  async sendAndCut(what) {
    sendRaw(what);
    await sleep(5);
    await cut();
    return null;
  },
  async cut() {
    await cut();
    return null;
  },
  async close() {
    await client.close();
    return null;
  },
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { n, do: name, ...what } = JSON.parse(line);
  try {
    say({ n, ok: (await DO[name](what)) ?? null });
  } catch (error) {
    say({ n, error: [error?.code, error?.message ?? error].filter(Boolean).join(" ") });
  }
});
