package client

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// valuesOf writes the fields of a query that are not zero. A list is separated by commas.
func valuesOf(query any) url.Values {
	values := url.Values{}
	if query == nil {
		return values
	}
	for f, value := range reflect.ValueOf(query).Fields() {
		if value.IsZero() {
			continue
		}
		values.Set(f.Tag.Get("query"), textOf(reflect.Indirect(value).Interface()))
	}
	return values
}

func textOf(value any) string {
	switch v := value.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case []string:
		return strings.Join(v, ",")
	}
	return fmt.Sprint(value)
}
