package sqlstore

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
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
