// How each operation of the package is called: whose ids it is given, what must come
// back, and what of its types cannot be sent.
import assert from "node:assert/strict";
import { call, eventually, heardCode, listener, request } from "./steps.mjs";
import { unique, values } from "./values.mjs";

async function make(path, body) {
  const answer = await request("POST", path, body);
  if (answer.status >= 300) throw new Error(`POST ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body.data;
}

const profile = async () => (await make("/v2/outbound_voice_profiles", { name: "every " + unique() })).id;
const group = async () => (await make("/v2/billing_groups", { name: "every " + unique() })).id;
const ipConnection = async () => (await make("/v2/ip_connections", { connection_name: "every " + unique() })).id;
const fqdnConnection = async () => (await make("/v2/fqdn_connections", { connection_name: "every " + unique() })).id;
const userConnection = async () =>
  (await make("/v2/credential_connections", { connection_name: "every " + unique(), user_name: "every" + unique(), password: values.password })).id;
const userWithProfile = async () =>
  make("/v2/credential_connections", {
    connection_name: "every " + unique(), user_name: "every" + unique(), password: values.password, outbound: { outbound_voice_profile_id: await profile() },
  });
const ip = async () => (await make("/v2/ips", { ip_address: values.ip_address() })).id;
const fqdn = async () => (await make("/v2/fqdns", { fqdn: values.fqdn(), dns_record_type: "a", connection_id: await fqdnConnection() })).id;

// once makes a thing at its first use.
function once(run) {
  let made;
  return () => (made ??= run());
}
const theProfile = once(profile);
const theGroup = once(group);
const theIPConnection = once(ipConnection);
const theFqdnConnection = once(fqdnConnection);
const theFqdn = once(fqdn);

// crud are the recipes of a resource. maker makes one; body says which ids its fields
// have.
function crud(name, schema, { maker, ids = {}, filters = {}, changed = [], skip = [], createReadAs = {}, never = [] }) {
  const chosen = (operation, parameter, table) => async () =>
    Object.fromEntries(await Promise.all(Object.entries(table).map(async ([place, value]) => [`${name}.${operation}.${parameter}.${place}`, await value()])));
  const idOf = (parameters) => async () => Object.fromEntries(await Promise.all(parameters.map(async (p) => [p, await maker()])));
  return {
    [`${name}.list`]: { schema, some: false, choose: chosen("list", "query", filters) },
    [`${name}.create`]: { schema, changed, readAs: createReadAs, never, skip, choose: chosen("create", "body", ids) },
    [`${name}.retrieve`]: { schema, args: idOf(["id"]) },
    [`${name}.update`]: { schema, changed, never, skip, choose: chosen("update", "body", ids), args: idOf(["id"]) },
    [`${name}.delete`]: { schema, args: idOf(["id"]) },
  };
}

// theCall is a call that was answered, recorded, and reported by webhooks, and another
// one that is still up.
const theCall = once(async () => {
  const hooks = await listener();
  const recorded = await make("/v2/outbound_voice_profiles", {
    name: "every " + unique(), whitelisted_destinations: ["US"], billing_group_id: await theGroup(),
    call_recording: { call_recording_type: "all", call_recording_format: "wav", call_recording_channels: "dual" },
  });
  const user = "every" + unique();
  const connection = await make("/v2/credential_connections", {
    connection_name: "calls", user_name: user, password: values.password, webhook_event_url: hooks.url, call_cost_in_webhooks: true,
    outbound: { outbound_voice_profile_id: recorded.id },
  });
  const caller = { address: "127.0.0.2", user, password: values.password, from: "+13125550100", to: "+13125550123" };
  assert.equal((await call({ ...caller, talk_ms: 400 })).status, 200);
  assert.equal((await call({ ...caller, hold: true })).status, 200);
  await hooks.received(1);
  hooks.close();
  const recording = await eventually("a recording", async () => (await request("GET", "/v2/recordings")).body.data[0]);
  const live = (await request("GET", `/v2/connections/${connection.id}/active_calls`)).body.data[0];
  assert.ok(live, "the held call is not up");
  return { connection: connection.id, recording: recording.id, live: live.call_control_id };
});

// theDelivery is that of a webhook of the call.
const theDelivery = once(async () => {
  await theCall();
  return (await eventually("a delivery", async () => (await request("GET", "/v2/webhook_deliveries")).body.data[0])).id;
});

const outbound = { "outbound.outbound_voice_profile_id": theProfile };
const domains = Object.fromEntries(["primary", "secondary", "tertiary"].map((rank) => [`inbound.default_${rank}_fqdn_id`, theFqdn]));
const byProfile = { "filter.outbound_voice_profile_id": theProfile };
// SRTP is refused with a transport of TLS, as Telnyx documents it.
const noTLS = ["body.transport_protocol=TLS"];

const absent = Object.fromEntries([
  "startAIAssistant", "stopAIAssistant", "addAIAssistantMessages", "joinAIAssistant", "answer", "bridge", "updateClientState", "enqueue", "startForking", "stopForking",
  "gather", "stopGather", "gatherUsingAI", "gatherUsingAudio", "gatherUsingSpeak", "leaveQueue", "startPlayback", "stopPlayback",
  "pauseRecording", "resumeRecording", "startRecording", "stopRecording", "refer", "reject", "sendSipInfo", "startSiprec", "stopSiprec", "speak",
  "sendDtmf", "startStreaming", "stopStreaming", "startNoiseSuppression", "stopNoiseSuppression", "switchSupervisorRole",
  "startTranscription", "stopTranscription", "transfer", "startConversationRelay", "stopConversationRelay", "pay",
].map((method) => [`calls.actions.${method}`, { absent: true }]));

// verification is that of one number, over a call that says a code.
const aNumber = "+12125550123";
const number = async () => ({ phoneNumber: aNumber });

export const recipes = {
  "verifiedNumbers.create": {
    schema: "verification", whole: true, kept: false, skip: ["body.verification_method=sms"], // it sends no messages
    choose: async () => (await userWithProfile(), { "verifiedNumbers.create.body.phone_number": aNumber }),
  },
  "verifiedNumbers.retrieve": { schema: "verified_number", args: number },
  "verifiedNumbers.actions.submitVerificationCode": {
    schema: "verified_number", kept: false, args: number,
    choose: async () => ({ "verifiedNumbers.actions.submitVerificationCode.body.verification_code": await heardCode() }),
  },
  "verifiedNumbers.list": { schema: "verified_number", some: true },
  "verifiedNumbers.delete": { schema: "verified_number", args: number },
  ...crud("outboundVoiceProfiles", "outbound_voice_profile", {
    maker: profile, ids: { billing_group_id: theGroup }, changed: ["calling_window.start_time", "calling_window.end_time"], // without the fraction and the zone
  }),
  ...crud("ipConnections", "ip_connection", { maker: ipConnection, ids: outbound, filters: byProfile, skip: noTLS }),
  ...crud("credentialConnections", "credential_connection", { maker: userConnection, ids: outbound, filters: byProfile, changed: ["password"],
    createReadAs: { "webhook_api_version=texml": "2" } }), // the types know texml in this request alone
  ...crud("fqdnConnections", "fqdn_connection", { maker: fqdnConnection, ids: { ...outbound, ...domains }, filters: byProfile, skip: noTLS }),
  ...crud("ips", "ip", { maker: ip, ids: { connection_id: theIPConnection }, filters: { "filter.connection_id": theIPConnection } }),
  ...crud("fqdns", "fqdn", { maker: fqdn, ids: { connection_id: theFqdnConnection }, filters: { "filter.connection_id": theFqdnConnection } }),
  ...crud("billingGroups", "billing_group", { maker: group }),
  "connections.list": { schema: "connection", choose: async () => ({ "connections.list.query.filter.outbound_voice_profile_id": await theProfile() }) },
  "connections.retrieve": { schema: "connection", args: async () => ({ id: await userConnection() }) },
  "connections.listActiveCalls": { schema: "active_call", some: true, args: async () => ({ connectionID: (await theCall()).connection }) },
  "recordings.list": { schema: "recording", choose: async () => ({ "recordings.list.query.filter.connection_id": (await theCall()).connection }) },
  "recordings.retrieve": { schema: "recording", args: async () => ({ recordingID: (await theCall()).recording }) },
  "recordings.delete": { schema: "recording", args: async () => ({ recordingID: (await theCall()).recording }) },
  "recordings.actions.delete": { schema: "recordings_deleted", whole: true, kept: false },
  "detailRecords.list": {
    schema: "detail_record", ownSchema: true, some: true, skip: ["query.filter.record_type", "query.filter.date_range"],
    choose: async () => (await theCall(), { "detailRecords.list.query.filter.date_range": "today" }),
  },
  "usageReports.list": {
    schema: "usage_report", ownSchema: true, ignored: ["filter"], skip: ["params.format=csv"], never: ["params.authorization_bearer"],
    calls: [
      { "params.date_range": "last_1_days", "params.start_date": undefined, "params.end_date": undefined },
      { "params.start_date": "2026-01-01T00:00:00Z", "params.end_date": "2026-01-20T00:00:00Z" },
    ],
  },
  "usageReports.getOptions": { schema: "usage_report_options", never: ["params.authorization_bearer"] },
  "callEvents.list": { schema: "call_event", choose: async () => ({ "callEvents.list.query.filter.connection_id": (await theCall()).connection,
    "callEvents.list.query.filter.outbound.outbound_voice_profile_id": await theProfile() }) },
  "auditEvents.list": { schema: "audit_event", some: true },
  "connections.retrieveCount": { schema: "connection_count" },
  "credentialConnections.actions.checkRegistrationStatus": { schema: "registration_status", args: async () => ({ id: await userConnection() }) },
  "fqdnConnections.fqdnAuthentication.list": { schema: "fqdn_authentication", args: async () => ({ fqdnConnectionID: await fqdnConnection() }) },
  "fqdnConnections.fqdnAuthentication.patchAll": {
    schema: "fqdn_authentication", changed: ["password"], args: async () => ({ fqdnConnectionID: await fqdnConnection() }),
  },
  "calls.actions.hangup": { schema: "hangup", kept: false, args: async () => ({ callControlID: (await theCall()).live }) },
  "webhookDeliveries.list": { schema: "webhook_delivery", choose: async () => (await theCall(), {}) },
  "webhookDeliveries.retrieve": { schema: "webhook_delivery", args: async () => ({ id: await theDelivery() }) },
  "ledgerBillingGroupReports.create": { schema: "ledger_billing_group_report", kept: false },
  "ledgerBillingGroupReports.retrieve": {
    schema: "ledger_billing_group_report", args: async () => ({ id: (await make("/v2/ledger_billing_group_reports", { year: 2026, month: 1 })).id }),
  },
  "noiseSuppressionEngines.list": { schema: "noise_suppression_engine" },
  "userTags.list": { schema: "user_tags" },
  "balance.retrieve": { schema: "balance" },
  ...absent,
};

// written are the places where words are written: what makes an object there, and the
// schema of its answer. with are members that other values need.
const outboundOf = { outbound: { call_parking_enabled: true, ip_authentication_token: values.ip_authentication_token } };
export const written = [
  { path: "/v2/outbound_voice_profiles", schema: "outbound_voice_profile", maker: profile, create: () => ({ name: "word " + unique() }) },
  { path: "/v2/ip_connections", schema: "ip_connection", maker: ipConnection, with: outboundOf, create: () => ({ connection_name: "word " + unique() }) },
  {
    path: "/v2/credential_connections", schema: "credential_connection", maker: userConnection, with: outboundOf,
    create: () => ({ connection_name: "word " + unique(), user_name: "word" + unique(), password: values.password }),
  },
  {
    path: "/v2/fqdn_connections", schema: "fqdn_connection", maker: fqdnConnection, with: outboundOf,
    create: () => ({ connection_name: "word " + unique() }),
    skip: ["outbound.ip_authentication_method=token"], // a Terraform provider sends it, and compares what comes back
  },
  { path: "/v2/fqdn_connections", below: "/fqdn_authentication", schema: "fqdn_authentication", maker: fqdnConnection },
  { path: "/v2/fqdns", schema: "fqdn", maker: fqdn },
  { path: "/v2/billing_groups", schema: "billing_group", maker: group },
];
