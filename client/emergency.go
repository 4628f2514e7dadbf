package client

// CallerIDs say which caller ids the callers of a connection may show.
type CallerIDs struct {
	// Those of Numbers that a key with the scope admin has listed. Only what is confirmed is
	// asserted to carriers.
	ConfirmedNumbers []string `json:"confirmed_numbers"`
	// Those of Prefixes that a key with the scope admin has listed.
	ConfirmedPrefixes []string `json:"confirmed_prefixes"`
	Numbers           []string `json:"numbers"`
	// What happens to a call with any other caller id: pass, refuse or replace.
	OnMismatch string `json:"on_mismatch"`
	// Beginnings of numbers, such as "+4930".
	Prefixes []string `json:"prefixes"`
}

// CallerIDsParams is what can be set of CallerIDs.
type CallerIDsParams struct {
	Numbers    Field[[]string] `json:"numbers,omitzero"`
	OnMismatch Field[string]   `json:"on_mismatch,omitzero"`
	Prefixes   Field[[]string] `json:"prefixes,omitzero"`
}

// EmergencyDay is what is counted of the emergency calls of a connection on one UTC day.
type EmergencyDay struct {
	// Seconds of the day that emergency calls were billed for.
	BilledSec int64 `json:"billed_sec"`
	// Emergency calls that were let through on the day.
	Calls        int64   `json:"calls"`
	ConnectionID *string `json:"connection_id"`
	// What is posted on the day for emergency calls. No limit counts it.
	Cost Decimal `json:"cost"`
	Date string  `json:"date"`
	// Those of Calls that have not ended.
	LiveCalls  int64  `json:"live_calls"`
	RecordType string `json:"record_type"`
}

// EmergencyDays lists the emergency calls of connections by UTC day, the latest first.
func (c *Client) EmergencyDays() List[EmergencyDay] {
	return list[EmergencyDay](c, "/tollgate/v1/emergency_days")
}
