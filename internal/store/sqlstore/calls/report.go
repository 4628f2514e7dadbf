package calls

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

const (
	microsPerHour = 3_600_000_000
	// shortMicros is the longest call of short_duration_call, as in detail records.
	shortMicros = 6_000_000
)

// dimension is one way to group call records. Its expression is an integer, a
// text, or NULL; show makes the value of the API from it.
type dimension struct {
	expression string
	show       func(any) (any, error)
}

// dimensions are those of store.DimensionNames.
var dimensions = map[string]dimension{
	"billing_group_id":    {"billing_group_id", showUUID},
	"bundle_id":           {"CAST(NULL AS TEXT)", showText}, // there are no bundles
	"connection_id":       {"connection_id", showID},
	"country_code":        {"country", showText},
	"currency":            {"'USD'", showText},
	"date":                {fmt.Sprintf("started_at / %d", int64(record.MicrosPerDay)), showDate},
	"date_time":           {fmt.Sprintf("started_at / %d", int64(microsPerHour)), showHour},
	"direction":           {"'outbound'", showText},
	"gateway_id":          {"gateway_id", showID},
	"is_local_calling":    {"CASE WHEN country <> '' AND country = source_country THEN 1 ELSE 0 END", showBool},
	"outbound_profile_id": {"profile_id", showID},
	"outcome":             {"outcome", showOutcome},
	"short_duration_call": {
		fmt.Sprintf("CASE WHEN outcome = %d AND duration <= %d THEN 1 ELSE 0 END", record.OutcomeAnswered, shortMicros),
		showBool,
	},
	"source_country_code": {"NULLIF(source_country, '')", showText},
	"source_tn_type":      {"NULLIF(source_number_type, '')", showText},
	"tags":                {"tagged_text", showText},
	"tn_type":             {"number_type", showText},
}

// tagged joins to the records of the account, which is argument 1, the tags that
// their profiles have now, as texts in the order in which each profile has them.
// What it names must not be named as columns of call_records are.
const tagged = ` LEFT JOIN (SELECT p.id AS tagged_profile, %s AS tagged_text
	FROM profiles AS p CROSS JOIN %s WHERE p.account_id = $1 GROUP BY p.id) AS tagged ON tagged_profile = profile_id`

var taggedBy = [...]string{
	database.File: fmt.Sprintf(tagged, "group_concat("+quotedTag("char")+", ',' ORDER BY t.key)",
		"json_each(p.doc, '$.tags') AS t"),
	database.Server: fmt.Sprintf(tagged, "string_agg("+quotedTag("chr")+`, ',' ORDER BY t.place) COLLATE "C"`,
		`LATERAL json_array_elements_text(
		CASE json_typeof(p.doc::json -> 'tags') WHEN 'array' THEN p.doc::json -> 'tags' ELSE '[]'::json END)
		WITH ORDINALITY AS t (value, place)`),
}

// quotedTag is a tag as a cell of CSV, so that lists that differ are different texts.
// character is the engine's function that makes a text of a code.
func quotedTag(character string) string {
	return fmt.Sprintf(`CASE WHEN t.value <> ''
		AND replace(replace(replace(replace(t.value, ',', ''), '"', ''), %[1]s(10), ''), %[1]s(13), '') = t.value
		THEN t.value ELSE '"' || replace(t.value, '"', '""') || '"' END`, character)
}

// metrics are those of store.MetricNames. The sums are cast since an engine may
// make them wider than the column.
var metrics = map[string]string{
	"attempted":  "COUNT(*)",
	"connected":  "COUNT(CASE WHEN answered_at <> 0 THEN 1 END)",
	"completed":  fmt.Sprintf("COUNT(CASE WHEN outcome = %d THEN 1 END)", record.OutcomeAnswered),
	"call_sec":   "CAST(SUM((duration + 999999) / 1000000) AS BIGINT)",
	"billed_sec": "CAST(SUM(billed_secs) AS BIGINT)",
	"cost":       "CAST(SUM(cost) AS BIGINT)",
}

// UsageReport implements store.Reports.
func (c *Calls) UsageReport(ctx context.Context, account id.ID,
	q store.ReportQuery) (collection.Page[store.ReportRow], error) {
	page := collection.Page[store.ReportRow]{Items: []store.ReportRow{}}
	grouped, args, err := c.groupText(account, &q)
	if err != nil {
		return page, fmt.Errorf("usage report: %w", err)
	}
	order, err := reportOrder(&q)
	if err != nil {
		return page, fmt.Errorf("usage report: %w", err)
	}
	err = c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ("+grouped+") AS g", args...).Scan(&page.Total); err != nil {
			return err
		}
		first := int64(max(1, q.Number)-1) * int64(q.Size)
		text := fmt.Sprintf("%s ORDER BY %s LIMIT %d OFFSET %d", grouped, order, q.Size, first)
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			row, err := scanReport(rows, &q)
			page.Items = append(page.Items, row)
			return err
		}, text, args...)
	})
	if err != nil {
		return collection.Page[store.ReportRow]{}, fmt.Errorf("usage report: %w", table.Unavailable(err))
	}
	return page, nil
}

// Traffic implements store.Reports.
func (c *Calls) Traffic(ctx context.Context, account id.ID, fromMicros, toMicros int64,
	most int) (traffic []rating.Traffic, err error) {
	const fewest, coarsest = 1_000, 1_000_000_000
	for divisor := fewest; divisor <= coarsest; divisor *= 10 {
		traffic = nil
		err := c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
			return table.Query(ctx, tx, func(rows *sql.Rows) error {
				var t rating.Traffic
				var digits int64
				err := rows.Scan(&digits, &t.Calls, &t.Secs)
				t.Prefix = strconv.FormatInt(digits, 10)
				traffic = append(traffic, t)
				return err
			}, fmt.Sprintf(`SELECT callee / %d AS digits, COUNT(*), %s FROM call_records
				WHERE account_id = $1 AND started_at >= $2 AND started_at < $3 AND answered_at <> 0 AND callee >= %[1]d
				GROUP BY digits LIMIT %[3]d`, divisor, metrics["call_sec"], most+1), int64(account), fromMicros, toMicros)
		})
		if err != nil {
			return nil, fmt.Errorf("add up traffic: %w", table.Unavailable(err))
		}
		if len(traffic) <= most {
			break
		}
	}
	slices.SortFunc(traffic, func(a, b rating.Traffic) int { return cmp.Compare(a.Prefix, b.Prefix) })
	return traffic[:min(len(traffic), most)], nil
}

// groupText is the SELECT without its order. Only expressions of the tables above
// get into the text; every value is an argument.
func (c *Calls) groupText(account id.ID, q *store.ReportQuery) (string, []any, error) {
	if len(q.Dimensions) == 0 || len(q.Metrics) == 0 || q.Size < 1 || q.Size > listing.MaxPageSize {
		return "", nil, fmt.Errorf("%w: a report needs a dimension, a metric, and pages of 1 to %d rows",
			collection.ErrBadValue, listing.MaxPageSize)
	}
	var columns, groups []string
	for i, name := range q.Dimensions {
		d, ok := dimensions[name]
		if !ok || slices.Contains(q.Dimensions[:i], name) {
			return "", nil, fmt.Errorf("group by %.40q: %w", name, collection.ErrUnknownField)
		}
		columns = append(columns, d.expression+" AS "+name)
		groups = append(groups, fmt.Sprint(i+1))
	}
	for i, name := range q.Metrics {
		expression, ok := metrics[name]
		if !ok || slices.Contains(q.Metrics[:i], name) {
			return "", nil, fmt.Errorf("add up %.40q: %w", name, collection.ErrUnknownField)
		}
		columns = append(columns, expression+" AS metric_"+name)
	}
	l := listing.Table{Name: "call_records", Fields: recordFields}
	filters := append(slices.Clone(q.Filters),
		collection.Filter{Field: "started_at", Op: collection.AtLeast, Value: q.FromMicros},
		collection.Filter{Field: "started_at", Op: collection.Below, Value: q.ToMicros})
	where, args, err := l.Where(account, filters)
	if err != nil {
		return "", nil, err
	}
	from := "call_records"
	if slices.Contains(q.Dimensions, "tags") {
		from += taggedBy[c.db.Kind]
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + from + " WHERE " + where + " GROUP BY " +
		strings.Join(groups, ", "), args, nil
}

// reportOrder goes by places, since a name could be that of a column too.
func reportOrder(q *store.ReportQuery) (string, error) {
	var parts []string
	named := map[int]bool{}
	for _, o := range q.Sort {
		place := slices.Index(q.Dimensions, o.Field) + 1
		if place == 0 {
			place = slices.Index(q.Metrics, o.Field) + 1
			if place == 0 {
				return "", fmt.Errorf("sort by %.40q: %w", o.Field, collection.ErrUnknownField)
			}
			place += len(q.Dimensions)
		}
		if named[place] {
			continue
		}
		named[place] = true
		direction := ""
		if o.Descending {
			direction = " DESC"
		}
		parts = append(parts, fmt.Sprint(place)+direction)
	}
	for place := 1; place <= len(q.Dimensions); place++ {
		if !named[place] {
			parts = append(parts, fmt.Sprint(place))
		}
	}
	return strings.Join(parts, ", "), nil
}

func scanReport(rows *sql.Rows, q *store.ReportQuery) (row store.ReportRow, err error) {
	keys := make([]any, len(q.Dimensions))
	sums := make([]int64, len(q.Metrics))
	var into []any
	for i := range keys {
		into = append(into, &keys[i])
	}
	for i := range sums {
		into = append(into, &sums[i])
	}
	if err := rows.Scan(into...); err != nil {
		return row, err
	}
	for i, name := range q.Dimensions {
		value, err := dimensions[name].show(keys[i])
		if err != nil {
			return row, fmt.Errorf("dimension %s: %w", name, err)
		}
		row.Dimensions = append(row.Dimensions, value)
	}
	for i, name := range q.Metrics {
		if name == "cost" {
			row.Metrics = append(row.Metrics, money.Amount(sums[i]))
			continue
		}
		row.Metrics = append(row.Metrics, sums[i])
	}
	return row, nil
}

func number(value any) (int64, error) {
	n, ok := value.(int64)
	if !ok {
		return 0, fmt.Errorf("%w: %T is not an integer", table.ErrCorrupt, value)
	}
	return n, nil
}

func showText(value any) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "" {
			return nil, nil
		}
		return v, nil
	case []byte:
		return showText(string(v))
	}
	return nil, fmt.Errorf("%w: %T is not a text", table.ErrCorrupt, value)
}

func showUUID(value any) (any, error) {
	if value == nil {
		return nil, nil
	}
	raw, ok := value.([]byte)
	if !ok {
		return nil, fmt.Errorf("%w: %T is not a UUID", table.ErrCorrupt, value)
	}
	parsed, err := uuid.FromBytes(raw)
	return parsed.String(), err
}

func showID(value any) (any, error) {
	n, err := number(value)
	if err != nil || n == 0 {
		return nil, err
	}
	return id.ID(n).String(), nil
}

func showBool(value any) (any, error) {
	n, err := number(value)
	return n != 0, err
}

func showOutcome(value any) (any, error) {
	n, err := number(value)
	return record.Outcome(n).String(), err
}

func showDate(value any) (any, error) {
	n, err := number(value)
	return time.UnixMicro(n * record.MicrosPerDay).UTC().Format(time.DateOnly), err
}

func showHour(value any) (any, error) {
	n, err := number(value)
	return time.UnixMicro(n * microsPerHour).UTC().Format(time.RFC3339), err
}

// SpendSince implements store.Reports. It includes what emergency calls have
// cost. Holds may be booked to the day after, so they are added up whatever their day.
func (c *Calls) SpendSince(ctx context.Context, account id.ID, day record.Day) (admission.Spend, error) {
	var spend admission.Spend
	err := c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		var emergencies money.Amount
		err := tx.QueryRowContext(ctx,
			"SELECT CAST(COALESCE(SUM(posted), 0) AS BIGINT) FROM emergency_days WHERE account_id = $1 AND day >= $2",
			int64(account), int64(day)).Scan(&emergencies)
		if err != nil {
			return err
		}
		defer func() { spend.Posted = money.Add(spend.Posted, emergencies) }()
		return tx.QueryRowContext(ctx, `SELECT
		CAST(COALESCE(SUM(CASE WHEN day >= $2 THEN posted ELSE 0 END), 0) AS BIGINT),
		CAST(COALESCE(SUM(held), 0) AS BIGINT),
		CAST(COALESCE(SUM(CASE WHEN day >= $2 THEN overrun ELSE 0 END), 0) AS BIGINT)
		FROM spend_days WHERE account_id = $1 AND scope_kind = $3`, int64(account), int64(day), int64(admission.ScopeProfile)).
			Scan(&spend.Posted, &spend.Held, &spend.Overrun)
	})
	if err != nil {
		return admission.Spend{}, fmt.Errorf("add up spend: %w", table.Unavailable(err))
	}
	return spend, nil
}
