package sqlstore

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// TestDocumentsReplaceDefaults reads documents of zero values onto the defaults of their
// nouns: a field that is left out of a document when it is zero would come back with its
// default.
func TestDocumentsReplaceDefaults(t *testing.T) {
	for _, n := range nouns(&Config{}) {
		c := reflect.ValueOf(n.collection(nil))
		fresh := c.MethodByName("Fresh").Call(nil)[0]
		t.Run(fmt.Sprint(fresh.Type()), func(t *testing.T) {
			zero, read := reflect.New(fresh.Type()), reflect.New(fresh.Type())
			read.Elem().Set(fresh)
			want, err := encodeDoc(zero.Interface())
			check(t, err)
			check(t, json.Unmarshal([]byte(want), read.Interface()))
			got, err := encodeDoc(read.Interface())
			check(t, err)
			if got != want {
				t.Errorf("read back as\n%s, want\n%s", got, want)
			}
		})
	}
}

func TestUniqueField(t *testing.T) {
	for want, n := range map[string]*noun[store.Key, id.ID]{
		"/id":   {indexes: []table.Index{{On: "hash", Unique: true}, {On: "account_id, name"}}},
		"/name": {indexes: []table.Index{{On: "account_id, day"}, {On: "account_id, name", Unique: true}}},
	} {
		if got := n.uniqueField(); got != want {
			t.Errorf("the unique field of %+v is %s, want %s", n.indexes, got, want)
		}
	}
}
