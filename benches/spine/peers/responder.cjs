// A central system on npm `ocpp-rpc`: accepts every charger and answers boots and heartbeats from memory.
"use strict";

const { RPCServer } = require("ocpp-rpc");

const [host, port] = process.argv[2].split(":");
const server = new RPCServer({ protocols: ["ocpp1.6"] });
server.auth((accept) => accept());
server.on("client", (client) => {
  const now = () => new Date().toISOString();
  client.handle("BootNotification", () => ({ status: "Accepted", interval: 300, currentTime: now() }));
  client.handle("Heartbeat", () => ({ currentTime: now() }));
});
server.listen(Number(port), host);
