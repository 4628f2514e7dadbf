package api

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// ledgerReportView is a report over the billing groups as it is answered. Source:
// Telnyx v2, /ledger_billing_group_reports.
type ledgerReportView struct {
	ID             uuid.UUID `json:"id"`
	RecordType     string    `json:"record_type" enum:"ledger_billing_group_report"`
	OrganizationID uuid.UUID `json:"organization_id"`
	Status         string    `json:"status" enum:"pending,complete,failed,deleted" doc:"failed: records of the month were deleted; deleted: it was made over 30 days ago. None is ever pending."`
	ReportURL      *string   `json:"report_url" doc:"Where it can be downloaded as CSV; signed, and good for ten minutes. null unless it is complete."`
	Year           int       `json:"year" doc:"Tollgate's own."`
	Month          int       `json:"month" doc:"Tollgate's own."`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// ledgerReportRequest names the month of a report.
type ledgerReportRequest struct {
	Year  *int `json:"year" minimum:"2000" maximum:"9999" doc:"With month; the month before the present one if neither is given."`
	Month *int `json:"month" minimum:"1" maximum:"12" doc:"A month of UTC days, that of the calls' starts."`
}

const (
	ledgerReportsPath = "/v2/ledger_billing_group_reports"
	// reportSuffix is what tells the downloads of reports from those of recordings.
	reportSuffix = ".csv"
)

func (s *server) ledgerReportOperations() []rest.Operation {
	const tag = "Billing groups"
	view, body := schemaOf[ledgerReportView](), schemaOf[ledgerReportRequest]().Request(false, nil, true)
	return []rest.Operation{
		{Method: http.MethodPost, Path: ledgerReportsPath, ID: "create_ledger_billing_group_report", Tag: tag,
			Scope: ScopeWrite, Effect: rest.Configures,
			Summary: "Make a report of what the calls of each billing group cost in a month.", Status: http.StatusOK,
			Answer: view, Body: body, Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.createLedgerReport(ctx, in, body)
			}},
		{Method: http.MethodGet, Path: ledgerReportsPath + "/{id}", ID: "get_ledger_billing_group_report", Tag: tag,
			Scope: ScopeRead, Summary: "Get a report over billing groups, with an address for downloading it.",
			Status: http.StatusOK, Answer: view, Handle: s.getLedgerReport},
	}
}

func (s *server) createLedgerReport(ctx context.Context, in *rest.Request, body *rest.Schema) (*rest.Response, error) {
	checked, problems := in.Checked(body, nil, nil)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var asked ledgerReportRequest
	if err := rest.Decode(checked, &asked); err != nil {
		return nil, err
	}
	wanted, errs := monthOf(&asked, s.Clock())
	if len(errs) > 0 {
		return nil, rest.InvalidFields(errs)
	}
	return rest.Committed(ctx, in, s.answerLedgerReport(in), func(ctx context.Context) (store.LedgerReport, error) {
		return store.Of[store.LedgerReport](s.Resources).Create(ctx, in.Account, wanted)
	})
}

// monthOf is the month that a request names: the one before the present one if none.
func monthOf(asked *ledgerReportRequest, now time.Time) (store.LedgerReport, []field.Error) {
	now = now.UTC()
	present := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	switch {
	case asked.Year == nil && asked.Month == nil:
		last := present.AddDate(0, -1, 0)
		return store.LedgerReport{Year: last.Year(), Month: int(last.Month())}, nil
	case asked.Year == nil:
		return store.LedgerReport{}, []field.Error{{Pointer: "/year", Code: field.Missing,
			Detail: "month is given and year is not. Give both, or neither for the month before this one."}}
	case asked.Month == nil:
		return store.LedgerReport{}, []field.Error{{Pointer: "/month", Code: field.Missing,
			Detail: "year is given and month is not. Give both, or neither for the month before this one."}}
	}
	r := store.LedgerReport{Year: *asked.Year, Month: *asked.Month}
	if first, _ := reportMonth(&r); first.After(present) {
		pointer := "/month"
		if r.Year > now.Year() {
			pointer = "/year"
		}
		return r, []field.Error{{Pointer: pointer, Code: field.OutOfRange,
			Detail: fmt.Sprintf("%d-%02d has not begun. Give a month up to %s.", r.Year, r.Month, present.Format("2006-01"))}}
	}
	return r, nil
}

// reportMonth is the span of time that a report is of.
func reportMonth(r *store.LedgerReport) (from, to time.Time) {
	from = time.Date(r.Year, time.Month(r.Month), 1, 0, 0, 0, 0, time.UTC)
	return from, from.AddDate(0, 1, 0)
}

func (s *server) getLedgerReport(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	r, err := store.Of[store.LedgerReport](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	return s.answerLedgerReport(in)(ctx, r)
}

func (s *server) answerLedgerReport(in *rest.Request) func(context.Context,
	store.LedgerReport) (*rest.Response, error) {
	return func(ctx context.Context, r store.LedgerReport) (*rest.Response, error) {
		account, err := s.account(ctx, in.Account)
		if err != nil {
			return nil, err
		}
		v := ledgerReportView{ID: r.ID, RecordType: "ledger_billing_group_report", OrganizationID: account.OrganizationID,
			Year: r.Year, Month: r.Month, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
		if v.Status, err = s.reportStatus(ctx, in.Account, &r); err != nil {
			return nil, err
		}
		origin := collection.OriginOf(ctx)
		if v.Status == reportComplete && (origin == nil || !origin.DryRun) {
			v.ReportURL = textOrNull(s.Downloads.address(in.Base, in.Account, r.ID.String()+reportSuffix, s.Clock()))
		}
		return &rest.Response{Data: v, Version: r.Version}, nil
	}
}

// Telnyx's statuses of reports. None is pending here: a report is made of the records
// when it is downloaded.
const (
	reportComplete = "complete"
	reportFailed   = "failed"
	reportDeleted  = "deleted"
)

func (s *server) reportStatus(ctx context.Context, account id.ID, r *store.LedgerReport) (string, error) {
	if s.Clock().Sub(r.CreatedAt) >= store.LedgerReportAge {
		return reportDeleted, nil
	}
	whole, err := s.Reports.RecordsWholeSince(ctx, account)
	if err != nil {
		return "", err
	}
	// Records of calls that ended before that day are gone.
	if from, _ := reportMonth(r); record.DayOf(from.UnixMicro()) < whole {
		return reportFailed, nil
	}
	return reportComplete, nil
}

// downloadReport sends a report.
func (s *server) downloadReport(w http.ResponseWriter, r *http.Request, account id.ID, key uuid.UUID) error {
	report, err := store.Of[store.LedgerReport](s.Resources).Get(r.Context(), account, key)
	if err != nil {
		return err
	}
	status, err := s.reportStatus(r.Context(), account, &report)
	if err != nil {
		return err
	}
	if status != reportComplete {
		return collection.ErrNotFound
	}
	text, err := s.ledgerReport(r.Context(), account, &report)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "text/csv; charset=utf-8")
	header.Set("Content-Disposition",
		fmt.Sprintf(`attachment; filename="billing_groups_%d-%02d.csv"`, report.Year, report.Month))
	header.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	return nil
}

// reportMetrics are what a report adds up, as usage reports do.
func reportMetrics() []string {
	return []string{"attempted", "connected", "completed", "call_sec", "billed_sec", "cost"}
}

// reportRows is how many rows are read at once.
const reportRows = 5000

// ledgerReport is a report as CSV: a line for each billing group, by name, and one for
// calls of none.
func (s *server) ledgerReport(ctx context.Context, account id.ID, r *store.LedgerReport) ([]byte, error) {
	groups, err := s.groupNames(ctx, account)
	if err != nil {
		return nil, err
	}
	used, err := s.usageByGroup(ctx, account, r)
	if err != nil {
		return nil, err
	}
	for group := range used {
		if _, known := groups[group]; !known {
			groups[group] = "" // it was deleted, or there was none
		}
	}
	keys := make([]string, 0, len(groups))
	for group := range groups {
		keys = append(keys, group)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(groups[a], groups[b]), cmp.Compare(a, b))
	})
	var text strings.Builder
	text.WriteString("year,month,billing_group_id,billing_group_name," +
		strings.Join(reportMetrics(), ",") + ",currency\n")
	nothing := []any{int64(0), int64(0), int64(0), int64(0), int64(0), money.Amount(0)}
	for _, group := range keys {
		sums, found := used[group]
		if !found {
			sums = nothing
		}
		rest.CsvLine(&text, slices.Concat([]any{r.Year, r.Month, group, groups[group]}, sums, []any{"USD"}))
	}
	return []byte(text.String()), nil
}

// groupNames are the names of the account's billing groups by their ids.
func (s *server) groupNames(ctx context.Context, account id.ID) (map[string]string, error) {
	names := map[string]string{}
	for number := 1; ; number++ {
		groups := store.Of[store.BillingGroup](s.Resources)
		page, err := groups.List(ctx, account, collection.Query{Number: number, Size: reportRows})
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			names[page.Items[i].ID.String()] = page.Items[i].Name
		}
		if number*reportRows >= page.Total {
			return names, nil
		}
	}
}

// usageByGroup adds up the calls of a month by billing group, "" for those of none.
func (s *server) usageByGroup(ctx context.Context, account id.ID, r *store.LedgerReport) (map[string][]any, error) {
	from, to := reportMonth(r)
	used := map[string][]any{}
	for number := 1; ; number++ {
		page, err := s.Reports.UsageReport(ctx, account, store.ReportQuery{
			FromMicros: from.UnixMicro(), ToMicros: to.UnixMicro(),
			Dimensions: []string{"billing_group_id"}, Metrics: reportMetrics(), Number: number, Size: reportRows})
		if err != nil {
			return nil, err
		}
		for _, row := range page.Items {
			group, _ := row.Dimensions[0].(string)
			used[group] = row.Metrics
		}
		if number*reportRows >= page.Total {
			return used, nil
		}
	}
}
