// Package listing reads pages of a table: by filters and orders of fields that the table
// has a name for, with a total, of the rows of one account.
package listing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Field is a field by which a list can be filtered and sorted.
type Field struct {
	Column string
	Kind   column.Kind
	// Fold is the column with the text in lower case, for Contains. It is "" where
	// there is none; the text is then plain ASCII, which LOWER can fold.
	Fold string
	// Within is, for a field that is no column, the condition that Equal makes: a
	// format of the argument's number. Such a field has no order.
	Within string
}

// Limits of a query. The API has its own, lower ones; these keep any caller from
// making a statement that SQLite refuses.
const (
	MaxPageSize  = 10_000
	MaxTextBytes = 4096
	maxFilters   = 200
	maxOrders    = 10
)

// Table is a table of which pages are read.
type Table struct {
	Name    string
	Columns string // that are scanned
	Fields  map[string]Field
	// Count counts what a condition selects; nil means to do it row by row.
	Count func(ctx context.Context, q table.Querier, account id.ID, where string, args []any) (Selected, error)
}

// Selected is what a condition selects: how many rows and, when they are few, which.
type Selected struct {
	Total int
	Few   [][]byte // ids; nil for many
}

// Read counts the objects that a query selects and scans one page of them.
func (l *Table) Read(ctx context.Context, q table.Querier, account id.ID, wanted collection.Query,
	scan func(*sql.Rows) error) (total int, err error) {
	if wanted.Size < 1 || wanted.Size > MaxPageSize {
		return 0, fmt.Errorf("%w: page size %d is not between 1 and %d", collection.ErrBadValue, wanted.Size, MaxPageSize)
	}
	where, args, err := l.Where(account, wanted.Filters)
	if err != nil {
		return 0, err
	}
	order, err := l.order(wanted.Sort, false)
	if err != nil {
		return 0, err
	}
	count := l.Count
	if count == nil {
		count = l.countAll
	}
	found, err := count(ctx, q, account, where, args)
	if err != nil {
		return 0, err
	}
	total = found.Total
	if found.Few != nil {
		where, args = Among(account, found.Few)
	}
	first := int64(max(1, wanted.Number)-1) * int64(wanted.Size)
	rest := int64(total) - first
	if rest <= 0 {
		return total, nil
	}
	size := min(int64(wanted.Size), rest)
	if first == 0 {
		text := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d", l.Columns, l.Name, where, order, size)
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
	text := fmt.Sprintf(`SELECT %s FROM (SELECT id AS of_page FROM %s WHERE %s ORDER BY %s LIMIT %d OFFSET %d) AS p
		CROSS JOIN %s WHERE account_id = $1 AND id = of_page ORDER BY %s`,
		l.Columns, l.Name, where, way, size, skipped, l.Name, order)
	return total, table.Query(ctx, q, scan, text, args...)
}

// countAll counts row by row.
func (l *Table) countAll(ctx context.Context, q table.Querier, _ id.ID, where string,
	args []any) (found Selected, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+l.Name+" WHERE "+where, args...).Scan(&found.Total)
	return found, err
}

// Among is the condition for rows of an account with these ids.
func Among(account id.ID, ids [][]byte) (string, []any) {
	args := []any{int64(account)}
	for _, key := range ids {
		args = append(args, key)
	}
	return "account_id = $1 AND id IN (" + table.Places(2, len(ids)) + ")", args
}

// Where makes the condition. Only columns of the listing's own table of fields
// get into the text; every value is an argument.
func (l *Table) Where(account id.ID, filters []collection.Filter) (string, []any, error) {
	if len(filters) > maxFilters {
		return "", nil, fmt.Errorf("%w: more than %d filters", collection.ErrBadValue, maxFilters)
	}
	text := "account_id = $1"
	args := []any{int64(account)}
	for _, f := range filters {
		known, ok := l.Fields[f.Field]
		if !ok {
			return "", nil, fmt.Errorf("filter by %.40q: %w", f.Field, collection.ErrUnknownField)
		}
		if ids, ok := f.Value.([]id.ID); ok && f.Op == collection.OneOf && known.Kind == column.ID {
			text += " AND " + known.Column + " IN (" + IDs(ids) + ")"
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

func (f Field) condition(filter collection.Filter, place int) (text string, value any, err error) {
	if f.Within != "" {
		if filter.Op != collection.Equal {
			return "", nil, fmt.Errorf("%w: operator %d", collection.ErrBadValue, filter.Op)
		}
		value, err = valueOf(f.Kind, filter.Value)
		return fmt.Sprintf(f.Within, place), value, err
	}
	switch filter.Op {
	case collection.Contains, collection.StartsWith, collection.EndsWith:
		return f.like(filter, place)
	}
	operator, ok := map[collection.Operator]string{
		collection.Equal: "=", collection.Not: "<>", collection.AtLeast: ">=", collection.AtMost: "<=",
		collection.Below: "<", collection.Above: ">",
	}[filter.Op]
	if !ok {
		return "", nil, fmt.Errorf("%w: operator %d", collection.ErrBadValue, filter.Op)
	}
	value, err = valueOf(f.Kind, filter.Value)
	return fmt.Sprintf("%s %s $%d", f.Column, operator, place), value, err
}

// like selects by a part of a text.
func (f Field) like(filter collection.Filter, place int) (text string, value any, err error) {
	s, ok := filter.Value.(string)
	if !ok || len(s) > MaxTextBytes {
		return "", nil, fmt.Errorf("%w: not a text of at most %d bytes", collection.ErrBadValue, MaxTextBytes)
	}
	compared, format := f.Column, `%s LIKE $%d ESCAPE '\'`
	before, after := "%", "%" // what may stand before and after the text
	if filter.Op == collection.StartsWith {
		before = ""
	}
	if filter.Op == collection.EndsWith {
		after = ""
	}
	switch f.Kind {
	case column.Text:
		if f.Fold != "" {
			compared, s = f.Fold, Fold(s)
		} else {
			compared, s = "LOWER("+f.Column+")", LowerASCII(s)
		}
	case column.Address:
		s = LowerASCII(s) // addresses are stored in lower case
	case column.Number:
		// A plus sign stands at the beginning of a number and nowhere else, and 0 is no number.
		var whole bool
		if s, whole = strings.CutPrefix(s, "+"); whole {
			before = ""
		}
		compared = "CAST(" + f.Column + " AS TEXT)"
		format = "(" + f.Column + " <> 0 AND " + format + ")"
	case column.ID:
		compared = "CAST(" + f.Column + " AS TEXT)"
	default:
		return "", nil, fmt.Errorf("%w: the field is not a text", collection.ErrBadValue)
	}
	return fmt.Sprintf(format, compared, place), before + EscapeLike(s) + after, nil
}

// Fold is how the *_fold columns are written.
func Fold(s string) string { return strings.ToLower(s) }

// LowerASCII folds as LOWER does in both databases: in PostgreSQL because the
// columns have the collation "C".
func LowerASCII(s string) string {
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
		if len(v) > MaxTextBytes {
			return nil, fmt.Errorf("%w: a text of over %d bytes", collection.ErrBadValue, MaxTextBytes)
		}
		value, err := parseValue(k, v)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", collection.ErrBadValue, err)
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
	return nil, fmt.Errorf("%w: %T", collection.ErrBadValue, wanted)
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
func (l *Table) order(orders []collection.Order, reverse bool) (string, error) {
	if len(orders) > maxOrders {
		return "", fmt.Errorf("%w: more than %d orders", collection.ErrBadValue, maxOrders)
	}
	var text strings.Builder
	directions := map[bool]string{false: "", true: " DESC"}
	direction := directions[reverse]
	for _, o := range orders {
		known, ok := l.Fields[o.Field]
		if !ok || known.Within != "" {
			return "", fmt.Errorf("sort by %.40q: %w", o.Field, collection.ErrUnknownField)
		}
		direction = directions[o.Descending != reverse]
		text.WriteString(known.Column + direction + ", ")
	}
	// The id goes the way of the last order, so that newest first is so within
	// one microsecond too.
	return text.String() + "id" + direction, nil
}

// EscapeLike hides the wildcards of LIKE in a text.
func EscapeLike(text string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text)
}

// IDs writes ids into a statement, which has room for more of them than of arguments.
// An empty list is one that holds no id.
func IDs(ids []id.ID) string {
	digits := []string{"-1"}
	for _, one := range ids {
		digits = append(digits, one.String())
	}
	return strings.Join(digits, ", ")
}
