package table

import (
	"strings"

	"github.com/tollgate/tollgate/internal/column"
)

// Resource is the table of one kind of resource. A row has the document of a resource
// and, beside it, the columns by which resources are found.
type Resource struct {
	Name    string
	Key     column.Kind                                  // of the id
	Columns func(typeOf func(column.Kind) string) string // defines the columns beside the document
	Indexes []Index                                      // beside those of the id
	// Outlives is set where rows may be left when their account is deleted.
	Outlives bool
}

// Index is an index of a table.
type Index struct {
	On     string // the columns, as in "account_id, name"
	Unique bool
	Where  string // which rows it has; "" for all
}

// head are the columns that the table of every resource begins with.
func (r *Resource) head() column.List[struct{}] {
	return column.List[struct{}]{
		{Name: "account_id", Kind: column.ID}, {Name: "id", Kind: r.Key}, {Name: "version", Kind: column.Int},
		{Name: "created_at", Kind: column.Time}, {Name: "updated_at", Kind: column.Time},
	}
}

// define makes the table and its indexes. An id is unique among all accounts.
func (r *Resource) define(s *Schema) string {
	var text strings.Builder
	text.WriteString("CREATE TABLE " + r.Name + " (\n" + r.head().Definition(s.Types))
	if r.Columns != nil {
		text.WriteString(r.Columns(s.Types))
	}
	text.WriteString("\tdoc " + s.Types(column.Text) + " NOT NULL,\n\tPRIMARY KEY (account_id, id)")
	if !r.Outlives {
		text.WriteString(",\n\tFOREIGN KEY (account_id) REFERENCES accounts (id)")
	}
	text.WriteString("\n)" + s.Options + ";\n")
	for _, index := range append([]Index{{On: "id", Unique: true}}, r.Indexes...) {
		text.WriteString(index.define(r.Name))
	}
	return text.String()
}

func (i *Index) define(table string) string {
	kind, where := "INDEX ", ""
	if i.Unique {
		kind = "UNIQUE INDEX "
	}
	if i.Where != "" {
		where = " WHERE " + i.Where
	}
	name := table + "_" + strings.ReplaceAll(i.On, ", ", "_")
	return "CREATE " + kind + name + " ON " + table + " (" + i.On + ")" + where + ";\n"
}
