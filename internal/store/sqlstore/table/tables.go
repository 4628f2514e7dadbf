package table

import (
	"context"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/record"
)

// LeaseRow is a row of leases.
type LeaseRow struct {
	Place int64 // in a file, where leases are in the order in which calls began
	admission.Lease
}

var (
	leaseAccount = column.Integer("account_id", column.ID, func(r *LeaseRow) *id.ID { return &r.Account })
	leaseCall    = column.Key("id", func(r *LeaseRow) *uuid.UUID { return &r.ID })
	leaseExpires = column.Integer("expires_at", column.Time, func(r *LeaseRow) *int64 { return &r.ExpiresMicros })
	leaseBody    = column.Packed("body",
		func(r *LeaseRow) []byte { return AppendLease(make([]byte, 0, 512), &r.Lease) },
		func(r *LeaseRow, body []byte) error {
			return packed.Read(body, leaseForm, "lease", &r.Lease, packLease)
		})
	// leaseHungUp is by what the node that owns a call finds out that it is to end it.
	leaseHungUp = column.Derived("hung_up", column.Bool, func(r *LeaseRow) any { return r.HungUpMicros != 0 })

	// leaseOwners are by what live calls are counted and found on a server.
	leaseOwners = column.List[LeaseRow]{
		column.Integer("profile_id", column.ID, func(r *LeaseRow) *id.ID { return &r.Profile }),
		column.Integer("connection_id", column.ID, func(r *LeaseRow) *id.ID { return &r.Connection }),
		column.Key("owner", func(r *LeaseRow) *uuid.UUID { return &r.Owner }),
		column.Flag("emergency", func(r *LeaseRow) *bool { return &r.Emergency }),
	}
)

// The tables of the ledger.
var (
	FileLeases = Table[LeaseRow]{
		Name: "leases", Primary: "place", Again: Replaces,
		Key: column.List[LeaseRow]{
			column.Integer("place", column.Int, func(r *LeaseRow) *int64 { return &r.Place }), leaseAccount, leaseCall,
		},
		Rest: column.List[LeaseRow]{leaseBody},
	}
	ServerLeases = Table[LeaseRow]{
		Name: "leases", Primary: "id", Again: Replaces,
		Key:  append(column.List[LeaseRow]{leaseCall, leaseAccount}, leaseOwners...),
		Rest: column.List[LeaseRow]{leaseExpires, leaseBody, leaseHungUp},
	}
	Records = Table[record.Call]{
		Name: "call_records",
		Key:  record.Columns(),
		Rest: column.List[record.Call]{column.Packed("body",
			func(r *record.Call) []byte { return packed.Append(nil, recordForm, r, packRecord) },
			func(r *record.Call, body []byte) error {
				return packed.Read(body, recordForm, "call record", r, packRecord)
			})},
	}
	Slices = Table[SliceRow]{
		Name: "call_slices", Primary: "account_id, call_id, day, quarter",
		Key: column.List[SliceRow]{
			column.Integer("account_id", column.ID, func(r *SliceRow) *id.ID { return &r.Account }),
			column.Key("call_id", func(r *SliceRow) *uuid.UUID { return &r.Call }),
			column.Integer("day", column.Int, func(r *SliceRow) *record.Day { return &r.Day }),
			column.Integer("quarter", column.Int, func(r *SliceRow) *record.Quarter { return &r.Quarter }),
		},
		Rest: column.List[SliceRow]{
			column.Integer("profile_id", column.ID, func(r *SliceRow) *id.ID { return &r.Profile }),
			column.Integer("secs", column.Int, func(r *SliceRow) *int64 { return &r.Secs }),
			column.Integer("cost", column.Amount, func(r *SliceRow) *money.Amount { return &r.Cost }),
		},
	}
	Spends = Table[SpendRow]{
		Name: "spend_days", Again: Replaces,
		Primary: "account_id, scope_kind, scope_id, day, step", Server: "scope_id, scope_kind, day, step",
		Key: column.List[SpendRow]{
			column.Integer("account_id", column.ID, func(r *SpendRow) *id.ID { return &r.Account }),
			column.Integer("scope_kind", column.Int, func(r *SpendRow) *admission.ScopeKind { return &r.Kind }),
			column.Key("scope_id", func(r *SpendRow) *uuid.UUID { return (*uuid.UUID)(&r.ID) }),
			column.Integer("day", column.Int, func(r *SpendRow) *record.Day { return &r.Day }),
			column.Integer("step", column.Time, func(r *SpendRow) *int64 { return &r.StepMicros }),
		},
		Rest: column.List[SpendRow]{
			column.Integer("posted", column.Amount, func(r *SpendRow) *money.Amount { return &r.Posted }),
			column.Integer("held", column.Amount, func(r *SpendRow) *money.Amount { return &r.Held }),
			column.Integer("overrun", column.Amount, func(r *SpendRow) *money.Amount { return &r.Overrun }),
			column.Integer("told", column.Int, func(r *SpendRow) *uint8 { return &r.Told }),
			column.Integer("told_limit", column.Amount, func(r *SpendRow) *money.Amount { return &r.ToldLimit }),
		},
	}
	Holds = Table[HoldRow]{
		Name: "spend_holds", Primary: "scope_id, scope_kind", Again: Replaces,
		Key: column.List[HoldRow]{
			column.Integer("account_id", column.ID, func(r *HoldRow) *id.ID { return &r.Account }),
			column.Integer("scope_kind", column.Int, func(r *HoldRow) *admission.ScopeKind { return &r.Kind }),
			column.Key("scope_id", func(r *HoldRow) *uuid.UUID { return (*uuid.UUID)(&r.ID) }),
		},
		Rest: column.List[HoldRow]{
			column.Integer("cause", column.Int, func(r *HoldRow) *admission.HoldCause { return &r.Cause }),
			column.Integer("since", column.Time, func(r *HoldRow) *int64 { return &r.SinceMicros }),
			column.Integer("until_day", column.Int, func(r *HoldRow) *record.Day { return &r.UntilDay }),
		},
	}
	Callees = Table[CalleeRow]{
		Name: "callee_counts", Again: Replaces,
		Primary: "account_id, profile_id, callee, period", Server: "profile_id, callee, period",
		Key: column.List[CalleeRow]{
			column.Integer("account_id", column.ID, func(r *CalleeRow) *id.ID { return &r.Account }),
			column.Integer("profile_id", column.ID, func(r *CalleeRow) *id.ID { return &r.Profile }),
			column.Integer("callee", column.Number, func(r *CalleeRow) *e164.Number { return &r.Callee }),
			column.Integer("period", column.Int, func(r *CalleeRow) *int32 { return &r.Window }),
		},
		Rest: column.List[CalleeRow]{column.Integer("calls", column.Int, func(r *CalleeRow) *int32 { return &r.Calls })},
	}
	// Emergencies counts emergency calls. Every change is added: no decision depends on
	// what was posted there, so that nothing has to be read first.
	Emergencies = Table[EmergencyRow]{
		Name: "emergency_days", Primary: "account_id, connection_id, day", Again: Adds,
		Key: column.List[EmergencyRow]{
			column.Integer("account_id", column.ID, func(r *EmergencyRow) *id.ID { return &r.Account }),
			column.Integer("connection_id", column.ID, func(r *EmergencyRow) *id.ID { return &r.Connection }),
			column.Integer("day", column.Int, func(r *EmergencyRow) *record.Day { return &r.Day }),
		},
		Rest: column.List[EmergencyRow]{
			column.Integer("started", column.Int, func(r *EmergencyRow) *int64 { return &r.Started }),
			column.Integer("ended", column.Int, func(r *EmergencyRow) *int64 { return &r.Ended }),
			column.Integer("billed_secs", column.Int, func(r *EmergencyRow) *int64 { return &r.BilledSecs }),
			column.Integer("posted", column.Amount, func(r *EmergencyRow) *money.Amount { return &r.Posted }),
		},
	}
)

// SliceRow is a row of call_slices.
type SliceRow struct {
	Account, Profile id.ID
	Call             uuid.UUID
	record.Slice
}

// SpendRow is a row of spend_days.
type SpendRow struct {
	admission.SpendKey
	admission.Spend
}

// HoldRow is a row of spend_holds.
type HoldRow struct {
	admission.Scope
	admission.SpendHold
}

// CalleeRow is a row of callee_counts.
type CalleeRow struct {
	Account id.ID
	admission.CalleeKey
	Calls int32
}

// EmergencyRow is a row of emergency_days.
type EmergencyRow struct {
	admission.EmergencyKey
	admission.EmergencyDay
}

// Number is the number of a table. It is in the journals of files: append only.
type Number int

// The numbers of the tables.
const (
	LeaseRows Number = iota
	RecordRows
	SliceRows
	SpendRows
	HoldRows
	CalleeRows
	EmergencyRows
	NumTables
)

// FileLayouts are the tables in a file, and ServerLayouts those on a server.
var (
	FileLayouts = []*Layout{
		LeaseRows: FileLeases.onFile(), RecordRows: Records.onFile(), SliceRows: Slices.onFile(), SpendRows: Spends.onFile(),
		HoldRows: Holds.onFile(), CalleeRows: Callees.onFile(), EmergencyRows: Emergencies.onFile(),
	}
	ServerLayouts = []*Layout{
		LeaseRows: ServerLeases.onServer(), RecordRows: Records.onServer(), SliceRows: Slices.onServer(),
		SpendRows: Spends.onServer(), HoldRows: Holds.onServer(), CalleeRows: Callees.onServer(),
		EmergencyRows: Emergencies.onServer(),
	}
)

// LoadHolds reads the holds that a condition selects.
func LoadHolds(ctx context.Context, q Querier, condition string,
	args ...any) (map[admission.Scope]admission.SpendHold, error) {
	holds := make(map[admission.Scope]admission.SpendHold)
	return holds, Holds.Each(ctx, q, func(r *HoldRow) { holds[r.Scope] = r.SpendHold }, condition, args...)
}

// Days of the past that a running ledger may still look at. A calling window in
// the westernmost time zone began at most two accounting days ago; one day more
// is for a clock that was set back.
const (
	KeptSpendDays  = 3
	KeptCalleeDays = 3
)
