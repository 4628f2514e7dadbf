// Drives a Tollgate with the package that Telnyx publishes, in the major version that
// the argument names.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { all, apiKey, baseURL, call, listener, publicKey, step } from "./steps.mjs";

// Version 5 cannot check signatures when it is imported: its own import of tweetnacl
// is wrong. Required as CommonJS it can.
const { default: Telnyx } = createRequire(import.meta.url)(process.argv[2]);
const client = new Telnyx({ apiKey, baseURL, maxRetries: 0 });

// fails wants the error class and status of an answer, and the code and place of its first error.
async function fails(promise, kind, status, code, place) {
  const error = await promise.then(() => null, (e) => e);
  assert.ok(error instanceof kind, `${error} is no ${kind.name}`);
  assert.equal(error.status, status);
  assert.equal(error.error.errors[0].code, code);
  if (place) assert.equal(error.error.errors[0].source.pointer ?? error.error.errors[0].source.parameter, place);
}

let group;
await step("billing group: create, retrieve, update, list", async () => {
  group = (await client.billingGroups.create({ name: "first" })).data;
  assert.match(group.id, /^[0-9a-f-]{36}$/);
  assert.equal((await client.billingGroups.retrieve(group.id)).data.name, "first");
  assert.equal((await client.billingGroups.update(group.id, { name: "second" })).data.name, "second");
  assert.deepEqual((await all(client.billingGroups.list())).map((g) => g.id), [group.id]);
});

let profile;
await step("profile: create with every kind of value", async () => {
  profile = (await client.outboundVoiceProfiles.create({
    name: "office", billing_group_id: group.id, concurrent_call_limit: 10, daily_spend_limit: "100.00", daily_spend_limit_enabled: true,
    enabled: true, max_destination_rate: 10, service_plan: "global", tags: ["office-profile"], traffic_type: "conversational",
    usage_payment_method: "rate-deck", whitelisted_destinations: ["US", "BR", "AU"],
    call_recording: { call_recording_type: "by_caller_phone_number", call_recording_caller_phone_numbers: ["+19705555098"], call_recording_channels: "dual", call_recording_format: "mp3" },
    calling_window: { start_time: "08:00:00.00Z", end_time: "20:00:00.00Z", calls_per_cld: 5 },
  })).data;
  assert.equal(profile.record_type, "outbound_voice_profile");
  assert.match(profile.id, /^[1-9][0-9]{18}$/);
  assert.equal(profile.daily_spend_limit, "100.00");
  assert.equal(profile.max_destination_rate, 10);
  assert.equal(profile.connections_count, 0);
  assert.ok(!Number.isNaN(Date.parse(profile.created_at)));
});

await step("profile: retrieve gives what create gave", async () => {
  assert.deepEqual((await client.outboundVoiceProfiles.retrieve(profile.id)).data, profile);
});

await step("profile: update changes what it names", async () => {
  const changed = (await client.outboundVoiceProfiles.update(profile.id, { name: "shop", concurrent_call_limit: null })).data;
  assert.equal(changed.name, "shop");
  assert.equal(changed.concurrent_call_limit, null);
  assert.deepEqual(changed.whitelisted_destinations, ["US", "BR", "AU"]);
});

await step("profiles: a list of several pages", async () => {
  for (let i = 0; i < 24; i++) await client.outboundVoiceProfiles.create({ name: `page ${String(i).padStart(2, "0")}` });
  const listed = await all(client.outboundVoiceProfiles.list({ "page[size]": 10, sort: "name", filter: { name: { contains: "PAGE" } } }));
  assert.equal(listed.length, 24);
  assert.deepEqual(listed.map((p) => p.name), [...listed].map((p) => p.name).sort());
  const page = await client.outboundVoiceProfiles.list({ "page[size]": 10 });
  assert.equal(page.meta.total_pages, 3 - Number(page.meta.total_results <= 20));
  assert.equal((await page.getNextPage()).data.length, 10);
});

let connections;
await step("connections: one of each kind, with the profile", async () => {
  const outbound = { outbound_voice_profile_id: profile.id, channel_limit: 5 };
  const ip = (await client.ipConnections.create({ connection_name: "office", outbound, active: true, tags: ["tag1"] })).data;
  const user = (await client.credentialConnections.create({ connection_name: "phones", user_name: "myuser123", password: "my123secure456password789", outbound })).data;
  const fqdn = (await client.fqdnConnections.create({ connection_name: "domain", outbound })).data;
  connections = { ip, user, fqdn };
  for (const c of Object.values(connections)) assert.equal(c.outbound.outbound_voice_profile_id, profile.id);
  const listed = await all(client.connections.list({ filter: { outbound_voice_profile_id: profile.id }, "page[size]": 1 }));
  assert.deepEqual(listed.map((c) => c.record_type).sort(), ["credential_connection", "fqdn_connection", "ip_connection"]);
  assert.equal((await client.connections.retrieve(user.id)).data.connection_name, "phones");
  assert.equal((await client.outboundVoiceProfiles.retrieve(profile.id)).data.connections_count, 3);
  assert.equal((await client.ipConnections.update(ip.id, { active: false })).data.active, false);
  assert.deepEqual(await all(client.connections.listActiveCalls(ip.id)), []);
});

await step("addresses and domain names", async () => {
  const ip = (await client.ips.create({ ip_address: "192.0.2.7", connection_id: connections.ip.id })).data;
  assert.equal(ip.port, 5060);
  assert.equal((await client.ips.update(ip.id, { ip_address: "192.0.2.8" })).data.ip_address, "192.0.2.8");
  const fqdn = (await client.fqdns.create({ fqdn: "sip.example.com", dns_record_type: "a", connection_id: connections.fqdn.id })).data;
  assert.deepEqual((await all(client.fqdns.list({ filter: { fqdn: "sip.example.com" } }))).map((f) => f.id), [fqdn.id]);
  await client.fqdns.delete(fqdn.id);
});

await step("errors are of the SDK's classes", async () => {
  await fails(client.outboundVoiceProfiles.retrieve("1293384261075731499"), Telnyx.NotFoundError, 404, "10005", "/");
  await fails(client.outboundVoiceProfiles.create({ name: "ab" }), Telnyx.UnprocessableEntityError, 422, "10025", "/name");
  await fails(client.outboundVoiceProfiles.create({ name: "abc", billing_group_id: "6a09cdc3-8948-47f0-aa62-74ac943d6c58" }), Telnyx.PermissionDeniedError, 403, "10010", "/billing_group_id");
  await fails(client.outboundVoiceProfiles.delete(profile.id), Telnyx.UnprocessableEntityError, 422, "10021", "/");
  await fails(client.detailRecords.list({ filter: { record_type: "sip-trunking", date_range: "last_0_days" } }), Telnyx.UnprocessableEntityError, 422,
    "10015", "filter[date_range]");
  const sorted = await client.outboundVoiceProfiles.list({ sort: "color" }).asResponse();
  assert.equal(sorted.headers.get("tollgate-ignored-parameters"), "sort");
  await fails(client.credentialConnections.create({ connection_name: "again", user_name: "myuser123", password: "12345678" }), Telnyx.UnprocessableEntityError, 422, "10012", "/user_name");
  const stranger = new Telnyx({ apiKey: "KEY0000000000000000000000000000", baseURL, maxRetries: 0 });
  await fails(stranger.outboundVoiceProfiles.list(), Telnyx.AuthenticationError, 401, "10009");
});

await step("detail records", async () => {
  const records = await all(client.detailRecords.list({ filter: { record_type: "sip-trunking", date_range: "last_7_days" }, "page[size]": 1 }));
  assert.equal(records.length, 2);
  assert.equal(records[0].record_type, "sip-trunking");
  assert.equal(records[0].currency, "USD");
});

await step("usage reports", async () => {
  const [options] = (await client.usageReports.getOptions({ product: "sip-trunking" })).data;
  assert.ok(options.product_dimensions.includes("outbound_profile_id"));
  const rows = await all(client.usageReports.list({ product: "sip-trunking", dimensions: ["outbound_profile_id", "date"], metrics: ["attempted", "cost"], date_range: "today" }));
  assert.deepEqual(rows.map((r) => r.attempted), [2]);
});

await step("call events, tags, balance, recordings", async () => {
  const events = await all(client.callEvents.list({ "page[size]": 1 }));
  assert.deepEqual(events.map((e) => e.name), ["call.initiated", "call.hangup", "call.initiated", "call.hangup"]);
  assert.deepEqual((await client.userTags.list({ filter: { starts_with: "OFF" } })).data.outbound_profile_tags, ["office-profile"]);
  assert.equal((await client.balance.retrieve()).data.balance, "0.00");
  assert.deepEqual(await all(client.recordings.list({ filter: { connection_id: connections.ip.id } })), []);
  await fails(client.recordings.retrieve("3fa85f64-5717-4562-b3fc-2c963f66afa6"), Telnyx.NotFoundError, 404, "10005", "/");
  assert.deepEqual(await client.recordings.actions.delete({ ids: ["428c31b6-7af4-4bcb-b7f5-5013ef9657c1"] }), { status: "ok" });
});

await step("webhooks of a call pass the package's check of their signature", async () => {
  const hooks = await listener();
  await client.outboundVoiceProfiles.update(profile.id, { name: "shop", calling_window: null }); // calls at any time of the day
  const user = (await client.credentialConnections.create({
    connection_name: "hooks", user_name: "hooks12345", password: "a-good-password", webhook_event_url: hooks.url,
    outbound: { outbound_voice_profile_id: profile.id },
  })).data;
  const placed = await call({ address: "127.0.0.2", user: "hooks12345", password: "a-good-password", from: "+13125550100", to: "+13125550123" });
  assert.equal(placed.status, 200, JSON.stringify(placed));
  const [received] = await hooks.received(1);
  const key = await publicKey();
  const event = await client.webhooks.unwrap(received.body, { headers: received.headers, key });
  assert.equal(event.data.record_type, "event");
  const changed = received.body.replace('"record_type"', '"record_typo"');
  await assert.rejects(async () => client.webhooks.unwrap(changed, { headers: received.headers, key }));
  hooks.close();
  await client.credentialConnections.delete(user.id);
});

await step("audit events", async () => {
  const events = await all(client.auditEvents.list({ "page[size]": 10, filter: { created_after: "2020-01-01T00:00:00Z" }, sort: "asc" }));
  const kinds = new Set(events.map((e) => e.record_type));
  for (const kind of ["outbound_voice_profile", "billing_group", "ip_connection"]) assert.ok(kinds.has(kind), kind);
});

await step("delete everything that was made", async () => {
  await client.ipConnections.delete(connections.ip.id);
  await client.credentialConnections.delete(connections.user.id);
  await client.fqdnConnections.delete(connections.fqdn.id);
  assert.equal((await client.outboundVoiceProfiles.delete(profile.id)).data.id, profile.id);
  await fails(client.outboundVoiceProfiles.retrieve(profile.id), Telnyx.NotFoundError, 404, "10005", "/");
  assert.ok((await client.billingGroups.delete(group.id)).data.deleted_at);
});
