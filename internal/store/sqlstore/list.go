package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// field is a field by which a list can be filtered and sorted.
type field struct {
	column string
	kind   column.Kind
	// fold is the column with the text in lower case, for Contains. It is "" where
	// there is none; the text is then plain ASCII, which LOWER can fold.
	fold string
	// within is, for a field that is no column, the condition that Equal makes: a
	// format of the argument's number. Such a field has no order.
	within string
}

// Limits of a query. The API has its own, lower ones; these keep any caller from
// making a statement that SQLite refuses.
const (
	maxFilters   = 200
	maxOrders    = 10
	maxPageSize  = 10_000
	maxTextBytes = 4096
)

// listing is a table of which pages are read.
type listing struct {
	table   string
	columns string
	fields  map[string]field
	// count counts what a condition selects; nil means to do it row by row.
	count func(ctx context.Context, q table.Querier, account id.ID, where string, args []any) (selected, error)
}

// read counts the objects that a query selects and scans one page of them.
func (l *listing) read(ctx context.Context, q table.Querier, account id.ID, wanted store.Query, scan func(*sql.Rows) error) (total int, err error) {
	if wanted.Size < 1 || wanted.Size > maxPageSize {
		return 0, fmt.Errorf("%w: page size %d is not between 1 and %d", store.ErrBadValue, wanted.Size, maxPageSize)
	}
	where, args, err := l.where(account, wanted.Filters)
	if err != nil {
		return 0, err
	}
	order, err := l.order(wanted.Sort, false)
	if err != nil {
		return 0, err
	}
	count := l.count
	if count == nil {
		count = l.countAll
	}
	found, err := count(ctx, q, account, where, args)
	if err != nil {
		return 0, err
	}
	total = found.total
	if found.few != nil {
		where, args = amongThese(account, found.few)
	}
	first := int64(max(1, wanted.Number)-1) * int64(wanted.Size)
	rest := int64(total) - first
	if rest <= 0 {
		return total, nil
	}
	size := min(int64(wanted.Size), rest)
	if first == 0 {
		text := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", l.columns, l.table, where, order, size)
		return total, table.Query(ctx, q, scan, text, args...)
	}
	// What is passed over is passed over in an index, from the nearer end; only the
	// rows of the page are looked up.
	way, skipped := order, first
	if rest-size < first {
		if way, err = l.order(wanted.Sort, true); err != nil {
			return 0, err
		}
		skipped = rest - size
	}
	text := fmt.Sprintf("SELECT %s FROM (SELECT id AS of_page FROM %s WHERE %s ORDER BY %s LIMIT %d OFFSET %d) AS p CROSS JOIN %s WHERE account_id = $1 AND id = of_page ORDER BY %s",
		l.columns, l.table, where, way, size, skipped, l.table, order)
	return total, table.Query(ctx, q, scan, text, args...)
}

// countAll counts row by row.
func (l *listing) countAll(ctx context.Context, q table.Querier, _ id.ID, where string, args []any) (found selected, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+l.table+" WHERE "+where, args...).Scan(&found.total)
	return found, err
}

// amongThese is the condition for rows of an account with these ids.
func amongThese(account id.ID, ids [][]byte) (string, []any) {
	args := []any{int64(account)}
	places := make([]string, len(ids))
	for i, key := range ids {
		args = append(args, key)
		places[i] = fmt.Sprintf("$%d", len(args))
	}
	return "account_id = $1 AND id IN (" + strings.Join(places, ", ") + ")", args
}

// where makes the condition. Only columns of the listing's own table of fields
// get into the text; every value is an argument.
func (l *listing) where(account id.ID, filters []store.Filter) (string, []any, error) {
	if len(filters) > maxFilters {
		return "", nil, fmt.Errorf("%w: more than %d filters", store.ErrBadValue, maxFilters)
	}
	text := "account_id = $1"
	args := []any{int64(account)}
	for _, f := range filters {
		known, ok := l.fields[f.Field]
		if !ok {
			return "", nil, fmt.Errorf("filter by %.40q: %w", f.Field, store.ErrUnknownField)
		}
		if ids, ok := f.Value.([]id.ID); ok && f.Op == store.OneOf && known.kind == column.ID {
			text += " AND " + known.column + " IN (" + idList(ids) + ")"
			continue
		}
		condition, value, err := known.condition(f, len(args)+1)
		if err != nil {
			return "", nil, fmt.Errorf("filter by %s: %w", f.Field, err)
		}
		text += " AND " + condition
		args = append(args, value)
	}
	return text, args, nil
}

func (f field) condition(filter store.Filter, place int) (text string, value any, err error) {
	if f.within != "" {
		if filter.Op != store.Equal {
			return "", nil, fmt.Errorf("%w: operator %d", store.ErrBadValue, filter.Op)
		}
		value, err = valueOf(f.kind, filter.Value)
		return fmt.Sprintf(f.within, place), value, err
	}
	switch filter.Op {
	case store.Contains, store.StartsWith, store.EndsWith:
		return f.like(filter, place)
	}
	operator, ok := map[store.Operator]string{
		store.Equal: "=", store.AtLeast: ">=", store.AtMost: "<=", store.Below: "<", store.Above: ">", store.Not: "<>",
	}[filter.Op]
	if !ok {
		return "", nil, fmt.Errorf("%w: operator %d", store.ErrBadValue, filter.Op)
	}
	value, err = valueOf(f.kind, filter.Value)
	return fmt.Sprintf("%s %s $%d", f.column, operator, place), value, err
}

// like selects by a part of a text.
func (f field) like(filter store.Filter, place int) (text string, value any, err error) {
	s, ok := filter.Value.(string)
	if !ok || len(s) > maxTextBytes {
		return "", nil, fmt.Errorf("%w: not a text of at most %d bytes", store.ErrBadValue, maxTextBytes)
	}
	compared, format := f.column, `%s LIKE $%d ESCAPE '\'`
	before, after := "%", "%" // what may stand before and after the text
	if filter.Op == store.StartsWith {
		before = ""
	}
	if filter.Op == store.EndsWith {
		after = ""
	}
	switch f.kind {
	case column.Text:
		if f.fold != "" {
			compared, s = f.fold, foldText(s)
		} else {
			compared, s = "LOWER("+f.column+")", lowerASCII(s)
		}
	case column.Address:
		s = lowerASCII(s) // addresses are stored in lower case
	case column.Number:
		// A plus sign stands at the beginning of a number and nowhere else, and 0 is no number.
		var whole bool
		if s, whole = strings.CutPrefix(s, "+"); whole {
			before = ""
		}
		compared = "CAST(" + f.column + " AS TEXT)"
		format = "(" + f.column + " <> 0 AND " + format + ")"
	case column.ID:
		compared = "CAST(" + f.column + " AS TEXT)"
	default:
		return "", nil, fmt.Errorf("%w: the field is not a text", store.ErrBadValue)
	}
	return fmt.Sprintf(format, compared, place), before + likeEscapes(s) + after, nil
}

// foldText is how the *_fold columns are written.
func foldText(s string) string { return strings.ToLower(s) }

// lowerASCII folds as LOWER does in both databases: in PostgreSQL because the
// columns have the collation "C".
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// valueOf converts the value of a filter to what the column holds.
func valueOf(k column.Kind, wanted any) (any, error) {
	switch v := wanted.(type) {
	case string:
		if len(v) > maxTextBytes {
			return nil, fmt.Errorf("%w: a text of over %d bytes", store.ErrBadValue, maxTextBytes)
		}
		value, err := parseValue(k, v)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", store.ErrBadValue, err)
		}
		return value, nil
	case int64:
		switch k {
		case column.ID, column.Int, column.Time, column.Amount, column.Number:
			return v, nil
		}
	case bool:
		if k == column.Bool {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%w: %T", store.ErrBadValue, wanted)
}

func parseValue(k column.Kind, text string) (any, error) {
	switch k {
	case column.Text:
		return text, nil
	case column.ID:
		if text == "" {
			return int64(0), nil
		}
		parsed, err := id.Parse(text)
		return int64(parsed), err
	case column.UUID:
		parsed, err := uuid.Parse(text)
		return parsed[:], err
	case column.Int:
		return strconv.ParseInt(text, 10, 64)
	case column.Bool:
		return strconv.ParseBool(text)
	case column.Time:
		parsed, err := time.Parse(time.RFC3339Nano, text)
		return parsed.UnixMicro(), err
	case column.Amount:
		parsed, err := money.Parse(text)
		return int64(parsed), err
	case column.Number:
		return strconv.ParseInt(strings.TrimPrefix(text, "+"), 10, 64)
	case column.Address:
		parsed, err := connection.ParseNetwork(text)
		return parsed.String(), err
	case column.Outcome:
		for o := record.OutcomeRefused; o <= record.OutcomeLost; o++ {
			if o.String() == text {
				return int64(o), nil
			}
		}
		return nil, fmt.Errorf("no outcome %.40q", text)
	}
	return nil, errors.New("field of no kind")
}

// order makes the order, which the id makes total, or its reverse.
func (l *listing) order(orders []store.Order, reverse bool) (string, error) {
	if len(orders) > maxOrders {
		return "", fmt.Errorf("%w: more than %d orders", store.ErrBadValue, maxOrders)
	}
	var text strings.Builder
	directions := map[bool]string{false: "", true: " DESC"}
	direction := directions[reverse]
	for _, o := range orders {
		known, ok := l.fields[o.Field]
		if !ok || known.within != "" {
			return "", fmt.Errorf("sort by %.40q: %w", o.Field, store.ErrUnknownField)
		}
		direction = directions[o.Descending != reverse]
		text.WriteString(known.column + direction + ", ")
	}
	// The id goes the way of the last order, so that newest first is so within
	// one microsecond too.
	return text.String() + "id" + direction, nil
}

// readError wraps the error of a read of one object.
func readError(what, key string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %s: %w", what, key, store.ErrNotFound)
	}
	return fmt.Errorf("read %s %s: %w", what, key, unavailable(err))
}

// unavailable marks an error of the database as store.ErrUnavailable. Errors of
// the store itself and of the caller's context stay as they are.
func unavailable(err error) error {
	for _, own := range []error{
		store.ErrUnavailable, store.ErrBusy, store.ErrNotFound, store.ErrInUse, store.ErrDuplicate,
		store.ErrNoReference, store.ErrUnknownField, store.ErrBadValue, table.ErrCorrupt,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
