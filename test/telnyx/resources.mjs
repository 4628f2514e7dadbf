// The resources of the package that Tollgate has, and what the package itself shows of
// their operations.
export const resources = [
  "outboundVoiceProfiles", "ipConnections", "credentialConnections", "credentialConnections.actions", "fqdnConnections",
  "fqdnConnections.fqdnAuthentication", "connections", "ips", "fqdns", "billingGroups", "recordings", "recordings.actions", "detailRecords",
  "usageReports", "callEvents", "auditEvents", "userTags", "balance", "calls.actions", "verifiedNumbers", "verifiedNumbers.actions",
  "webhookDeliveries", "ledgerBillingGroupReports", "noiseSuppressionEngines",
];

// operationsOf reads the operations of a running client, and of everything below the
// resources whose name begins as one of them.
export function operationsOf(client, names) {
  const found = [];
  for (const name of names) {
    const resource = name.split(".").reduce((at, part) => at[part], client);
    for (const method of Object.getOwnPropertyNames(Object.getPrototypeOf(resource))) {
      if (method !== "constructor") found.push(`${name}.${method}`);
    }
    for (const [below, value] of Object.entries(resource)) {
      const nested = `${name}.${below}`;
      if (below !== "_client" && typeof value === "object" && !names.includes(nested)) found.push(...operationsOf(client, [nested]));
    }
  }
  return found;
}
