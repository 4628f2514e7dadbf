package table

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/column"
)

// Table is a table of the ledger, said once: the statements that make, write and read it
// in both databases are made from its columns.
type Table[R any] struct {
	Name string
	Key  column.List[R] // which row it is
	Rest column.List[R] // what the row says
	// Primary are the columns of the primary key, and Server those on a server where they
	// are others; "" where the statement that makes the table says what is unique.
	Primary, Server string
	Again           Again
}

// Again is what is done with a row when there is one with its primary key.
type Again uint8

// What may be done. A second row must fail where there is to be one.
const (
	Fails Again = iota
	Replaces
	Adds
)

// Columns are all columns in their order.
func (t *Table[R]) Columns() column.List[R] { return slices.Concat(t.Key, t.Rest) }

// Names is the list of their names for a statement.
func (t *Table[R]) Names() string { return t.Key.Names() + ", " + t.Rest.Names() }

// Append appends the values of a row.
func (t *Table[R]) Append(values []any, row *R) []any {
	return t.Rest.Append(t.Key.Append(values, row), row)
}

// room is for the values of some rows.
func (t *Table[R]) room(rows int) []any {
	return make([]any, 0, rows*(len(t.Key)+len(t.Rest)))
}

// Scan reads a row of Names. After ErrCorrupt the row has what comes before that column.
func (t *Table[R]) Scan(scan func(...any) error) (*R, error) {
	row := new(R)
	places := make([]any, 0, len(t.Key)+len(t.Rest))
	return row, scan(t.Rest.Into(t.Key.Into(places, row), row)...)
}

// Each calls use for the rows that a condition selects.
func (t *Table[R]) Each(ctx context.Context, q Querier, use func(*R), condition string, args ...any) error {
	return Query(ctx, q, func(rows *sql.Rows) error {
		row, err := t.Scan(rows.Scan)
		if err == nil {
			use(row)
		}
		return err
	}, t.Select(condition), args...)
}

// Select is the statement that reads the rows that a condition selects.
func (t *Table[R]) Select(condition string) string {
	return "SELECT " + t.Names() + " FROM " + t.Name + " " + condition
}

// Layout is a table as one of the two databases has it.
type Layout struct {
	Name       string
	Definition string   // of its columns and the primary key
	Head       string   // of a statement that inserts rows, before VALUES
	Types      []string // of the columns
	Conflict   string   // what comes after the rows
}

func (t *Table[R]) layout(typeOf, definedAs func(column.Kind) string, primary string) *Layout {
	columns := t.Columns()
	l := &Layout{Name: t.Name, Definition: columns.Definition(definedAs)}
	l.Head = "INSERT INTO " + t.Name + " (" + t.Names() + ") "
	for _, kind := range columns.Kinds() {
		l.Types = append(l.Types, typeOf(kind))
	}
	if primary != "" {
		l.Definition += "\tPRIMARY KEY (" + primary + "),\n"
	}
	if t.Again == Fails {
		return l
	}
	set := make([]string, len(t.Rest))
	for i, c := range t.Rest {
		set[i] = c.Name + " = excluded." + c.Name
		if t.Again == Adds {
			set[i] = c.Name + " = " + t.Name + "." + c.Name + " + excluded." + c.Name
		}
	}
	l.Conflict = " ON CONFLICT (" + primary + ") DO UPDATE SET " + strings.Join(set, ", ")
	return l
}

func (t *Table[R]) onFile() *Layout {
	return t.layout(column.Kind.SQLite, column.Kind.SQLite, t.Primary)
}

func (t *Table[R]) onServer() *Layout {
	primary := t.Server
	if primary == "" {
		primary = t.Primary
	}
	return t.layout(column.Kind.PostgreSQL, DefinedOnServer, primary)
}

// DefinedOnServer is the type with which a server's tables are made. Texts are compared
// by their bytes, as SQLite does.
func DefinedOnServer(kind column.Kind) string {
	if kind.PostgreSQL() == "TEXT" {
		return `TEXT COLLATE "C"`
	}
	return kind.PostgreSQL()
}

// define puts the columns of tables into the text that makes them.
func define(text string, layouts []*Layout) string {
	for _, l := range layouts {
		head, tail, _ := strings.Cut(text, "\t-- The columns of "+l.Name+".\n")
		definition := l.Definition
		if strings.HasPrefix(tail, ")") { // nothing comes after them
			definition = strings.TrimSuffix(definition, ",\n") + "\n"
		}
		text = head + definition + tail
	}
	return text
}
