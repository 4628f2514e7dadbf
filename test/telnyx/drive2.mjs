// Drives a Tollgate with major version 2 of the package that Telnyx publishes: another
// client than its later ones, written by hand.
import assert from "node:assert/strict";
import Telnyx from "telnyx-2";
import { all, apiKey, baseURL, call, listener, publicKey, step } from "./steps.mjs";

// connect makes a client. What it makes or reads replaces the client's own update and
// del of that kind, so whoever wants those of the resource takes a client of his own.
function connect(key = apiKey) {
  const url = new URL(baseURL);
  const client = new Telnyx(key);
  client.setHost(url.hostname, url.port, url.protocol.slice(0, -1));
  return client;
}
const telnyx = connect();

// fails wants the type and status of an answer, and the code of its first error.
async function fails(promise, type, status, code) {
  const error = await promise.then(() => null, (e) => e);
  assert.equal(error?.type, type);
  assert.equal(error.statusCode, status);
  assert.equal(error.raw.errors[0].code, code);
}

let group;
await step("billing group: create, retrieve, update, list", async () => {
  group = (await telnyx.billingGroups.create({ name: "first" })).data;
  assert.equal((await telnyx.billingGroups.retrieve(group.id)).data.name, "first");
  assert.equal((await telnyx.billingGroups.update(group.id, { name: "second" })).data.name, "second");
  assert.deepEqual((await telnyx.billingGroups.list()).data.map((g) => g.id), [group.id]);
});

let profile;
await step("profile: create, retrieve, and update by the object that came", async () => {
  const created = await telnyx.outboundVoiceProfiles.create({
    name: "office", billing_group_id: group.id, concurrent_call_limit: 10, daily_spend_limit: "100.00", daily_spend_limit_enabled: true,
    max_destination_rate: 10, service_plan: "global", tags: ["office-profile"], traffic_type: "conversational",
    usage_payment_method: "rate-deck", whitelisted_destinations: ["US", "BR"],
  });
  assert.equal(created.lastResponse.statusCode, 200);
  assert.ok(created.lastResponse.requestId);
  profile = { id: created.data.id };
  const changed = await created.data.update({ name: "shop" });
  assert.equal(changed.data.name, "shop");
  assert.equal((await telnyx.outboundVoiceProfiles.retrieve(profile.id)).data.daily_spend_limit, "100.00");
  assert.equal((await connect().outboundVoiceProfiles.update(profile.id, { enabled: true })).data.name, "shop");
});

await step("profiles: pages by the package's own walk", async () => {
  for (let i = 0; i < 24; i++) await telnyx.outboundVoiceProfiles.create({ name: `page ${String(i).padStart(2, "0")}` });
  const listed = await all(telnyx.outboundVoiceProfiles.list({ page: { size: 10 }, sort: "name", filter: { name: { contains: "PAGE" } } }));
  assert.equal(listed.length, 24);
  const names = await telnyx.outboundVoiceProfiles.list({ page: { number: 1, size: 10 } }).autoPagingToArray({ limit: 100 });
  assert.equal(new Set(names.map((p) => p.id)).size, names.length);
  assert.ok(names.length >= 25);
});

const made = {};
await step("connections: one of each kind, with the profile", async () => {
  const outbound = { outbound_voice_profile_id: profile.id, channel_limit: 5 };
  made.ip = (await telnyx.ipConnections.create({ connection_name: "office", outbound, tags: ["tag1"] })).data.id;
  made.user = (await telnyx.credentialConnections.create({ connection_name: "phones", user_name: "myuser123", password: "a-good-password", outbound })).data.id;
  made.fqdn = (await telnyx.fqdnConnections.create({ connection_name: "domain", outbound })).data.id;
  const listed = await telnyx.connections.list({ filter: { outbound_voice_profile_id: profile.id } });
  assert.deepEqual(listed.data.map((c) => c.record_type).sort(), ["credential_connection", "fqdn_connection", "ip_connection"]);
  assert.equal((await telnyx.connections.retrieve(made.user)).data.connection_name, "phones");
  assert.equal((await telnyx.credentialConnections.update(made.user, { tags: ["tag2"] })).data.tags[0], "tag2");
  assert.deepEqual((await telnyx.ipConnections.list({ filter: { connection_name: { contains: "OFFI" } } })).data.map((c) => c.id), [made.ip]);
  assert.deepEqual((await telnyx.fqdnConnections.list()).data.map((c) => c.id), [made.fqdn]);
});

await step("addresses and domain names", async () => {
  const ip = await telnyx.ips.create({ ip_address: "192.0.2.7", connection_id: made.ip });
  const { id } = ip.data;
  assert.equal((await ip.data.update({ ip_address: "192.0.2.8" })).data.ip_address, "192.0.2.8");
  assert.deepEqual((await telnyx.ips.list({ filter: { connection_id: made.ip } })).data.map((i) => i.id), [id]);
  assert.equal((await telnyx.ips.retrieve(id)).data.port, 5060);
  const fqdn = await telnyx.fqdns.create({ fqdn: "sip.example.com", dns_record_type: "a", connection_id: made.fqdn });
  assert.deepEqual((await telnyx.fqdns.list({ filter: { fqdn: "sip.example.com" } })).data.map((f) => f.id), [fqdn.data.id]);
  await fqdn.data.del();
});

await step("errors are of the package's types", async () => {
  await fails(telnyx.outboundVoiceProfiles.retrieve("1293384261075731499"), "TelnyxResourceNotFoundError", 404, "10005");
  await fails(telnyx.outboundVoiceProfiles.create({ name: "ab" }), "TelnyxInvalidParametersError", 422, "10025");
  await fails(connect().outboundVoiceProfiles.del(profile.id), "TelnyxInvalidParametersError", 422, "10021");
  const stranger = connect("KEY0000000000000000000000000000");
  await fails(stranger.outboundVoiceProfiles.list(), "TelnyxAuthenticationError", 401, "10009");
});

await step("detail records: pages by the package's own walk", async () => {
  const records = await all(telnyx.detailRecords.search({ filter: { record_type: "sip-trunking", date_range: "last_7_days" }, page: { size: 1 } }));
  assert.equal(records.length, 2);
  assert.equal(records[0].record_type, "sip-trunking");
});

await step("call events", async () => {
  const events = (await telnyx.callEvents.list({ page: { size: 20 } })).data;
  assert.deepEqual(events.map((e) => e.name), ["call.initiated", "call.hangup", "call.initiated", "call.hangup"]);
});

await step("balance", async () => {
  assert.equal((await telnyx.balance.retrieve()).data.balance, "0.00");
});

await step("recordings", async () => {
  assert.deepEqual((await telnyx.callRecordings.list({ filter: { connection_id: made.ip } })).data, []);
  await fails(telnyx.callRecordings.retrieve("3fa85f64-5717-4562-b3fc-2c963f66afa6"), "TelnyxResourceNotFoundError", 404, "10005");
});

await step("audit events", async () => {
  const events = (await telnyx.auditEvents.list({ page: { size: 10 } })).data;
  assert.equal(events.length, 10);
});

await step("webhooks of a call pass the package's check of their signature", async () => {
  const hooks = await listener();
  const user = (await telnyx.credentialConnections.create({
    connection_name: "hooks", user_name: "hooks12345", password: "a-good-password", webhook_event_url: hooks.url,
    outbound: { outbound_voice_profile_id: profile.id },
  })).data.id;
  const placed = await call({ address: "127.0.0.2", user: "hooks12345", password: "a-good-password", from: "+13125550100", to: "+13125550123" });
  assert.equal(placed.status, 200);
  const [received] = await hooks.received(1);
  const key = Buffer.from(await publicKey(), "base64");
  const signature = Buffer.from(received.headers["telnyx-signature-ed25519"], "base64");
  const event = telnyx.webhooks.constructEvent(received.body, signature, received.headers["telnyx-timestamp"], key);
  assert.equal(event.data.record_type, "event");
  hooks.close();
  await telnyx.credentialConnections.del(user);
});

await step("delete everything that was made", async () => {
  await (await telnyx.ipConnections.retrieve(made.ip)).data.del();
  await telnyx.credentialConnections.del(made.user);
  await (await telnyx.fqdnConnections.retrieve(made.fqdn)).data.del();
  assert.equal((await connect().outboundVoiceProfiles.del(profile.id)).data.id, profile.id);
  assert.ok((await telnyx.billingGroups.del(group.id)).data.deleted_at);
});
